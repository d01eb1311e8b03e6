"""The table of methods, and how to run one by name.

A method of one's own is one function and one line::

    def ascent(view, settings):                      # the view holds what was declared, and nothing else
        student = view.student()
        ...                                          # view.forget.images, view.seed, view.log("loss", value)
        return student

    METHODS["ascent"] = Method("ascent", "ours", LabelAccess.NONE, DataAccess.FORGET, MySettings(), ascent)

A package brings its methods by naming them in the entry point group ``laf_book.methods``; each entry is such a ``Method``::

    [project.entry-points."laf_book.methods"]
    ascent = "my_package:ASCENT"
"""

from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from typing import Any

from torch import nn

from . import (
    bad_teacher,
    boundary,
    few_labels,
    jit,
    laf,
    laf_variants,
    lfssd,
    neggrad,
    retrain,
    scrub,
    sisa,
    table_ours,
    unroll,
)
from .access import DataAccess, LabelAccess
from .method import Method, MethodResult, prepare_with, run, with_pseudo_labels
from .request import UnlearningRequest
from .table_label_free import LATER

GROUP = "laf_book.methods"
NONE, FEW, ALL = LabelAccess
FORGET, RETAIN, BOTH = DataAccess.FORGET, DataAccess.RETAIN, DataAccess.BOTH
HELD_OUT, STATE = DataAccess.HELD_OUT, DataAccess.STATE

KURMANJI = "Kurmanji et al., NeurIPS 2023"
CHEN = "Chen et al., CVPR 2023"
SHEN = "Shen et al., ICLR 2024"
FOSTER = "Foster et al., arXiv 2402.01401"
AGAINST = {"identity": {"epochs": 0}, "raises_forget_loss": True}  # of methods that train against D_f
JIT = {"implied": jit.jit_passes, "ascent": jit.jit_ascent, "identity": {"learning_rate": 0.0, "batch_statistics": False}}
NEGGRAD_PLUS = {"implied": neggrad.neggrad_plus_passes, "ascent": neggrad.neggrad_plus_ascent, **AGAINST}

STILL = laf.UnlearningConfig(epochs=0)


def ours(published: str) -> str:
    """The reference of a variant of this project's."""
    return f"this project, after {published}"


def _laf(kind: type) -> dict[str, Any]:
    """Published settings by task, of the CNN; for ResNet-18 see ``laf.published_settings``."""
    return {task: laf.published_settings("cnn", task, kind) for task in ("data", "class", "noisy")}


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        # Nothing but D_f's images, no label.
        Method("jit", FOSTER, NONE, FORGET, jit.JiTSettings(), jit.jit, "JiT", jit.PUBLISHED, outside_claim=jit.OUTSIDE, **JIT),
        Method("jit_mean", ours(FOSTER), NONE, FORGET, jit.MEAN, jit.jit, "JiT, mean (ours)", mode="eval", **JIT),
        Method("boundary_expand", CHEN, NONE, FORGET, boundary.BoundarySettings(), boundary.expand, "Boundary Expand",
               implied=boundary.expand_passes, **AGAINST),
        # Images of D_f and D_r, no label.
        Method("laf", SHEN, NONE, BOTH, laf.LAFSettings(), laf.laf, "LAF", _laf(laf.LAFSettings),
               mode="eval", implied=laf.laf_passes, identity={"unlearning": STILL}),
        Method("lfssd", "Foster et al., arXiv 2402.19308", NONE, BOTH, lfssd.LFSSDSettings(), lfssd.lfssd, "LFSSD",
               lfssd.PUBLISHED, mode="eval", implied=lfssd.lfssd_passes, identity={"selection": float("inf")}),
        Method("ts", "Chundawat et al., AAAI 2023", NONE, BOTH, bad_teacher.BadTeacherSettings(), bad_teacher.bad_teacher,
               "T-S", implied=bad_teacher.bad_teacher_passes, **AGAINST),
        # Controls: methods with labels, told none.
        Method("scrub_unlabelled", KURMANJI, NONE, BOTH, replace(scrub.ScrubSettings(), gamma=0.0), scrub.scrub,
               "SCRUB, gamma 0", scrub.WITHOUT_LABELS, implied=scrub.scrub_passes, ascent=scrub.scrub_ascent, **AGAINST),
        Method("boundary_shrink_pseudo", ours(CHEN), NONE, FORGET, boundary.OTHER, boundary.shrink,
               "Boundary Shrink, own label left out (ours), pseudo-labels",
               implied=with_pseudo_labels(boundary.shrink_passes, retain=False), **AGAINST),
        Method("neggrad_plus_pseudo", ours(KURMANJI), NONE, BOTH, neggrad.BOUNDED, neggrad.neggrad_plus,
               "NegGrad+, bounded (ours), pseudo-labels", ascent=neggrad.neggrad_plus_ascent,
               implied=with_pseudo_labels(neggrad.neggrad_plus_passes, retain=True), **AGAINST),
        *table_ours.OURS.values(),
        # A few labels of D_r.
        Method("laf_r", SHEN, FEW, BOTH, laf.LAFRSettings(), laf.laf_r, "LAF+R", _laf(laf.LAFRSettings),
               mode="eval", implied=laf.laf_r_passes,
               identity={"unlearning": STILL, "repair": laf.RepairConfig(epochs=0)}),
        # All labels.
        Method("neggrad", "Golatkar et al., CVPR 2020", ALL, FORGET, neggrad.NegGradSettings(), neggrad.neggrad, "NegGrad",
               implied=neggrad.neggrad_passes, ascent=neggrad.neggrad_ascent, **AGAINST),
        Method("neggrad_plus", KURMANJI, ALL, BOTH, neggrad.NegGradPlusSettings(), neggrad.neggrad_plus, "NegGrad+",
               neggrad.PUBLISHED, mode="eval", **NEGGRAD_PLUS),
        Method("neggrad_plus_bounded", ours(KURMANJI), ALL, BOTH, neggrad.BOUNDED, neggrad.neggrad_plus,
               "NegGrad+, bounded (ours)", **NEGGRAD_PLUS),
        Method("boundary_shrink", CHEN, ALL, FORGET, boundary.ShrinkSettings(), boundary.shrink, "Boundary Shrink",
               implied=boundary.shrink_passes, **AGAINST),
        Method("boundary_shrink_other", ours(CHEN), ALL, FORGET, boundary.OTHER, boundary.shrink,
               "Boundary Shrink, own label left out (ours)", implied=boundary.shrink_passes, **AGAINST),
        Method("scrub", KURMANJI, ALL, BOTH, scrub.ScrubSettings(), scrub.scrub, "SCRUB", scrub.PUBLISHED,
               implied=scrub.scrub_passes, ascent=scrub.scrub_ascent, **AGAINST),
        Method("scrub_r", KURMANJI, ALL, BOTH | HELD_OUT, scrub.ScrubSettings(), scrub.scrub_r, "SCRUB+R", scrub.PUBLISHED,
               implied=scrub.scrub_r_passes, ascent=scrub.scrub_ascent, **AGAINST),
        Method("unroll", "Thudi et al., EuroS&P 2022", ALL, FORGET | STATE, unroll.UnrollSettings(), unroll.unroll, "Unroll",
               implied=unroll.unroll_passes, ascent=unroll.unroll_ascent, outside_claim=unroll.OUTSIDE,
               identity={"strength": 0.0}, raises_forget_loss=True, prepare=unroll.prepare_unroll),
        Method("sisa", "Bourtoule et al., IEEE S&P 2021", ALL, RETAIN | STATE, sisa.SISASettings(), sisa.sisa, "SISA",
               outside_claim="another original: an ensemble trained on shards, which only SISA can unlearn",
               prepare=sisa.prepare_sisa),
        Method("retrain", SHEN, ALL, RETAIN, retrain.TrainingConfig(), retrain.retrain, "Retrain",
               implied=retrain.retrain_passes),
    )
}


