"""Table entries of this project's own methods."""

from . import relearn
from .method import Method, row

OURS: dict[str, Method] = {
    "relearn": row(
        "relearn", relearn.RelearnSettings(), relearn.relearn, implied=relearn.relearn_passes, identity={"share": 0.0}
    ),
}
