"""The rows of the table of methods before any method is loaded: names, titles, references, and what each may read.

``table`` adds settings and functions to them, and needs PyTorch; a page that draws records needs this alone. The order is that of
every table: up the ladder of label access.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .access import DataAccess, LabelAccess

if TYPE_CHECKING:
    from .method import Method

NONE, FEW, ALL = LabelAccess
FORGET, RETAIN, BOTH = DataAccess.FORGET, DataAccess.RETAIN, DataAccess.BOTH
HELD_OUT, STATE = DataAccess.HELD_OUT, DataAccess.STATE

OURS = "this project"
KURMANJI = "Kurmanji et al., NeurIPS 2023"
CHEN = "Chen et al., CVPR 2023"
SHEN = "Shen et al., ICLR 2024"
FOSTER = "Foster et al., arXiv 2402.01401"
PENG = "Peng et al., ICLR 2025"
ZHOU = "Zhou et al., CVPR 2025"


def ours(published: str) -> str:
    """The reference of a variant of this project's."""
    return f"{OURS}, after {published}"


@dataclass(frozen=True)
class Entry:
    """A row of the table of methods: the fields that ``method.Method`` has by the same names."""

    name: str
    title: str
    reference: str
    label_access: LabelAccess
    data_access: DataAccess
    outside_claim: str = ""


def _rows(entries: Iterable[Entry]) -> dict[str, Entry]:
    return {entry.name: entry for entry in entries}


LISTED = _rows((
    # Nothing but D_f's images, no label.
    Entry("jit", "JiT", FOSTER, NONE, FORGET,
          "published for D_f of 100 to 500 images, one to four steps on VGG-16 and ViT; here D_f is ten times as large and more, "
          "and its gradients add up over all of it"),
    Entry("jit_mean", "JiT, mean (ours)", ours(FOSTER), NONE, FORGET),
    Entry("boundary_expand", "Boundary Expand", CHEN, NONE, FORGET),
    Entry("synthetic", "Synthetic embeddings", "Universal Source-Free Class Unlearning, TMLR 2026", NONE, FORGET),
    Entry("delete_pseudo", "DELETE, pseudo-labels", ZHOU, NONE, FORGET),
    # Images of D_f and D_r, no label.
    Entry("laf", "LAF", SHEN, NONE, BOTH),
    Entry("lfssd", "LFSSD", "Foster et al., arXiv 2402.19308", NONE, BOTH),
    Entry("ts", "T-S", "Chundawat et al., AAAI 2023", NONE, BOTH),
    Entry("mixunlearn", "MixUnlearn", PENG, NONE, BOTH),
    Entry("mixunlearn_mixup", "MixUnlearn, plain mixup", PENG, NONE, BOTH),
    Entry("mixunlearn_real", "MixUnlearn, real images alone", PENG, NONE, BOTH),
    Entry("lotus", "LoTUS, agreement", "Spartalis et al., CVPR 2025", NONE, BOTH | HELD_OUT),
    Entry("svd", "Gradient-free (SVD)", "Kodge et al., TMLR 2024", NONE, BOTH),
    # Controls: methods with labels, told none, and a projection without a step.
    Entry("scrub_unlabelled", "SCRUB, gamma 0", KURMANJI, NONE, BOTH),
    Entry("boundary_shrink_pseudo", "Boundary Shrink, own label left out (ours), pseudo-labels", ours(CHEN), NONE, FORGET),
    Entry("neggrad_plus_pseudo", "NegGrad+, bounded (ours), pseudo-labels", ours(KURMANJI), NONE, BOTH),
    Entry("null_space", "Null space (control)", OURS, NONE, BOTH),
    # Our own.
    Entry("relearn", "relearn", OURS, NONE, BOTH),
    # A few labels of D_r.
    Entry("laf_r", "LAF+R", SHEN, FEW, BOTH),
    # All labels.
    Entry("neggrad", "NegGrad", "Golatkar et al., CVPR 2020", ALL, FORGET),
    Entry("neggrad_plus", "NegGrad+", KURMANJI, ALL, BOTH),
    Entry("neggrad_plus_bounded", "NegGrad+, bounded (ours)", ours(KURMANJI), ALL, BOTH),
    Entry("boundary_shrink", "Boundary Shrink", CHEN, ALL, FORGET),
    Entry("boundary_shrink_other", "Boundary Shrink, own label left out (ours)", ours(CHEN), ALL, FORGET),
    Entry("scrub", "SCRUB", KURMANJI, ALL, BOTH),
    Entry("scrub_r", "SCRUB+R", KURMANJI, ALL, BOTH | HELD_OUT),
    Entry("delete", "DELETE", ZHOU, ALL, FORGET),
    Entry("salun", "SalUn", "Fan et al., ICLR 2024", ALL, BOTH),
    Entry("ssd", "SSD", "Foster et al., AAAI 2024", ALL, BOTH),
    Entry("sparse", "L1-sparse", "Jia et al., NeurIPS 2023", ALL, RETAIN),
    Entry("unroll", "Unroll", "Thudi et al., EuroS&P 2022", ALL, FORGET | STATE,
          "published for one batch of 32 in a phase that starts from a pretrained model; here whole sets are taken back, from a "
          "random start, on an original of its own"),
    Entry("sisa", "SISA", "Bourtoule et al., IEEE S&P 2021", ALL, RETAIN | STATE,
          "another original: an ensemble trained on shards, which only SISA can unlearn"),
    Entry("retrain", "Retrain", SHEN, ALL, RETAIN),
))

# Rows of single experiments: the comparison's table does not list them.
FURTHER = _rows((
    Entry("retrain_few", "Retrain, labelled share", SHEN, FEW, RETAIN),
    Entry("scrub_few", "SCRUB, labelled share", KURMANJI, FEW, BOTH),
    Entry("neggrad_plus_few", "NegGrad+, bounded (ours), labelled share, pseudo-labels", ours(KURMANJI), FEW, BOTH),
    # LAF with a part exchanged.
    Entry("laf_l2", "squared distance in L_RA", OURS, NONE, BOTH),
    Entry("laf_dot", "dot product in L_RA", OURS, NONE, BOTH),
    Entry("laf_autoencoder", "autoencoders", OURS, NONE, BOTH),
    Entry("laf_pca", "principal components", OURS, NONE, BOTH),
    Entry("laf_gaussian", "Gaussians", OURS, NONE, BOTH),
    Entry("laf_frozen", "the frozen original", OURS, NONE, BOTH),
))


def find(name: str) -> "Entry | Method":
    """The row of that name; a method that another package or a session brings is asked of the table itself.

    Raises:
        KeyError: there is none; the message lists those there are.
    """
    if name in LISTED or name in FURTHER:
        return LISTED.get(name) or FURTHER[name]
    from .table import find as loaded

    return loaded(name)
