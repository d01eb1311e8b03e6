"""How sure a model is of a label: the signals that membership measures read."""

import torch


def log_odds(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """phi(x) = z_y - logsumexp(z without y) [n], the logit of the label's probability, stable where that is near 0 or 1.

    Args:
        logits: [n, classes].
        labels: int64 [n].

    Source: Carlini et al., "Membership Inference Attacks From First Principles", section IV-C.
    """
    labels = labels.to(logits.device)[:, None]
    others = logits.scatter(1, labels, -torch.inf)
    return logits.gather(1, labels).squeeze(1) - others.logsumexp(1)


def label_probability(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """p(y | x) [n] of logits [n, classes] and labels int64 [n]."""
    return log_odds(logits, labels).sigmoid()


def label_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy [n] in nats of logits [n, classes] and labels int64 [n].

    It is taken from phi, so that small losses do not round to zero.
    """
    return torch.nn.functional.softplus(-log_odds(logits, labels).double()).to(logits.dtype)
