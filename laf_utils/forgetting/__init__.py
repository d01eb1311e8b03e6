"""Forget in your own classifier: ``forget(model, forget=..., retain=...)`` gives an unlearned copy and a report.

``refusal``    what is not done, and why
``adapting``   outputs and inputs of any form: one tensor in, logits out
``packing``    dictionaries and token numbers as rows of one tensor
``head``       any classifier as extractor -> representation -> head
``cutting``    a model cut at its representation
``certified``  one Newton step of a convex head, with a bound on what it leaves
``copying``    copies to work on and to give back
``closed_form``  a class out of a head or a zero-shot classifier, without images
``sources``    tensors, data sets, loaders, folders: rows in, network inputs out, no label
``opening``    from what a user hands in to a source
``pictures``   image files as pixels
``stilling``   data sets that augment, without their random transforms
``copies``     near-copies of forgotten images among the retained ones
``keeping``    in memory up to a bound, beyond it in files
``audit``      forget images against unseen ones, two-sided, with its power
``reference``  models taught on D_r alone, which never saw D_f
``evidence``   every forget image against unseen ones that the reference finds as hard: the audit behind the verdict
``judge``      the verdict on a model that is handed in
``choice``     scope, method and settings, derived from the data
``watch``      the label-free watch: when to stop, what to keep
``ledger``     requests one after another
``first_model``  what is left of the first model's utility
``queue, queue_command``  requests as they come: collected, carried out in time, never lost
``checkpoint``  a long call that is cut off goes on where it was
``workers``    several processes of one launch as one
``options``    what a request may be asked to do otherwise; all defaults
``preparing``  from what was handed in to what can be worked with
``retained``   D_r after its checks, and its used and its watched part
``attempts``   LAF at several strengths under the watch, the best point
``engine``     the chosen method, and what follows where it has not forgotten
``relearned``  single images that LAF leaves known: students from nearer and farther starts
``report, page``  numbers and verdict; JSON and HTML
``call``       ``forget`` itself
``soundness``  whether weights, archives, images and models from outside are what they say
``certificate``  what was asked and done, signed; its keys
``verifying``  whether a certificate holds
``proving``    the certificate's part of the command line
``files``      weights, architectures and lists of images from the command line
``arguments``  what the command line takes, each value read once and within bounds
``inputs``     what a command was given, opened
``command``    ``laf forget``, ``laf audit``, ``laf data``, ``laf key``, ``laf verify``
"""

from .adapting import OneLabel
from .call import Forgotten, forget
from .certified import CertifiedHead
from .closed_form import ZeroShot, remove_classes
from .judge import Judgement, judge
from .options import ForgetOptions
from .page import Report
from .queue import Policy, Queue
from .refusal import Refused

__all__ = [
    "CertifiedHead", "ForgetOptions", "Forgotten", "Judgement", "OneLabel", "Policy", "Queue", "Refused", "Report", "ZeroShot",
    "forget", "judge",
    "remove_classes",
]
