"""Fine-tuning on the way: what is read, and that it is the fine-tuning that is read."""

import numpy as np
import pytest
import torch

from laf_utils.audit.confidence import label_probability, log_odds
from laf_utils.audit.relearning import STEPS, confidence_on_the_way, fine_tuned_logits, return_of_forgotten
from laf_utils.settings.config import TrainingConfig
from laf_utils.training import TrainingDiverged

FAST = TrainingConfig(learning_rate=1e-2, batch_size=16)


def test_the_first_reading_of_a_still_model_is_the_models_own(network, make_images):
    watched, still = make_images(9, seed=2), TrainingConfig(learning_rate=1e-12, weight_decay=0.0)
    logits = fine_tuned_logits(network, make_images(40), torch.zeros(40).long(), watched, still, seed=0, stage="s")
    with torch.no_grad():
        own = network(watched.batch(torch.arange(9)))
    assert logits.shape == (len(STEPS), 9, 10)
    assert torch.allclose(logits[0], own, atol=1e-4)
    assert torch.allclose(logits[-1], own, atol=1e-4)


def test_the_model_is_left_alone_and_the_copy_learns(network, make_images, random_state_untouched):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    images, labels = make_images(48, seed=1), torch.full((48,), 3)
    logits = fine_tuned_logits(network, images, labels, make_images(20, seed=2), FAST, seed=0, stage="s")
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    on_the_way = [label_probability(step, torch.full((20,), 3)).mean().item() for step in logits]
    assert on_the_way[0] < 0.6
    assert on_the_way[-1] > 0.9


def test_few_images_are_shown_again_and_the_seed_draws_their_order(network, make_images):
    images, labels, watched = make_images(20), torch.arange(20) % 10, make_images(5, seed=2)

    def tuned(seed):
        return fine_tuned_logits(network, images, labels, watched, FAST, seed=seed, stage="s", steps=(1, 9))

    assert torch.equal(tuned(0), tuned(0))
    assert not torch.equal(tuned(0), tuned(1))


def test_what_cannot_be_shown_is_refused_and_a_divergence_is_said(network, make_images):
    images, labels = make_images(8), torch.zeros(8).long()
    with pytest.raises(ValueError, match="8 images and 3 labels"):
        fine_tuned_logits(network, images, labels[:3], images, FAST, seed=0, stage="s")
    config = TrainingConfig()
    object.__setattr__(config, "learning_rate", 1e30)  # beyond what settings allow
    with pytest.raises(TrainingDiverged, match="benign: the loss of step"):
        fine_tuned_logits(network, images, labels, images, config, seed=0, stage="benign")


def test_readings_are_means_over_the_steps():
    draw = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(3, 8, 4, generator=draw), torch.arange(8) % 4
    found = confidence_on_the_way(logits, labels)
    assert np.allclose(found.first, torch.stack([label_probability(step, labels) for step in logits]).mean(0).numpy(), atol=1e-6)
    phi = torch.stack([log_odds(step, labels) for step in logits]).mean(0)
    same = return_of_forgotten(logits, labels, logits, labels)
    assert same.value == 0.5
    lifted = return_of_forgotten(logits + 100 * torch.nn.functional.one_hot(labels, 4), labels, logits, labels)
    assert lifted.value == 1
    assert len(phi) == len(lifted.first)
