"""Forget in your own classifier: ``forget(model, forget=..., retain=...)`` gives an unlearned copy and a report."""

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
    "forget", "judge", "remove_classes",
]
