"""Which extra brings a package that is not installed: said in one line wherever a command or a call needs it."""

import contextlib
import importlib.util
from collections.abc import Iterator

from .paths import NAME

_BOOK = ("pandas", "matplotlib", "IPython", "papermill", "nbformat", "nbclient", "nbconvert", "traitlets", "latex2mathml")
EXTRAS = dict.fromkeys(_BOOK, "book") | {  # by the name it is imported under
    "sklearn": "audit", "xgboost": "audit", "torchvision": "vision", "cryptography": "certificate",
    "optuna": "tuning", "snakemake": "experiments",
}


def advice(error: ImportError) -> str | None:
    """``pandas is not installed: pip install 'laf-utils[book]'``; ``None`` where no extra brings what is missing."""
    package = (error.name or "").partition(".")[0]
    return f"{package} is not installed: pip install '{NAME}[{EXTRAS[package]}]'" if package in EXTRAS else None


@contextlib.contextmanager
def naming_extras() -> Iterator[None]:
    """Within it an import that fails for want of an extra says which.

    Raises:
        ImportError: in one line, in place of ``ModuleNotFoundError``.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (line := advice(error)) is None:
            raise
        raise ImportError(line, name=error.name) from None


def require(*packages: str) -> None:
    """Say at once which extra is wanted; raises ``ImportError`` as ``naming_extras``."""
    with naming_extras():
        for package in packages:
            if importlib.util.find_spec(package) is None:
                raise ModuleNotFoundError(name=package)
