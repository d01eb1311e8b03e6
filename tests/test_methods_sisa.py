"""SISA and Unroll: what each is by definition."""

import dataclasses
import hashlib

import pytest
import torch
import torch.nn.functional as F
from methods_fakes import CLASSES, CountedExtractor, tiny_data, tiny_network, tiny_request
from torch import nn

from laf_utils.images import Images, Transform
from laf_utils.methods import METHODS, DataAccess, LabelAccess, UnlearningRequest, View, prepare, run_method, sisa, unroll
from laf_utils.methods.method import fingerprint
from laf_utils.models import Network
from laf_utils.representations import outputs
from laf_utils.settings.config import TrainingConfig

SHARDS = sisa.SISASettings(shards=4, slices=3, training=TrainingConfig(epochs=4, learning_rate=3e-3))


def deleting(rows, **changes):
    """A request to forget these rows of the tiny images."""
    images, labels = tiny_data()
    keep = torch.ones(len(images), dtype=torch.bool)
    keep[rows] = False
    forget, retain = (~keep).nonzero().squeeze(1), keep.nonzero().squeeze(1)
    return UnlearningRequest(
        tiny_network(), images.subset(forget), images.subset(retain), labels[forget], labels[retain],
        **{"fresh": tiny_network} | changes,
    )


@pytest.fixture(scope="module")
def prepared():
    """The ensemble, trained while something was to be deleted that the sharding must not know of."""
    return prepare("sisa", deleting(torch.tensor([0])), SHARDS)


def ask(prepared, rows):
    """The prepared request, now about these rows."""
    asked = deleting(rows)
    parts = ("forget", "retain", "forget_labels", "retain_labels")
    return dataclasses.replace(prepared, **{part: getattr(asked, part) for part in parts})


def trained(result):
    """{shard: slices trained} from the history's names ``sisa shard S slice R``."""
    found = {}
    for name in result.history:
        _, _, shard, _, number = name.split()
        found.setdefault(int(shard), []).append(int(number))
    return found


def test_only_shards_that_hold_deleted_images_train_on_from_their_last_intact_slice(prepared):
    shards = prepared.prepared["sisa"].shards
    result = run_method("sisa", ask(prepared, torch.stack([shards[1][2][0], shards[3][1][0]])), SHARDS)
    assert trained(result) == {1: [2], 3: [1, 2]}
    epochs = SHARDS.slice_epochs()
    of_shard = {s: [len(ids) for ids in shards[s]] for s in (1, 3)}
    images = sum(of_shard[1]) - 1 + (sum(of_shard[3][:2]) - 1) + (sum(of_shard[3]) - 1)
    assert result.passes.training == epochs * images and result.passes.frozen == 0
    before, after = prepared.original.extractor.members, result.model.extractor.members
    same = [fingerprint(a) == fingerprint(b) for a, b in zip(before, after, strict=True)]
    assert same == [True, False, True, False]


def test_deleting_nothing_trains_nothing_and_gives_the_same_ensemble(prepared):
    result = run_method("sisa", ask(prepared, torch.tensor([], dtype=torch.int64)), SHARDS)
    assert result.passes.equivalent == 0 and fingerprint(result.model) == fingerprint(prepared.original)


def test_deletion_is_exact_the_ensemble_trained_without_the_images_bit_for_bit(prepared):
    asked = ask(prepared, torch.arange(10, 30))
    from_checkpoints = run_method("sisa", asked, SHARDS)
    state = dataclasses.replace(prepared.prepared["sisa"], checkpoints={})
    from_scratch = run_method("sisa", dataclasses.replace(asked, prepared={"sisa": state}), SHARDS)
    assert fingerprint(from_checkpoints.model) == fingerprint(from_scratch.model)
    assert from_checkpoints.passes.training <= from_scratch.passes.training


def test_requests_may_follow_one_another(prepared):
    first = run_method("sisa", ask(prepared, torch.arange(3)), SHARDS)
    asked = dataclasses.replace(ask(prepared, torch.arange(6)), original=first.model, prepared=first.prepared)
    assert fingerprint(run_method("sisa", asked, SHARDS).model) == fingerprint(
        run_method("sisa", ask(prepared, torch.arange(6)), SHARDS).model
    )


def test_a_slice_or_shard_that_is_deleted_altogether_is_no_error(prepared):
    rows = torch.cat(prepared.prepared["sisa"].shards[0])
    result = run_method("sisa", ask(prepared, rows), SHARDS)
    assert 0 not in trained(result) and result.passes.training == 0
    weighted = dataclasses.replace(SHARDS, weighted=True)
    state = dataclasses.replace(prepared.prepared["sisa"], settings=weighted)
    gone = run_method("sisa", dataclasses.replace(ask(prepared, rows), prepared={"sisa": state}), weighted)
    assert gone.model.classifier.weights[0] == 0  # nobody trained it, nobody asks it


