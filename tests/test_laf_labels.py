"""That LAF reads no label, and that LAF+R reads those that it is given and moves the classifier only."""

import copy
import dataclasses
import inspect
import shutil

import pytest
import torch
import torch.nn.functional as F
from laf_fakes import same

from laf_utils.adaptation import reestimate_batchnorm, unlearn
from laf_utils.laf import repair
from laf_utils.methods.passes import repair_images
from laf_utils.representations import FrozenRepresentations
from laf_utils.run import Run
from laf_utils.settings.config import RepairConfig
from laf_utils.stopping import AgreementRule
from laf_utils.vae import fit_vae

# -- no label ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [unlearn, fit_vae, AgreementRule, FrozenRepresentations, reestimate_batchnorm])
def test_the_types_leave_no_place_for_a_label(function):
    for name, parameter in inspect.signature(function).parameters.items():
        assert "label" not in name
        assert "ImageSet" not in str(parameter.annotation)
        assert "ForgetTask" not in str(parameter.annotation)


class Poison:
    """Stands for labels; whoever reads them fails."""

    def _read(self, *_, **__):
        raise AssertionError("a label was read")

    __getattr__ = __getitem__ = __len__ = __iter__ = __eq__ = __array__ = _read
    __hash__ = None

    @classmethod
    def __torch_function__(cls, *_, **__):
        raise AssertionError("a label was read")


@pytest.mark.parametrize("mode", ["reference", "fixed"])
def test_laf_reads_no_label(make_run, monkeypatch, mode):
    run = make_run("noisy", mode=mode, unlearning__retain_ratio=None)
    for stage in (run.original, run.sets.retain_rows, run.frozen_images):
        assert stage is not None
    poisoned = dataclasses.replace(run.task, train_labels=Poison(), true_labels=Poison())
    run.__dict__["task"], run.__dict__["train_set"] = poisoned, None
    run.data = dataclasses.replace(run.data, train=None, test=None)
    monkeypatch.setattr(Run, "_method_content", lambda self: {"mode": mode})  # the name on disk covers the labels
    assert run.laf is not None
    with pytest.raises(AssertionError, match="a label was read"):
        _ = run.laf_r  # the R of LAF+R


@pytest.mark.parametrize("mode", ["reference", "fixed"])
def test_permuted_labels_give_bit_identical_weights(optdigits, tmp_path, mode):
    first, *_ = optdigits(mode)
    (tmp_path / "artefacts").mkdir()
    for file in (first.folder / "artefacts").glob("original-*.safetensors"):
        shutil.copy(file, tmp_path / "artefacts")
    second = Run(first.config, folder=tmp_path, say=lambda line: None)
    _ = second.original
    assert second.reused["original"], "the original is the one trained before the labels were permuted"
    other = torch.randperm(len(second.task.train_labels), generator=torch.Generator().manual_seed(5))
    labels = second.task.train_labels[other]
    assert (labels != second.task.train_labels).float().mean() > 0.8
    second.__dict__["task"] = dataclasses.replace(second.task, train_labels=labels, true_labels=labels)
    second.__dict__["train_set"] = dataclasses.replace(second.train_set, labels=labels)
    test = dataclasses.replace(second.data.test, labels=second.data.test.labels.flip(0))
    second.data = dataclasses.replace(second.data, train=second.train_set, test=test)
    assert same(second.laf, first.laf)
    assert not any(second.reused[stage] for stage in ("vae", "unlearning"))
    assert same(second.densities.h, first.densities.h)
    assert not same(second.laf, second.original)


# -- LAF+R -------------------------------------------------------------------------------------------------------------


class Labels:
    """Labels that note which of them are read."""

    device = torch.device("cpu")

    def __init__(self, values):
        self.values, self.read = values, set()

    def __len__(self):
        return len(self.values)

    def __getitem__(self, rows):
        self.read |= set(rows.tolist())
        return self.values[rows]


REPAIR = RepairConfig(epochs=2)


