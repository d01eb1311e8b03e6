"""Rows that joined the table after the first records: later label-free methods and, with labels as anchors, four more."""

from typing import Any

from . import delete, lotus, mixunlearn, null_space, salun, sparse, ssd, svd, synthetic
from .access import DataAccess, LabelAccess
from .method import Method

NONE, ALL = LabelAccess.NONE, LabelAccess.ALL
FORGET, RETAIN, BOTH, HELD_OUT = DataAccess.FORGET, DataAccess.RETAIN, DataAccess.BOTH, DataAccess.HELD_OUT

PENG = "Peng et al., ICLR 2025"
ZHOU = "Zhou et al., CVPR 2025"
AGAINST: dict[str, Any] = {"identity": {"epochs": 0}, "raises_forget_loss": True}  # trains against D_f
STEPS = {"identity": {"epochs": 0}}

LATER: dict[str, Method] = {
    method.name: method
    for method in (
        # D_f's images at most, no label.
        Method("synthetic", "Universal Source-Free Class Unlearning, TMLR 2026", NONE, FORGET, synthetic.SyntheticSettings(),
               synthetic.synthetic, "Synthetic embeddings", mode="eval", implied=synthetic.synthetic_passes, **AGAINST),
        Method("delete_pseudo", ZHOU, NONE, FORGET, delete.DeleteSettings(), delete.delete, "DELETE, pseudo-labels",
               implied=delete.delete_passes, **AGAINST),
        # Images of D_f and D_r, no label.
        Method("mixunlearn", PENG, NONE, BOTH, mixunlearn.MixUnlearnSettings(), mixunlearn.mixunlearn, "MixUnlearn",
               implied=mixunlearn.mixunlearn_passes, **AGAINST),
        Method("mixunlearn_mixup", PENG, NONE, BOTH, mixunlearn.MixupSettings(), mixunlearn.mixup, "MixUnlearn, plain mixup",
               implied=mixunlearn.mixup_passes, **AGAINST),
        Method("mixunlearn_real", PENG, NONE, BOTH, mixunlearn.RealSettings(), mixunlearn.real_alone,
               "MixUnlearn, real images alone", implied=mixunlearn.real_passes, **AGAINST),
        Method("lotus", "Spartalis et al., CVPR 2025", NONE, BOTH | HELD_OUT, lotus.LoTUSSettings(), lotus.lotus,
               "LoTUS, agreement", lotus.PUBLISHED, implied=lotus.lotus_passes, **AGAINST),
        Method("svd", "Kodge et al., TMLR 2024", NONE, BOTH, svd.SVDSettings(), svd.svd, "Gradient-free (SVD)", mode="eval",
               implied=svd.svd_passes, identity={"forget_scale": 0.0}, raises_forget_loss=True),
        Method("null_space", "this project", NONE, BOTH, null_space.NullSpaceSettings(), null_space.null_space,
               "Null space (control)", mode="eval", implied=null_space.null_space_passes, identity={"strength": 0.0},
               raises_forget_loss=True),
        # All labels: anchors.
        Method("delete", ZHOU, ALL, FORGET, delete.DeleteSettings(), delete.delete, "DELETE", implied=delete.delete_passes,
               **AGAINST),
        Method("salun", "Fan et al., ICLR 2024", ALL, BOTH, salun.SalUnSettings(), salun.salun, "SalUn",
               implied=salun.salun_passes, **AGAINST),
        Method("ssd", "Foster et al., AAAI 2024", ALL, BOTH, ssd.SSDSettings(), ssd.ssd, "SSD", ssd.PUBLISHED, mode="eval",
               implied=ssd.ssd_passes, identity={"selection": float("inf")}),
        Method("sparse", "Jia et al., NeurIPS 2023", ALL, RETAIN, sparse.SparseSettings(), sparse.sparse, "L1-sparse",
               implied=sparse.sparse_passes, **STEPS),
    )
}
