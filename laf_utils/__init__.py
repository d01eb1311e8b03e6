"""Label-Agnostic Forgetting (LAF): reproduce, audit and use it.

The rooms of the package. The paper's pipeline stands in front, in its order; the wings lie behind it. A room may import from the
rooms that its line names, from ``support``, and, in the paper's column, from every line of the paper above it.

===============  ==============================================  ===================================================
room             may import                                      what it is
===============  ==============================================  ===================================================
support          none                                            devices, seeds, files, keys, records, progress
datasets         none                                            images and labels, from whichever door has them
tasks            none                                            paper 1: which images are to be forgotten
images           none                                            paper 2: images on a device, and their transforms
models           none                                            paper 3: extractor, representation, classifier
settings         datasets, images, models, tasks                 every setting of a run, checked; presets; names
training         paper, settings                                 paper 4: original and retrained
representations  paper, settings                                 paper 5: frozen passes, computed once
vae              paper, settings                                 paper 6: the densities h and h_f
losses           paper, settings                                 paper 7: L_UE and L_RA
stopping         paper, settings                                 paper 8: a label-free rule that ends the loop
adaptation       paper, settings                                 paper 9: the loop on both losses
laf              paper, settings                                 paper 10: LAF and LAF+R as one procedure
audit            paper, settings                                 was it forgotten: measures and verdicts
methods          paper, settings                                 what LAF is compared with, behind one signature
together         paper, settings                                 many small models as one
run              paper, settings, datasets                       paper 11: a run of settings, each stage once
evaluation       paper, settings, audit, methods                 paper 12: what a run's models score
forgetting       paper, settings, audit, methods                 your own classifier: call, report, ledger, command
experiments      all but forgetting and book                     everything that makes a record
book.base        all                                             what all pages share
book.chapters    all, book.base                                  the notebooks' tables, figures and sentences
book.results     all, book.base, book.chapters                   the results pages
book.costs       all, book.base, book.chapters, book.results     the page of the cost model
===============  ==============================================  ===================================================

``tests/test_rooms.py`` holds every import to this table. ``run`` is not for ``audit``, ``methods`` and ``forgetting``; nobody
imports ``book``.

What a user of the library needs is named here; everything else is a name of its room.
"""

from typing import TYPE_CHECKING

from .support.lazy import face

if TYPE_CHECKING:
    from .datasets import load
    from .forgetting import ForgetOptions, Forgotten, Judgement, OneLabel, Refused, Report, ZeroShot, forget, remove_classes
    from .forgetting.judge import judge
    from .forgetting.queue import Policy, Queue
    from .methods import METHODS, UnlearningRequest, request_of, run_method
    from .run import Run
    from .settings.presets import preset

__version__ = "0.1.0"
__all__ = [
    "METHODS", "ForgetOptions", "Forgotten", "Judgement", "OneLabel", "Policy", "Queue", "Refused", "Report", "Run",
    "UnlearningRequest", "ZeroShot", "forget", "judge", "load", "preset", "remove_classes", "request_of", "run_method",
]
if not TYPE_CHECKING:  # else any name would pass
    __getattr__, __dir__ = face(__name__)