def test_repair_moves_the_classifier_only(network, make_images):
    before = copy.deepcopy(network)
    repaired, losses = repair(network, make_images(70), torch.arange(70) % 10, REPAIR, seed=0)
    assert same(network, before)
    assert same(repaired.extractor, network.extractor)
    assert all(p.grad is None for p in repaired.extractor.parameters())
    for mine, theirs in zip(repaired.classifier.parameters(), network.classifier.parameters(), strict=True):
        assert not torch.equal(mine, theirs)
        assert mine.data_ptr() != theirs.data_ptr()
    assert len(losses) == 2


@pytest.mark.parametrize(("share", "read"), [(1.0, 70), (0.3, 21), (0.001, 1)])
def test_repair_reads_the_labelled_share_only(network, make_images, share, read):
    labels = Labels(torch.arange(70) % 10)
    repair(network, make_images(70), labels, dataclasses.replace(REPAIR, labelled_share=share), seed=0)
    assert len(labels.read) == read


def test_repair_is_cross_entropy_on_frozen_representations(network, make_images):
    images, labels = make_images(70), torch.arange(70) % 10
    repaired, losses = repair(network, images, labels, dataclasses.replace(REPAIR, epochs=1, learning_rate=1e-12), seed=0)
    assert losses == [pytest.approx(F.cross_entropy(network(images.pixels.float() / 255), labels).item(), abs=1e-4)]
    better, losses = repair(network, images, labels, dataclasses.replace(REPAIR, epochs=40, learning_rate=0.03), seed=0)
    assert losses[-1] < 0.8 * losses[0]
    hits = [(model(images.pixels.float() / 255).argmax(1) == labels).float().mean().item() for model in (repaired, better)]
    assert hits[1] > hits[0] + 0.2


def test_repair_uses_evaluation_transforms(network, make_images):
    plain, crops = make_images(70), make_images(70, augment=True)
    labels = torch.arange(70) % 10
    assert same(repair(network, plain, labels, REPAIR, seed=0)[0], repair(network, crops, labels, REPAIR, seed=0)[0])


@pytest.mark.usefixtures("random_state_untouched")
def test_repair_is_reproducible(network, make_images):
    images, labels = make_images(70), torch.arange(70) % 10
    first, again, other = (repair(network, images, labels, REPAIR, seed=seed)[0] for seed in (0, 0, 1))
    assert same(first, again)
    assert not same(first, other)


@pytest.mark.parametrize(("forget", "read"), [(1, 32), (32, 32), (33, 64), (64, 64), (65, 70), (900, 70)])
def test_a_pass_that_is_paired_ends_with_the_batches_of_the_forgotten_images(network, make_images, forget, read):
    labels = Labels(torch.arange(70) % 10)
    config = dataclasses.replace(REPAIR, epochs=1, pairing="forget")
    paired, losses = repair(network, make_images(70), labels, config, seed=0, forget=forget)
    assert len(labels.read) == read == repair_images(config, 70, forget)
    everything, of_all = repair(network, make_images(70), torch.arange(70) % 10, dataclasses.replace(REPAIR, epochs=1), seed=0)
    if read == 70:
        for mine, theirs in zip(paired.parameters(), everything.parameters(), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)
        assert losses == [pytest.approx(of_all[0], rel=1e-5)]
    else:
        assert not same(paired, everything)


def test_each_paired_pass_draws_its_images_anew(network, make_images):
    labels = Labels(torch.arange(70) % 10)
    config = RepairConfig(epochs=4, pairing="forget")
    repair(network, make_images(70), labels, config, seed=0, forget=32)
    assert 32 < len(labels.read) <= 70 and repair_images(config, 70, 32) == 4 * 32


def test_a_paired_pass_needs_to_know_how_long_it_is(network, make_images):
    with pytest.raises(ValueError, match="need the number of its images"):
        repair(network, make_images(70), torch.arange(70) % 10, RepairConfig(pairing="forget"), seed=0)


def test_no_repair_is_the_identity(network, make_images):
    repaired, losses = repair(network, make_images(70), torch.arange(70) % 10, RepairConfig(epochs=0), seed=0)
    assert same(repaired, network)
    assert losses == []


def test_repair_needs_a_label_for_each_image(network, make_images):
    with pytest.raises(ValueError, match="70 retained images and 69 labels"):
        repair(network, make_images(70), torch.arange(69) % 10, REPAIR, seed=0)
