"""Rows of the table: later label-free methods and, with labels as anchors, four more."""

from typing import Any

from . import delete, lotus, mixunlearn, null_space, salun, sparse, ssd, svd, synthetic
from .method import Method, row

AGAINST: dict[str, Any] = {"identity": {"epochs": 0}, "raises_forget_loss": True}  # trains against D_f
STEPS = {"identity": {"epochs": 0}}

FREE_AND_ANCHORS: dict[str, Method] = {
    method.name: method
    for method in (
        row("synthetic", synthetic.SyntheticSettings(), synthetic.synthetic, mode="eval", implied=synthetic.synthetic_passes,
            **AGAINST),
        row("delete_pseudo", delete.DeleteSettings(), delete.delete, implied=delete.delete_passes, **AGAINST),
        row("mixunlearn", mixunlearn.MixUnlearnSettings(), mixunlearn.mixunlearn, implied=mixunlearn.mixunlearn_passes,
            **AGAINST),
        row("mixunlearn_mixup", mixunlearn.MixupSettings(), mixunlearn.mixup, implied=mixunlearn.mixup_passes, **AGAINST),
        row("mixunlearn_real", mixunlearn.RealSettings(), mixunlearn.real_alone, implied=mixunlearn.real_passes, **AGAINST),
        row("lotus", lotus.LoTUSSettings(), lotus.lotus, lotus.PUBLISHED, implied=lotus.lotus_passes, **AGAINST),
        row("svd", svd.SVDSettings(), svd.svd, mode="eval", implied=svd.svd_passes, identity={"forget_scale": 0.0},
            raises_forget_loss=True),
        row("null_space", null_space.NullSpaceSettings(), null_space.null_space, mode="eval",
            implied=null_space.null_space_passes, identity={"strength": 0.0}, raises_forget_loss=True),
        row("delete", delete.DeleteSettings(), delete.delete, implied=delete.delete_passes, **AGAINST),
        row("salun", salun.SalUnSettings(), salun.salun, implied=salun.salun_passes, **AGAINST),
        row("ssd", ssd.SSDSettings(), ssd.ssd, ssd.PUBLISHED, mode="eval", implied=ssd.ssd_passes,
            identity={"selection": float("inf")}),
        row("sparse", sparse.SparseSettings(), sparse.sparse, implied=sparse.sparse_passes, **STEPS),
    )
}
