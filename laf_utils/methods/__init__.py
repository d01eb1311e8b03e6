"""Comparison methods behind one signature: ``run_method(name, request)``.

``access``    the ladder of label access, the kinds of data access, and their errors
``request``   what is to be forgotten, from which model
``view``      what a method may read of it, enforced; ``parts`` is what it is made of
``method``    an entry of the table, the one way to run it, and the contract it is held to
``settings``  the base of every method's settings
``loops``     batches, one pass, the distillation loss
``catalogue`` every row's name, title, reference, label and data access, in order; no model is needed to read it
``table``     METHODS: every row with its published defaults and its function; FURTHER: rows of single experiments

and one file per method or family: ``retrain``, ``neggrad``, ``boundary``, ``sisa``, ``unroll``, ``bad_teacher`` (T-S), ``scrub``,
``lfssd``, ``jit``, ``laf``; ``few_labels`` and ``laf_variants`` are those of single experiments. Later came
``mixunlearn`` (its generator in ``mixing``), ``delete``, ``lotus``, ``svd``, ``synthetic``, ``null_space``, and
with labels ``salun``, ``ssd``, ``sparse``. ``flops`` counts the floating-point operations of any method.
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
