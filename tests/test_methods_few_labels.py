"""Baselines told the labels of a share of D_r see that share alone; told all of them, they are the methods themselves."""

import dataclasses

import pytest
import torch
from methods_fakes import CountingLabels, Tripwire, tiny_request

from laf_utils.methods import DataAccess, LabelAccess, LabelAccessError, View, run_method
from laf_utils.methods import few_labels as room
from laf_utils.methods.few_labels import LabelledShare, on_share
from laf_utils.methods.method import Sizes, fingerprint, with_pseudo_labels
from laf_utils.methods.neggrad import NegGradPlusSettings, neggrad_plus_passes
from laf_utils.methods.request import row_ids
from laf_utils.methods.scrub import ScrubSettings, scrub_passes
from laf_utils.settings.config import TrainingConfig
from laf_utils.training import train

SETTINGS = {
    "retrain_few": TrainingConfig(epochs=2, learning_rate=3e-3),
    "scrub_few": ScrubSettings(epochs=2, max_steps=1, learning_rate=5e-3, forget_batch=8, retain_batch=8),
    "neggrad_plus_few": NegGradPlusSettings(bounded=True, epochs=2, alpha=0.5, learning_rate=0.1, forget_batch=8, retain_batch=8),
}
FEW = tuple(SETTINGS)
SHARE = 0.3


@pytest.fixture(scope="module")
def whole():
    """The tiny request with every label of D_r known."""
    return tiny_request(label_share=1.0)


@pytest.fixture
def known(whole):
    """The labels of D_r, which remember what was read of them."""
    return CountingLabels(whole.retain_labels)


@pytest.fixture
def few(whole, known):
    """The labels of a share of D_r; those of D_f must not be touched."""
    return dataclasses.replace(whole, label_share=SHARE, retain_labels=known, forget_labels=Tripwire())


def labelled(request):
    """(rows, labels) that a view of the request gives; the count of what was read is put back."""
    plain = dataclasses.replace(request, retain_labels=request.retain_labels.labels)
    return View(plain, "any", LabelAccess.FEW, DataAccess.BOTH).retain.few_labels()


def without_the_rest(request, rows):
    """The request with every image of D_r outside ``rows`` painted over."""
    own = row_ids(request.retain)
    others = own[~torch.isin(torch.arange(len(own)), rows)]
    pixels = request.retain.pixels.clone()
    pixels[others] = 255 - pixels[others]
    parts = {part: dataclasses.replace(getattr(request, part), pixels=pixels) for part in ("forget", "retain")}
    return dataclasses.replace(request, **parts)


# -- what they see ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FEW)
def test_only_the_labels_of_the_share_are_read_and_none_of_the_forgotten(name, few, known):
    run_method(name, few, SETTINGS[name])
    rows, _ = labelled(few)
    assert known.read == rows.tolist() and len(rows) == round(SHARE * len(few.retain))


@pytest.mark.parametrize("name", FEW)
def test_retained_images_without_a_label_have_no_part_in_it(name, few):
    rows, _ = labelled(few)
    seen = run_method(name, few, SETTINGS[name]).model
    unseen = run_method(name, without_the_rest(few, rows), SETTINGS[name]).model
    assert fingerprint(seen) == fingerprint(unseen)
    # The painting is no empty gesture: of images with a label it changes the result.
    assert fingerprint(run_method(name, without_the_rest(few, rows[:-1]), SETTINGS[name]).model) != fingerprint(seen)


def test_retrain_few_trains_on_the_labelled_rows_and_their_labels(few, monkeypatch):
    given = []
    monkeypatch.setattr(room, "train", lambda *values, **named: given.append((values, named)) or train(*values, **named))
    run_method("retrain_few", few, SETTINGS["retrain_few"])
    ((_, images, labels, settings), named), (rows, truth) = given[0], labelled(few)
    assert torch.equal(row_ids(images), row_ids(few.retain)[rows]) and torch.equal(labels, truth)
    assert settings == SETTINGS["retrain_few"] and named == {"seed": few.seed, "stage": "retrained"}


