"""Image files as pixels [H, W, 3], whatever was written into them: orientation, 16 bits, CMYK, palettes, transparency."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from .refusal import Refused
from .sources import as_tensors, digest_of, floating, stacked

WIDE = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")  # modes with more than 8 bits a channel


def as_rgb(image: Image.Image) -> Image.Image:
    """An RGB image, upright as its EXIF orientation says.

    Of more than 8 bits a channel the upper 8 are kept, where Pillow's own conversion would clip to white. Transparency is
    dropped, not blended: the colours below it are what most training pipelines see.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode in WIDE:
        values = np.asarray(image, dtype=np.float64)
        top = 65_535 if image.mode != "F" else max(1.0, float(np.nan_to_num(values).max()))
        shown = np.clip(np.nan_to_num(values) / top * 255, 0, 255)
        image = Image.fromarray(np.floor(shown).astype(np.uint8), "L")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def opened(path: Path) -> Image.Image:
    """The image in a file, RGB and upright.

    Raises:
        Refused: ``bad_images``: no file, no image, a damaged one, or one so large that Pillow takes it for an attack.
    """
    try:
        with Image.open(path) as file:
            return as_rgb(file)
    except Exception as error:  # a broken file fails in any way, a decompression bomb in one of its own
        raise Refused(
            "bad_images", f"{path.name} cannot be read as an image: {' '.join(str(error).split())}; mend it or take it out ('laf "
            "data' lists all such files)",
        ) from error


class FileStore:
    """Image files, read when they are asked for: RGB, upright as their EXIF orientation says (see ``pictures``).

    A model that was trained on images as they lie in their files gets them by the data set of its training.

    Args:
        files: paths.
        transform: of one RGB PIL image; ``None``: pixels scaled to [0, 1], which only works where all have one size.
    """

    def __init__(self, files: Sequence[Path], transform: Callable | None = None) -> None:
        self.files, self._transform = list(files), transform

    def __len__(self) -> int:
        return len(self.files)

    def _one(self, row: int) -> torch.Tensor:
        image = opened(self.files[int(row)])
        if self._transform is not None:
            found = as_tensors(self._transform(image))
            if not isinstance(found, torch.Tensor):
                raise Refused("bad_images", f"the transform gives {type(found).__name__}: it must end in a tensor")
            return floating(found, "the transformed images")
        return torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div_(255)

    def read(self, rows: Sequence[int]) -> torch.Tensor:
        return stacked([self._one(row) for row in rows])

    def digest(self, row: int) -> bytes:
        return digest_of(self.files[int(row)].read_bytes())

    def name(self, row: int) -> str:
        return self.files[int(row)].name