def test_shards_do_not_depend_on_what_is_deleted_and_cover_every_image_once(prepared):
    lists = [[ids.tolist() for ids in slices] for slices in prepared.prepared["sisa"].shards]
    other = prepare("sisa", deleting(torch.arange(50, 60)), SHARDS).prepared["sisa"]
    assert lists == [[ids.tolist() for ids in slices] for slices in other.shards]
    assert sorted(i for slices in lists for ids in slices for i in ids) == list(range(len(tiny_data()[0])))
    assert [len(slices) for slices in lists] == [3] * 4


def test_checkpoints_are_keyed_by_the_hash_of_the_list_minus_the_deletions():
    slices = (torch.tensor([4, 2]), torch.tensor([7]))
    keys = sisa.prefix_keys(1, slices)
    by_hand = b"shard 1|2|" + torch.tensor([4, 2]).numpy().tobytes()
    assert keys[0] == hashlib.sha256(by_hand).hexdigest()
    assert keys[1] == hashlib.sha256(by_hand + b"|1|" + torch.tensor([7]).numpy().tobytes()).hexdigest()
    state = sisa.SISAState(SHARDS, 0, (slices,), {}, nn.Identity()).without(torch.tensor([2, 4]))
    assert [ids.tolist() for ids in state.shards[0]] == [[4, 2], []]
    assert sisa.prefix_keys(1, state.shards[0])[0] == keys[0] and sisa.prefix_keys(1, state.shards[0])[1] != keys[1]
    assert sisa.prefix_keys(0, slices)[0] != keys[0]


