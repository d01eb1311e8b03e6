"""Table entries of this project's own methods."""

from . import relearn
from .access import DataAccess, LabelAccess
from .method import Method

OURS: dict[str, Method] = {
    "relearn": Method(
        "relearn", "this project", LabelAccess.NONE, DataAccess.BOTH, relearn.RelearnSettings(), relearn.relearn, "relearn",
        implied=relearn.relearn_passes, identity={"share": 0.0},
    ),
}