def test_a_share_is_drawn_by_the_seed(few):
    others = labelled(dataclasses.replace(few, seed=few.seed + 1))[0]
    assert len(others) == len(labelled(few)[0]) and not torch.equal(others, labelled(few)[0])


def test_the_share_gives_its_labels_and_leaves_those_of_the_forgotten_closed(few):
    view = View(few, "mine", LabelAccess.FEW, DataAccess.BOTH)
    share, (rows, truth) = LabelledShare(view), labelled(few)
    assert torch.equal(share.retain.labels, truth) and len(share.retain) == len(rows)
    assert share.forget is view.forget and torch.equal(share.forget.targets, view.forget.pseudo_labels)
    for closed in (lambda: share.forget.labels, lambda: view.retain.labels):
        with pytest.raises(LabelAccessError, match="'few, of D_r'"):
            closed()


# -- told everything, they are the methods themselves -------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "plain"), [("retrain_few", "retrain"), ("scrub_few", "scrub")])
def test_with_all_labels_it_is_the_method_bit_for_bit(name, plain, whole):
    ours, theirs = (run_method(one, whole, SETTINGS[name]) for one in (name, plain))
    assert fingerprint(ours.model) == fingerprint(theirs.model)
    assert ours.history == theirs.history and ours.passes == theirs.passes


def test_with_all_labels_neggrad_plus_knows_the_retained_and_guesses_the_forgotten(whole):
    guessed = View(whole, "mine", LabelAccess.NONE, DataAccess.BOTH).forget.pseudo_labels
    wrong = (guessed + 1) % 4  # an original that is right about everything would make guess and truth one
    settings = SETTINGS["neggrad_plus_few"]
    ours = run_method("neggrad_plus_few", dataclasses.replace(whole, forget_labels=wrong), settings)
    assert fingerprint(ours.model) == fingerprint(
        run_method("neggrad_plus", dataclasses.replace(whole, forget_labels=guessed), settings).model
    )
    assert fingerprint(ours.model) != fingerprint(
        run_method("neggrad_plus", dataclasses.replace(whole, forget_labels=wrong), settings).model
    )
    # Of D_r it takes the labels, not what the original says of them.
    turned = dataclasses.replace(whole, retain_labels=whole.retain_labels.roll(1))
    assert fingerprint(run_method("neggrad_plus_few", turned, settings).model) != fingerprint(ours.model)


def test_at_a_share_they_differ_from_the_methods_with_all_labels(few, whole):
    for name in FEW:
        assert fingerprint(run_method(name, few, SETTINGS[name]).model) != fingerprint(
            run_method(name, whole, SETTINGS[name]).model
        )


# -- what they cost -----------------------------------------------------------------------------------------------------------


def test_passes_are_those_of_the_method_on_the_share_alone(few):
    forget, known = len(few.forget), len(labelled(few)[0])
    spent = {name: run_method(name, few, SETTINGS[name]).passes for name in FEW}
    assert (spent["retrain_few"].training, spent["retrain_few"].frozen) == (2 * known, 0)
    # SCRUB: one epoch over D_f, two over the share; the teacher passes each once.
    assert (spent["scrub_few"].training, spent["scrub_few"].frozen) == (forget + 2 * known, forget + known)
    # NegGrad+: every batch of the share has one of D_f beside it; the original passes D_f once, for the pseudo-labels.
    walk = neggrad_plus_passes(SETTINGS["neggrad_plus_few"], Sizes(forget, known))
    assert (spent["neggrad_plus_few"].training, spent["neggrad_plus_few"].frozen) == (walk.training, forget)


def test_a_count_on_the_share_takes_few_for_retain():
    sizes = Sizes(forget=10, retain=1000, few=50)
    plain = scrub_passes(SETTINGS["scrub_few"], Sizes(10, 50))
    assert on_share(scrub_passes)(SETTINGS["scrub_few"], sizes) == plain
    pseudo = with_pseudo_labels(on_share(scrub_passes), retain=False)(SETTINGS["scrub_few"], sizes)
    assert (pseudo.training, pseudo.frozen) == (plain.training, plain.frozen + 10)
