"""The table of methods, and how to run one by name; ``catalogue`` has their order, names, references and access.

A method of one's own is one function and one line::

    def ascent(view, settings):                      # the view holds what was declared, and nothing else
        student = view.student()
        ...                                          # view.forget.images, view.seed, view.log("loss", value)
        return student

    METHODS["ascent"] = Method("ascent", "ours", LabelAccess.NONE, DataAccess.FORGET, MySettings(), ascent)

A package brings its methods by naming them in the entry point group ``laf_utils.methods``; each entry is such a ``Method``::

    [project.entry-points."laf_utils.methods"]
    ascent = "my_package:ASCENT"
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import nn

from ..support.plugins import brought
from . import (
    bad_teacher,
    boundary,
    delete,
    few_labels,
    jit,
    laf,
    laf_variants,
    lfssd,
    lotus,
    mixunlearn,
    neggrad,
    null_space,
    relearn,
    retrain,
    salun,
    scrub,
    sisa,
    sparse,
    ssd,
    svd,
    synthetic,
    unroll,
)
from .catalogue import LISTED
from .few_labels import on_share
from .method import Method, MethodResult, prepare_with, row, run, with_pseudo_labels
from .request import UnlearningRequest

GROUP = "laf_utils.methods"
FORMER = "laf_book.methods"  # what the group was called: packages that name it go on working
AGAINST: dict[str, Any] = {"identity": {"epochs": 0}, "raises_forget_loss": True}  # of methods that train against D_f
STILL = laf.UnlearningConfig(epochs=0)


def _laf(kind: type) -> dict[str, Any]:
    """Published settings by task, of the CNN; for ResNet-18 see ``laf.published_settings``."""
    return {task: laf.published_settings("cnn", task, kind) for task in ("data", "class", "noisy")}


_ROWS: dict[str, Method] = {
    method.name: method
    for method in (
        row("jit", jit.JiTSettings(), jit.jit, jit.PUBLISHED, identity=jit.STILL),
        row("jit_mean", jit.MEAN, jit.jit, mode="eval", identity=jit.STILL),
        row("boundary_expand", boundary.BoundarySettings(), boundary.expand, **AGAINST),
        row("laf", laf.LAFSettings(), laf.laf, _laf(laf.LAFSettings), mode="eval", identity={"unlearning": STILL}),
        row("lfssd", lfssd.LFSSDSettings(), lfssd.lfssd, lfssd.PUBLISHED, mode="eval", identity={"selection": float("inf")}),
        row("ts", bad_teacher.BadTeacherSettings(), bad_teacher.bad_teacher, **AGAINST),
        row("scrub_unlabelled", replace(scrub.ScrubSettings(), gamma=0.0), scrub.scrub, scrub.WITHOUT_LABELS, **AGAINST),
        row("boundary_shrink_pseudo", boundary.OTHER, boundary.shrink,
            implied=with_pseudo_labels(boundary.shrink_passes, retain=False), **AGAINST),
        row("neggrad_plus_pseudo", neggrad.BOUNDED, neggrad.neggrad_plus,
            implied=with_pseudo_labels(neggrad.neggrad_plus_passes, retain=True), **AGAINST),
        row("relearn", relearn.RelearnSettings(), relearn.relearn, identity={"share": 0.0}),
        row("laf_r", laf.LAFRSettings(), laf.laf_r, _laf(laf.LAFRSettings), mode="eval",
            identity={"unlearning": STILL, "repair": laf.RepairConfig(epochs=0)}),
        row("neggrad", neggrad.NegGradSettings(), neggrad.neggrad, **AGAINST),
        row("neggrad_plus", neggrad.NegGradPlusSettings(), neggrad.neggrad_plus, neggrad.PUBLISHED, mode="eval", **AGAINST),
        row("neggrad_plus_bounded", neggrad.BOUNDED, neggrad.neggrad_plus, **AGAINST),
        row("boundary_shrink", boundary.ShrinkSettings(), boundary.shrink, **AGAINST),
        row("boundary_shrink_other", boundary.OTHER, boundary.shrink, **AGAINST),
        row("scrub", scrub.ScrubSettings(), scrub.scrub, scrub.PUBLISHED, **AGAINST),
        row("scrub_r", scrub.ScrubSettings(), scrub.scrub_r, scrub.PUBLISHED, ascent=scrub.scrub_ascent, **AGAINST),
        row("unroll", unroll.UnrollSettings(), unroll.unroll, prepare=unroll.prepare_unroll, identity={"strength": 0.0},
            raises_forget_loss=True),
        row("sisa", sisa.SISASettings(), sisa.sisa, prepare=sisa.prepare_sisa),
        row("retrain", retrain.TrainingConfig(), retrain.retrain),
        # Later: without labels, and with labels as anchors.
        row("synthetic", synthetic.SyntheticSettings(), synthetic.synthetic, mode="eval", **AGAINST),
        row("delete_pseudo", delete.DeleteSettings(), delete.delete, **AGAINST),
        row("mixunlearn", mixunlearn.MixUnlearnSettings(), mixunlearn.mixunlearn, **AGAINST),
        row("mixunlearn_mixup", mixunlearn.MixupSettings(), mixunlearn.mixup, **AGAINST),
        row("mixunlearn_real", mixunlearn.RealSettings(), mixunlearn.real_alone, **AGAINST),
        row("lotus", lotus.LoTUSSettings(), lotus.lotus, lotus.PUBLISHED, **AGAINST),
        row("svd", svd.SVDSettings(), svd.svd, mode="eval", identity={"forget_scale": 0.0}, raises_forget_loss=True),
        row("null_space", null_space.NullSpaceSettings(), null_space.null_space, mode="eval", identity={"strength": 0.0},
            raises_forget_loss=True),
        row("delete", delete.DeleteSettings(), delete.delete, **AGAINST),
        row("salun", salun.SalUnSettings(), salun.salun, **AGAINST),
        row("ssd", ssd.SSDSettings(), ssd.ssd, ssd.PUBLISHED, mode="eval", identity={"selection": float("inf")}),
        row("sparse", sparse.SparseSettings(), sparse.sparse, identity={"epochs": 0}),
    )
}
METHODS: dict[str, Method] = {name: _ROWS[name] for name in LISTED}  # in the catalogue's order


def _exchanged(name: str, function: Callable[..., nn.Module]) -> Method:
    """LAF with a part exchanged."""
    return row(name, laf.LAFSettings(), function, _laf(laf.LAFSettings), mode="eval", implied=laf.laf_passes,
               identity={"unlearning": STILL})


# Rows of single experiments, under the same contract; the comparison's table does not list them.
FURTHER: dict[str, Method] = {
    method.name: method
    for method in (
        row("retrain_few", retrain.TrainingConfig(), few_labels.retrain_few),
        row("scrub_few", scrub.ScrubSettings(), few_labels.scrub_few, scrub.PUBLISHED,
            implied=on_share(scrub.scrub_passes), ascent=scrub.scrub_ascent, **AGAINST),
        row("neggrad_plus_few", neggrad.BOUNDED, few_labels.neggrad_plus_few, ascent=on_share(neggrad.neggrad_plus_ascent),
            implied=with_pseudo_labels(on_share(neggrad.neggrad_plus_passes), retain=False), **AGAINST),
        _exchanged("laf_l2", laf_variants.with_similarity(laf_variants.SquaredDistance)),
        _exchanged("laf_dot", laf_variants.with_similarity(laf_variants.DotProduct)),
        _exchanged("laf_autoencoder", laf_variants.with_density(laf_variants.autoencoder)),
        _exchanged("laf_pca", laf_variants.with_density(laf_variants.principal_components)),
        _exchanged("laf_gaussian", laf_variants.with_density(laf_variants.gaussian)),
        _exchanged("laf_frozen", laf_variants.without_density),
    )
}

def available() -> dict[str, Method]:
    """``METHODS``, ``FURTHER`` and those that installed packages bring.

    Raises:
        ValueError: a package brings something that is no ``Method``, or one under a name that is taken.
    """
    return brought(METHODS | FURTHER, Method, GROUP, FORMER)


def find(name: str) -> Method:
    """The method of that name.

    Raises:
        KeyError: there is none; the message lists those there are.
    """
    known = next((table for table in (METHODS, FURTHER) if name in table), None) or available()
    if name not in known:
        raise KeyError(f"unknown method {name!r}: one of {', '.join(sorted(known))}")
    return known[name]


def run_method(name: str, request: UnlearningRequest, settings: Any = None) -> MethodResult:
    """Run the named method; see ``method.run`` for what it checks and raises."""
    return run(find(name), request, settings)


def prepare(name: str, request: UnlearningRequest, settings: Any = None) -> UnlearningRequest:
    """The request with the named method's own original, for SISA and Unroll; as it is for every other method."""
    return prepare_with(find(name), request, settings)