def test_the_vote_equals_one_counted_by_hand():
    logits = torch.tensor([  # three members, two images, three classes
        [[5.0, 0.0, 0.0], [2.0, 0.0, 0.0]],
        [[0.0, 1.0, 0.0], [0.0, 9.0, 0.0]],
        [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    ])
    equal = sisa.vote(logits, torch.ones(3) / 3)
    # Image 0: one vote against two, however sure the one is. Image 1: a vote each, the surest decides.
    assert equal.argmax(1).tolist() == [1, 1]
    torch.testing.assert_close(equal.softmax(1)[0], torch.tensor([1 / 3, 2 / 3, 0]), atol=2e-3, rtol=0)
    torch.testing.assert_close(equal.exp().sum(1), torch.ones(2))
    weighted = sisa.vote(logits, torch.tensor([0.6, 0.2, 0.2]))
    assert weighted.argmax(1).tolist() == [0, 0]


def test_the_ensemble_is_a_network_like_any_other(prepared):
    images, labels = tiny_data(seed=3, count=40)
    given = outputs(prepared.original, images)
    assert given.representations.shape == (40, 4 * 12) and given.logits.shape == (40, CLASSES)
    members = zip(prepared.original.extractor.members, prepared.original.classifier.members, strict=True)
    x = images.batch(torch.arange(40))
    with torch.no_grad():
        ballots = torch.stack([head(extractor(x)).argmax(1) for extractor, head in members])
    counted = F.one_hot(ballots, CLASSES).sum(0)
    assert (counted.gather(1, given.predictions[:, None]).squeeze(1) == counted.max(1).values).all()
    assert (given.predictions == labels).float().mean() > 0.5


def test_epochs_per_slice_pass_as_many_images_as_without_slices():
    for slices in (1, 3, 4, 9):
        epochs = dataclasses.replace(SHARDS, slices=slices, training=TrainingConfig(epochs=20)).slice_epochs()
        passed = sum(epochs * number / slices for number in range(1, slices + 1))
        assert passed == pytest.approx(20, rel=0.05)


def test_members_are_trained_without_a_builder_too(prepared):
    plain = dataclasses.replace(deleting(torch.arange(5)), fresh=None)
    request = prepare("sisa", plain, SHARDS)
    assert run_method("sisa", request, SHARDS).model.classifier.weights.shape == (4,)


def test_what_cannot_work_is_refused(prepared):
    with pytest.raises(ValueError, match="the ensemble was trained with"):
        run_method("sisa", prepared, dataclasses.replace(SHARDS, shards=2))
    request = deleting(torch.arange(5))
    apart = dataclasses.replace(request, forget=Images(request.forget.pixels[:5].clone(), Transform()))
    with pytest.raises(ValueError, match="views of one pixel tensor"):
        prepare("sisa", apart, SHARDS)


# -- Unroll ---------------------------------------------------------------------------------------------------------------------


class Flat(Network):
    """One linear layer over pixels: cross-entropy has a gradient that can be written down."""

    def __init__(self, seed):
        draw = torch.Generator().manual_seed(seed)
        layer = nn.utils.skip_init(nn.Linear, 2, 2)
        with torch.no_grad():
            layer.weight.copy_(torch.randn(2, 2, generator=draw))
            layer.bias.copy_(torch.randn(2, generator=draw))
        super().__init__(nn.Flatten(), layer)


def flat_request():
    draw = torch.Generator().manual_seed(0)
    images = Images(torch.randint(0, 256, (10, 1, 1, 2), dtype=torch.uint8, generator=draw), Transform())
    labels = torch.tensor([0, 1] * 5)
    rows = torch.arange(10)
    return UnlearningRequest(Flat(1), images.subset(rows[:3]), images.subset(rows[3:]), labels[:3], labels[3:])


def test_unroll_equals_the_closed_form_on_a_linear_model():
    request, initial = flat_request(), Flat(2)
    state = unroll.UnrollState(
        {name: p.detach() for name, p in initial.named_parameters()}, learning_rate=0.3, epochs=5, batch_size=8
    )
    result = run_method("unroll", dataclasses.replace(request, prepared={"unroll": state}))
    x = request.forget.batch(torch.arange(3)).flatten(1)
    with torch.no_grad():  # d CE / d W = (softmax(W0 x + b0) - onehot(y)) x^T, the mean over the batch of three
        residue = (initial.classifier(x).softmax(1) - F.one_hot(request.forget_labels, 2)) / 3
        weight = request.original.classifier.weight + 0.3 * 5 * residue.T @ x
        bias = request.original.classifier.bias + 0.3 * 5 * residue.sum(0)
    torch.testing.assert_close(result.model.classifier.weight.detach(), weight)
    torch.testing.assert_close(result.model.classifier.bias.detach(), bias)
    assert result.passes.training == 3


def test_each_batch_counts_by_its_mean_and_strength_scales_the_sum():
    request, initial = flat_request(), Flat(2)
    start = {name: p.detach() for name, p in initial.named_parameters()}
    state = unroll.UnrollState(start, learning_rate=0.1, epochs=1, batch_size=2)  # batches joined to three: see loops.batches
    small = dataclasses.replace(state, batch_size=1)
    view = View(dataclasses.replace(request, prepared={"unroll": small}), "unroll", LabelAccess.ALL,
                DataAccess.FORGET | DataAccess.STATE)
    apart = unroll.first_steps(view, small)["classifier.weight"]
    together = unroll.first_steps(view, state)["classifier.weight"]
    assert not torch.allclose(apart, together)  # more batches, more steps
    runs = [
        run_method("unroll", dataclasses.replace(request, prepared={"unroll": state}), unroll.UnrollSettings(strength=strength))
        for strength in (1.0, 0.5)
    ]
    moves = [run.model.classifier.weight - request.original.classifier.weight for run in runs]
    torch.testing.assert_close(moves[1], 0.5 * moves[0])


def test_for_an_adam_trained_original_adams_own_first_steps_are_added_back():
    """What is added back is what torch's Adam makes of the same gradients."""
    request, initial = flat_request(), Flat(2)
    start = {name: p.detach().clone() for name, p in initial.named_parameters()}
    state = unroll.UnrollState(start, learning_rate=0.1, epochs=1, batch_size=1, optimiser="adam")
    view = View(dataclasses.replace(request, prepared={"unroll": state}), "unroll", LabelAccess.ALL,
                DataAccess.FORGET | DataAccess.STATE)
    moved = unroll.first_steps(view, state)["classifier.weight"]
    weight = nn.Parameter(start["classifier.weight"].clone())
    optimiser = torch.optim.Adam([weight], lr=1.0)
    for rows in unroll._forget_batches(view, 1):
        x = request.forget.batch(rows).flatten(1)
        fixed = start["classifier.weight"].clone().requires_grad_(True)
        loss = F.cross_entropy(F.linear(x, fixed, start["classifier.bias"]), request.forget_labels[rows])
        (weight.grad,) = torch.autograd.grad(loss, fixed)
        optimiser.step()
    torch.testing.assert_close(moved, start["classifier.weight"] - weight.detach(), rtol=1e-4, atol=1e-5)


def test_the_original_sees_the_forget_batches_first_and_in_the_same_batches(monkeypatch):
    seen = []
    request = tiny_request()
    settings = dataclasses.replace(METHODS["unroll"].settings, epochs=2, batch_size=16)
    known = CountedExtractor.forward
    monkeypatch.setattr(CountedExtractor, "forward", lambda self, images: seen.append(images.clone()) or known(self, images))
    prepared = prepare("unroll", request, settings)
    in_training, count = list(seen), 2 + 5  # batches of D_f and of D_r in an epoch
    seen.clear()
    run_method("unroll", prepared, settings)
    assert len(in_training) == 2 * count and len(seen) == 2
    assert all(torch.equal(now, then) for now, then in zip(seen, in_training[:2], strict=True))
    state = prepared.prepared["unroll"]
    assert (state.learning_rate, state.epochs, state.batch_size, state.optimiser) == (0.01, 2, 16, "sgd")
    for name, value in tiny_network(0, "original").named_parameters():
        assert torch.equal(state.initial[name], value)


def test_an_adam_original_can_be_prepared_too():
    settings = dataclasses.replace(METHODS["unroll"].settings, epochs=1, optimiser="adam", learning_rate=1e-3)
    prepared = prepare("unroll", tiny_request(), settings)
    assert prepared.prepared["unroll"].optimiser == "adam"
    assert run_method("unroll", prepared, settings).passes.training == len(prepared.forget)