def _exchanged(name: str, title: str, function: Callable[..., nn.Module]) -> Method:
    """LAF with a part exchanged."""
    return Method(name, "this project", NONE, BOTH, laf.LAFSettings(), function, title, _laf(laf.LAFSettings), mode="eval",
                  implied=laf.laf_passes, identity={"unlearning": STILL})


# Rows of single experiments, under the same contract; the comparison's table does not list them.
FURTHER: dict[str, Method] = {
    method.name: method
    for method in (
        Method("retrain_few", SHEN, FEW, RETAIN, retrain.TrainingConfig(), few_labels.retrain_few, "Retrain, labelled share",
               implied=few_labels.retrain_few_passes),
        Method("scrub_few", KURMANJI, FEW, BOTH, scrub.ScrubSettings(), few_labels.scrub_few, "SCRUB, labelled share",
               scrub.PUBLISHED, implied=few_labels.on_share(scrub.scrub_passes), ascent=scrub.scrub_ascent, **AGAINST),
        Method("neggrad_plus_few", ours(KURMANJI), FEW, BOTH, neggrad.BOUNDED, few_labels.neggrad_plus_few,
               "NegGrad+, bounded (ours), labelled share, pseudo-labels",
               implied=few_labels.on_share(neggrad.neggrad_plus_passes, pseudo=True),
               ascent=few_labels.steps_on_share(neggrad.neggrad_plus_ascent), **AGAINST),
        _exchanged("laf_l2", "squared distance in L_RA", laf_variants.with_similarity(laf_variants.SquaredDistance)),
        _exchanged("laf_dot", "dot product in L_RA", laf_variants.with_similarity(laf_variants.DotProduct)),
        _exchanged("laf_autoencoder", "autoencoders", laf_variants.with_density(laf_variants.autoencoder)),
        _exchanged("laf_pca", "principal components", laf_variants.with_density(laf_variants.principal_components)),
        _exchanged("laf_gaussian", "Gaussians", laf_variants.with_density(laf_variants.gaussian)),
        _exchanged("laf_frozen", "the frozen original", laf_variants.without_density),
    )
}

FURTHER |= LATER  # on no record yet: the comparison's table lists them once they are


def available() -> dict[str, Method]:
    """``METHODS``, ``FURTHER`` and those that installed packages bring.

    Raises:
        ValueError: a package brings something that is no ``Method``, or one under a name that is taken.
    """
    found = METHODS | FURTHER
    for entry in metadata.entry_points(group=GROUP):
        method = entry.load()
        if not isinstance(method, Method):
            raise ValueError(f"{GROUP}: {entry.name} ({entry.value}) is no Method but {type(method).__name__}")
        if method.name in found:
            raise ValueError(f"{GROUP}: {entry.value} brings {method.name!r}, and there is one of that name already")
        found[method.name] = method
    return found


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
