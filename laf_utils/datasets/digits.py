"""The door that needs nothing: 1,797 real handwritten digits that come with scikit-learn."""

from pathlib import Path

import numpy as np

from laf_utils.datasets.errors import DoorClosed, one_line
from laf_utils.datasets.sets import Arrays

SCALE = 3  # 8x8 -> 24x24
BORDER = 2  # -> 28x28, and like MNIST's digits these do not touch the edge
TOP = 16  # brightest value of scikit-learn's images


def read_digits(name: str, folder: Path) -> tuple[Arrays, Path]:
    """Images uint8 [N,1,28,28] and labels int64 [N]; every fourth image (index % 4 == 3) is a test image.

    The second value is scikit-learn's own folder, to be named if anything is wrong. DoorClosed without scikit-learn.
    """
    try:
        import sklearn.datasets
    except ImportError as error:
        raise DoorClosed(f"scikit-learn is not installed ({one_line(error)})") from error
    digits = sklearn.datasets.load_digits()
    images = enlarge(digits.images.astype(np.int64))[:, None]
    labels = digits.target.astype(np.int64)
    test = np.arange(len(labels)) % 4 == 3
    rows = {"train": ~test, "test": test}
    arrays = {f"{part}_{kind}": of[rows[part]] for part in rows for kind, of in (("images", images), ("labels", labels))}
    return arrays, Path(sklearn.datasets.__file__).parent


def enlarge(images: np.ndarray) -> np.ndarray:
    """int64 [N,8,8] with values 0..16 -> uint8 [N,28,28] with values 0..255, bilinear.

    Done in whole numbers (weights are thirds, so results are 144ths of 255), so that every machine gets the same bytes.
    """
    side = images.shape[1]
    # Pixel centres: the centre of output pixel i lies at (i - 1) / 3 of the input, clamped at the edges.
    position = np.clip(np.arange(side * SCALE) - SCALE // 2, 0, (side - 1) * SCALE)
    low, thirds = position // SCALE, position % SCALE
    rows = np.arange(side * SCALE)
    weights = np.zeros((side * SCALE, side), dtype=np.int64)
    weights[rows, low] = SCALE - thirds
    weights[rows, np.minimum(low + 1, side - 1)] += thirds
    whole = SCALE * SCALE * TOP
    bright = (weights @ images @ weights.T * 255 + whole // 2) // whole
    return np.pad(bright.astype(np.uint8), ((0, 0), (BORDER, BORDER), (BORDER, BORDER)))
