"""Forget requests: which images and which labels, exactly."""

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from laf_utils import datasets
from laf_utils.tasks import TASKS, make_task

MNIST = (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)
FASHION, CIFAR10 = (6000,) * 10, (5000,) * 10


def labels_with(counts, seed=0):
    """Labels with so many of each class, in random order."""
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]


histograms = st.tuples(st.lists(st.integers(3, 25), min_size=10, max_size=10), st.integers(0, 9)).map(lambda h: labels_with(*h))
names, seeds = st.sampled_from(TASKS), st.integers(0, 2**31)


@pytest.mark.parametrize(("counts", "name", "forgotten"), [
    (MNIST, "data", 11_760), (MNIST, "class", 5_923), (MNIST, "noisy", 18_355),
    (FASHION, "data", 12_000), (FASHION, "class", 6_000), (FASHION, "noisy", 18_000),
    (CIFAR10, "data", 10_000), (CIFAR10, "class", 5_000), (CIFAR10, "noisy", 15_000),
])
def test_counts_of_the_specification(counts, name, forgotten):
    task = make_task(name, labels_with(counts), classes=10, seed=0)
    assert len(task.forget) == forgotten
    assert len(task.retain) == sum(counts) - forgotten


def test_counts_on_the_real_labels():
    try:
        labels = datasets.load("mnist", download=False).train.labels
    except datasets.DataUnavailable:
        pytest.skip("MNIST is not on this machine")
    assert tuple(labels.bincount().tolist()) == MNIST
    assert [len(make_task(name, labels, classes=10, seed=1).forget) for name in TASKS] == [11_760, 5_923, 18_355]


@given(names, histograms, seeds)
def test_the_two_parts_are_disjoint_complete_and_sorted(name, labels, seed):
    task = make_task(name, labels, classes=10, seed=seed)
    for part in (task.forget, task.retain):
        assert part.dtype == torch.int64
        assert torch.equal(part, part.unique())  # sorted, each once
    assert torch.equal(torch.cat([task.forget, task.retain]).sort().values, torch.arange(len(labels)))


