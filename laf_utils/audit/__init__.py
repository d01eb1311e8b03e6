"""Was it forgotten? Accuracy and gaps, and the published membership attack with what makes it interpretable."""

from .accuracy import ModelOutputs, accuracies, gaps_to_retrained
from .attack import AttackResult, published_attack

__all__ = ["AttackResult", "ModelOutputs", "accuracies", "gaps_to_retrained", "published_attack"]
