"""Comparison methods behind one signature: ``run_method(name, request)``.

One file for each method or family; ``table`` has them all. ``view`` says what a method may read, ``method`` holds it to that.
"""

from typing import TYPE_CHECKING

from ..support.lazy import face

if TYPE_CHECKING:
    from .access import DataAccess, DataAccessError, LabelAccess, LabelAccessError
    from .method import ContractError, Method, MethodResult
    from .request import UnlearningRequest, request_of
    from .settings import Settings
    from .table import FURTHER, METHODS, available, find, prepare, run_method
    from .view import View

if not TYPE_CHECKING:  # else any name would pass
    __getattr__, __dir__ = face(__name__)
__all__ = [
    "FURTHER", "METHODS", "ContractError", "DataAccess", "DataAccessError", "LabelAccess", "LabelAccessError", "Method",
    "MethodResult", "Settings", "UnlearningRequest", "View", "available", "find", "prepare", "request_of", "run_method",
]