@given(st.sampled_from(["data", "noisy"]), histograms, seeds)
def test_the_share_of_every_class_is_exact(name, labels, seed):
    task = make_task(name, labels, classes=10, seed=seed)
    classes, percent = {"data": ((5, 6, 7, 8, 9), 40), "noisy": ((0, 1, 2, 3, 4), 60)}[name]
    taken = labels[task.forget].bincount(minlength=10)
    for label, count in enumerate(labels.bincount(minlength=10).tolist()):
        assert taken[label] == (count * percent // 100 if label in classes else 0)


@given(names, histograms, seeds)
def test_a_seed_is_a_request(name, labels, seed):
    first, again = (make_task(name, labels, classes=10, seed=seed) for _ in range(2))
    assert first.checksum() == again.checksum()
    assert torch.equal(first.forget, again.forget)
    assert torch.equal(first.train_labels, again.train_labels)


@pytest.mark.parametrize("name", ["data", "noisy"])
def test_other_seeds_are_other_requests(name):
    labels = labels_with((100,) * 10)
    assert len({make_task(name, labels, classes=10, seed=seed).checksum() for seed in range(10)}) == 10


def test_the_tasks_draw_from_streams_of_their_own():
    labels = labels_with((100,) * 10)
    shifted = (labels + 5) % 10  # what is class 5-9 for one task is 0-4 for the other
    data, noisy = make_task("data", labels, classes=10, seed=0), make_task("noisy", shifted, classes=10, seed=0)
    assert not set(data.forget.tolist()) <= set(noisy.forget.tolist())


def test_images_are_drawn_from_all_over_a_class():
    labels = labels_with((0, 0, 0, 0, 0, 1000))
    chosen = make_task("data", labels, classes=10, seed=3).forget
    assert 420 < chosen.float().mean() < 580
    assert not torch.equal(chosen, torch.arange(400))


@given(st.sampled_from(["data", "class"]), histograms, seeds)
def test_only_the_noisy_task_changes_labels(name, labels, seed):
    task = make_task(name, labels, classes=10, seed=seed)
    assert torch.equal(task.train_labels, labels)
    assert torch.equal(task.true_labels, labels)


@given(histograms, seeds, st.booleans())
def test_wrong_labels_are_wrong_and_exactly_the_forgotten_ones(labels, seed, everywhere):
    before = labels.clone()
    task = make_task("noisy", labels, classes=10, seed=seed, all_wrong_labels=everywhere)
    assert torch.equal(labels, before), "the caller's labels were written to"
    assert torch.equal(task.true_labels, before)
    assert torch.equal((task.train_labels != before).nonzero().squeeze(1), task.forget)
    assert task.train_labels.dtype == torch.int64
    wrong = task.train_labels[task.forget]
    assert wrong.min() >= 0
    assert wrong.max() <= (9 if everywhere else 8)


@pytest.mark.parametrize(("everywhere", "last"), [(False, 8), (True, 9)])
def test_wrong_labels_are_uniform_over_the_other_classes(everywhere, last):
    labels = labels_with((20_000, 0, 0, 20_000, 0, 100))
    task = make_task("noisy", labels, classes=10, seed=0, all_wrong_labels=everywhere)
    for true in (0, 3):
        mine = task.forget[labels[task.forget] == true]
        share = task.train_labels[mine].bincount(minlength=10) / len(mine)
        assert share[true] == 0
        others = [label for label in range(last + 1) if label != true]
        assert torch.allclose(share[others], torch.tensor(1 / last), atol=0.015)
        assert share[last + 1:].sum() == 0


def test_several_classes():
    labels = labels_with((10,) * 10)
    task = make_task("class", labels, classes=10, seed=0, forget_classes=[7, 2, 2])
    assert task.forget_classes == (2, 7)
    assert set(labels[task.forget].tolist()) == {2, 7}
    assert set(labels[task.retain].tolist()) == set(range(10)) - {2, 7}
    assert task.is_kept_class(torch.tensor([1, 2, 3, 7])).tolist() == [True, False, True, False]


@pytest.mark.parametrize("name", ["data", "noisy"])
def test_forget_classes_matter_for_class_removal_only(name):
    labels = labels_with((10,) * 10)
    one, other = (make_task(name, labels, classes=10, seed=0, forget_classes=c) for c in ([1], [2]))
    assert one.checksum() == other.checksum()
    assert one.forget_classes == ()
    assert one.is_kept_class(labels).all()


def test_fewer_than_ten_classes():
    labels = labels_with((50,) * 7)
    data, noisy = (make_task(name, labels, classes=7, seed=0) for name in ("data", "noisy"))
    assert set(labels[data.forget].tolist()) == {5, 6}
    assert set(labels[noisy.forget].tolist()) == {0, 1, 2, 3, 4}
    assert noisy.train_labels.max() == 6
    assert noisy.train_labels[noisy.forget].max() == 5


@pytest.mark.parametrize(("change", "message"), [
    ({"name": "forget everything"}, "unknown task 'forget everything'"),
    ({"forget_classes": [10]}, "class 10 does not exist: classes are 0 to 9"),
    ({"forget_classes": [0, -1]}, "class -1 does not exist"),
    ({"forget_classes": []}, "at least one class to forget"),
    ({"forget_classes": range(10)}, "one to keep"),
    ({"labels": torch.zeros(30, dtype=torch.int64)}, "nothing to retain"),
    ({"labels": torch.ones(30, dtype=torch.int64)}, "nothing to forget"),
    ({"name": "data", "labels": labels_with((9, 9, 9))}, "nothing to forget"),
    ({"name": "noisy", "labels": labels_with((0, 0, 0, 0, 0, 9, 9))}, "nothing to forget"),
    ({"name": "data", "labels": labels_with((0, 0, 0, 0, 0, 2))}, "nothing to forget"),
])
def test_impossible_requests(change, message):
    request = {"name": "class", "labels": labels_with((10,) * 10), "forget_classes": [0]} | change
    with pytest.raises(ValueError, match=message):
        make_task(request["name"], request["labels"], classes=10, seed=0, forget_classes=request["forget_classes"])


def test_two_classes_without_a_wrong_label_to_draw():
    with pytest.raises(ValueError, match="wrong label"):
        make_task("noisy", labels_with((10, 10)), classes=2, seed=0)


def test_the_checksum_covers_index_sets_and_labels():
    task = make_task("noisy", labels_with((20,) * 10), classes=10, seed=0)
    assert len(task.checksum()) == 64
    other_labels = task.train_labels.clone()
    other_labels[task.forget[0]] = (other_labels[task.forget[0]] + 1) % 9
    moved = {"forget": task.forget[1:], "retain": task.retain[1:], "train_labels": other_labels}
    sums = {dataclasses.replace(task, **{name: value}).checksum() for name, value in moved.items()}
    assert len(sums | {task.checksum()}) == 4


@pytest.mark.usefixtures("random_state_untouched")
@pytest.mark.parametrize("name", TASKS)
def test_no_global_random_number_is_drawn(name):
    make_task(name, labels_with((20,) * 10), classes=10, seed=0)
