"""``forget``: any classifier, any images, the report. On small stand-ins; guards and real models have files of their own."""

import copy
import json
import math
import re

import numpy as np
import pytest
import torch
from forgetting_fakes import GONE, LIGHT, UNSEEN, UNSEEN_LABELS, Own, X, Y, accuracy, forget, light, own_model, patterns, trained
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset
from torchvision.transforms import functional as TF

import laf_utils
from laf_utils.forgetting import Refused, engine, preparing
from laf_utils.forgetting import call as call_room
from laf_utils.forgetting.choice import check_network
from laf_utils.forgetting.options import Options
from laf_utils.forgetting.preparing import Given
from laf_utils.forgetting.sources import ArrayStore, DatasetStore
from laf_utils.methods.laf import LAFRSettings
from laf_utils.methods.method import fingerprint, shares_storage


@pytest.fixture(scope="module")
def model():
    return trained(own_model(), X, Y)


@pytest.fixture(scope="module")
def done(model):
    """One class forgotten, with everything at hand."""
    return light(model, X[GONE], X[~GONE], unseen=UNSEEN, unseen_labels=UNSEEN_LABELS)


def refused(reason, *arguments, **options):
    with pytest.raises(Refused) as caught:
        forget(*arguments, **options)
    assert caught.value.reason == reason
    assert "\n" not in str(caught.value)
    return str(caught.value)


# -- one call ---------------------------------------------------------------------------------------------------------


def test_a_class_is_forgotten_and_the_rest_is_kept(model, done):
    assert accuracy(model, X[GONE], Y[GONE]) > 0.95
    assert accuracy(done.model, X[GONE], Y[GONE]) < 0.05
    kept = UNSEEN_LABELS != 0
    assert accuracy(done.model, UNSEEN[kept], UNSEEN_LABELS[kept]) > accuracy(model, UNSEEN[kept], UNSEEN_LABELS[kept]) - 0.03
    assert done.report.acceptable and len(done.report.content["attempts"]) == 1
    assert done.report.content["scope"]["classes"] == [0]
    assert done.report.content["method"]["name"] == "laf" and "no label" in done.report.content["method"]["reason"]


def test_settings_derived_from_the_data_forget_too(model):
    """As a practitioner calls it: the watch makes as many attempts, each stronger, as the model needs."""
    unlearned, report = forget(model, X[GONE], X[~GONE], device="cpu")  # rounding elsewhere may need one attempt less
    assert accuracy(unlearned, X[GONE], Y[GONE]) < 0.05 and report.acceptable
    strengths = [attempt["strength"] for attempt in report.content["attempts"]]
    assert strengths == [1.0, 5.0, 25.0][: len(strengths)]


def test_the_model_is_untouched_and_shares_nothing(model):
    model = copy.deepcopy(model).train()
    for number, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(number > 0)
    model.stem[1].eval()  # as somebody who freezes BatchNorm has it
    before, modes = fingerprint(model), [module.training for module in model.modules()]
    unlearned, _ = forget(model, X[GONE], X[~GONE])
    assert fingerprint(model) == before and not shares_storage(model, unlearned)
    assert [module.training for module in model.modules()] == modes
    assert type(unlearned) is Own and not unlearned.training
    assert [p.requires_grad for p in unlearned.parameters()] == [p.requires_grad for p in model.parameters()]
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in (*model.modules(), *unlearned.modules()))


def test_the_head_keeps_its_weights(model, done):
    assert torch.equal(model.decide.weight, done.model.decide.weight)
    assert not torch.equal(model.mix.weight, done.model.mix.weight)


def test_the_same_seed_gives_the_same_weights(model, done):
    again = light(model, X[GONE], X[~GONE], unseen=UNSEEN)
    assert fingerprint(again.model) == fingerprint(done.model)
    assert fingerprint(forget(model, X[GONE], X[~GONE], unseen=UNSEEN, seed=1).model) != fingerprint(done.model)


def test_the_package_offers_it_without_importing_it():
    assert laf_utils.forget is call_room.forget
    with pytest.raises(AttributeError, match="no attribute 'remember'"):
        laf_utils.remember  # noqa: B018


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_any_floating_format_comes_back_as_it_was(model, dtype):
    own = copy.deepcopy(model).to(dtype)
    unlearned, _ = light(own, X[GONE].to(dtype), X[~GONE].to(dtype))
    assert {p.dtype for p in unlearned.parameters()} == {dtype}
    assert accuracy(unlearned, X[GONE].to(dtype), Y[GONE]) < 0.05
    assert torch.equal(own.decide.weight, unlearned.decide.weight), "what is not trained keeps every bit"


@pytest.mark.parametrize(("width", "classes"), [(12, 7), (300, 4)])
def test_any_width_and_number_of_classes(width, classes):
    own = trained(own_model(width=width, classes=classes), X, Y, steps=80)
    unlearned, report = light(own, X[GONE], X[~GONE])
    assert accuracy(unlearned, X[GONE], Y[GONE]) < 0.1 and accuracy(own, X[GONE], Y[GONE]) > 0.9
    assert report.content["images"]["forget"] == int(GONE.sum())


def test_a_single_image_can_be_asked_for(model):
    _, report = light(model, X[:1], X[1:])
    assert report.content["images"]["forget"] == 1 and report.content["scope"]["name"] == "instances"
    assert not report.acceptable and "nobody can tell" in report.content["reasons"][0]


# -- images of all kinds ----------------------------------------------------------------------------------------------


class Items(Dataset):
    """Items of some shape; a label that is touched is an error."""

    def __init__(self, inputs, kind):
        self.inputs, self.kind = inputs, kind

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, row):
        x = self.inputs[row]
        if self.kind == "numpy":
            return x.numpy()
        return {"tuple": (x, "label"), "plain": x, "dict": {"label": "no", "image": x}}[self.kind]


class Stream(IterableDataset):
    def __init__(self, inputs):
        self.inputs = inputs

    def __iter__(self):
        return iter((x, "label") for x in self.inputs)


KINDS = {
    "tuples": lambda x: Items(x, "tuple"), "plain items": lambda x: Items(x, "plain"), "dictionaries": lambda x: Items(x, "dict"),
    "numpy items": lambda x: Items(x, "numpy"), "array": lambda x: x.numpy(),
    "subset": lambda x: Subset(TensorDataset(x), range(len(x))), "loader": lambda x: DataLoader(TensorDataset(x), batch_size=50),
    "shuffled loader": lambda x: DataLoader(Items(x, "plain"), shuffle=True),
    "streamed loader": lambda x: DataLoader(Stream(x), batch_size=64), "iterable": Stream,
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_images_in_any_form_give_the_same_weights(model, done, kind):
    found = light(model, KINDS[kind](X[GONE]), KINDS[kind](X[~GONE]), unseen=UNSEEN)
    assert fingerprint(found.model) == fingerprint(done.model)


def test_a_loader_with_a_sampler_of_its_own_gives_what_it_samples(model):
    chosen = GONE.nonzero().flatten().tolist()
    loader = DataLoader(TensorDataset(X), sampler=torch.utils.data.SubsetRandomSampler(chosen))
    assert light(model, loader, X[~GONE]).report.content["images"]["forget"] == len(chosen)


def test_a_mapped_array_is_read_row_by_row(model, done, tmp_path):
    np.save(tmp_path / "retain.npy", X[~GONE].numpy())
    found = light(model, X[GONE], np.load(tmp_path / "retain.npy", mmap_mode="r"), unseen=UNSEEN)
    assert fingerprint(found.model) == fingerprint(done.model)


def test_a_folder_of_images(model, tmp_path):
    pixels = ((X.clamp(-3, 3) + 3) / 6 * 255).round().to(torch.uint8)
    for part, rows in (("forget", GONE), ("retain", ~GONE)):
        (tmp_path / part).mkdir()
        for number, image in enumerate(pixels[rows][:250]):
            TF.to_pil_image(image).save(tmp_path / part / f"{number:03}.png")

    def undo(image):
        return TF.to_tensor(image) * 6 - 3

    unlearned, report = light(model, tmp_path / "forget", str(tmp_path / "retain"), transform=undo)
    assert accuracy(unlearned, X[GONE], Y[GONE]) < 0.1
    assert report.content["images"]["retain"] == 250


def test_uint8_images_need_and_take_a_transform(model):
    pixels = ((X.clamp(-3, 3) + 3) / 6 * 255).round().to(torch.uint8)
    assert "transform" in refused("bad_images", model, pixels[GONE], pixels[~GONE])
    found = light(model, pixels[GONE], pixels[~GONE], transform=lambda batch: batch.float() / 255 * 6 - 3)
    assert accuracy(found.model, X[GONE], Y[GONE]) < 0.1


def test_random_transforms_are_refused(model):
    class Noisy(Items):
        def __getitem__(self, row):
            return self.inputs[row] + torch.rand(())

    refused("unstable_images", model, Noisy(X[GONE], ""), X[~GONE])


def test_things_that_are_no_images(model, tmp_path):
    refused("bad_images", model, 3, X[~GONE])
    refused("bad_images", model, tmp_path / "nowhere", X[~GONE])
    (tmp_path / "broken.png").write_bytes(b"no image")
    assert "broken.png" in refused("bad_images", model, tmp_path, X[~GONE])
    refused("bad_images", model, Items(["text"] * 3, "plain"), X[~GONE])
    refused("bad_images", model, X[GONE], X[~GONE], retain_labels=[1, 2, 3])


# -- memory -----------------------------------------------------------------------------------------------------------


def test_what_exceeds_the_bound_lies_in_files_and_changes_nothing(tmp_path):
    """Representations wider than the bound allows: the same weights from files as from memory, and the files are gone."""
    own = trained(own_model(width=700), X, Y, steps=30)
    inside = light(own, X[GONE], X[~GONE], seed=3)
    outside = light(own, X[GONE], X[~GONE], seed=3, memory=1 << 20, folder=tmp_path / "cache")
    assert fingerprint(inside.model) == fingerprint(outside.model)
    used = outside.report.content["memory"]
    assert used["in_memory"] <= used["bound"] == 1 << 20 and used["on_disk"] > 0
    assert inside.report.content["memory"]["on_disk"] == 0
    assert list((tmp_path / "cache").iterdir()) == []


def test_images_are_streamed(model):
    """No more than a batch of a frozen pass is ever asked for at once, however large the set."""

    class Counting(ArrayStore):
        most = 0

        def read(self, rows):
            Counting.most = max(Counting.most, len(rows))
            return super().read(rows)

    images = preparing.OwnImages(Counting(torch.zeros(5_000, 3, 64, 64)), torch.device("cpu"), torch.float32, torch.arange(5_000))
    assert sum(len(batch) for batch in images.in_order(5_000)) == 5_000
    assert Counting.most * 3 * 64 * 64 * 4 <= 64 << 20


def test_small_sets_are_read_once_and_large_ones_from_where_they_are():
    images = preparing.OwnImages(DatasetStore(TensorDataset(X)), torch.device("cpu"), torch.float32, torch.arange(100))
    assert isinstance(images.held(1 << 20).store, ArrayStore)
    assert images.held(1_000) is images
    assert torch.equal(images.held(1 << 20).batch(torch.tensor([3, 5])), X[[3, 5]])


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_nothing_to_forget(model):
    refused("nothing_to_forget", model, X[:0], X)
    refused("nothing_to_forget", model, None, X)


def test_overlap_is_refused_or_dropped(model):
    message = refused("overlap", model, X[:40], X[30:])
    assert "10 images are" in message and "0, 1, 2 and 7 more" in message
    assert "1 image is in both sets (rows of the retained: 0)" in refused("overlap", model, X[:40], X[39:])
    dropped = light(model, X[:40], X[30:], overlap="drop")
    plain = light(model, X[:40], X[40:])
    assert dropped.report.content["images"]["dropped"] == 10
    assert fingerprint(dropped.model) == fingerprint(plain.model)


@pytest.mark.parametrize("dry", [True, False])
def test_a_method_that_the_network_is_not_made_for_is_refused_before_anything_is_trained(monkeypatch, dry):
    flat = nn.Sequential(nn.Flatten(), nn.Linear(192, 16), nn.ReLU(), nn.Linear(16, 4)).eval()
    monkeypatch.setattr(call_room, "carry_out", lambda *_: pytest.fail("it began"))

    def said(method):
        if not dry:
            return refused("method", flat, X[GONE], X[~GONE], method=method, scope="class")
        with pytest.raises(Refused) as caught:
            call_room.refused(flat, Given(X[GONE], X[~GONE]), Options(method=method, scope="class"), None)
        return str(caught.value)

    assert "mixunlearn: MixUnlearn's generator needs a feature map" in said("mixunlearn")


def test_a_class_that_random_embeddings_never_reach_is_refused():
    network = nn.Sequential(nn.Linear(4, 3))
    with torch.no_grad():
        network[0].bias.copy_(torch.tensor([1e3, 0.0, 0.0]))
    check_network("synthetic", network, torch.zeros(2, 4), [0])
    with pytest.raises(Refused, match=r"takes none for \[2\]"):
        check_network("synthetic", network, torch.zeros(2, 4), [2])


def test_a_model_without_a_linear_head():
    convolutional = nn.Sequential(nn.Conv2d(3, 4, 8), nn.Flatten()).eval()
    assert "below" in refused("no_linear_head", convolutional, X[GONE], X[~GONE])
    softmax = nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.Softmax(1)).eval()
    assert "logits" in refused("no_linear_head", softmax, X[GONE], X[~GONE])

    class Nothing(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(192, 4)

        def forward(self, x):
            return self.layer(x.flatten(1))[None], None

    assert "one tensor" in refused("no_linear_head", Nothing(), X[GONE], X[~GONE])


def test_a_head_can_be_named_and_the_name_is_checked(model):
    assert "ends" not in refused("no_linear_head", model, X[GONE], X[~GONE], head="nowhere")
    refused("no_linear_head", model, X[GONE], X[~GONE], head="mix")
    two = nn.Sequential(nn.Flatten(), nn.Linear(192, 16), nn.ReLU(), nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4)))
    trained(two, X, Y)
    found = light(two, X[GONE], X[~GONE], head="3")
    assert found.report.content["options"]["head"] == "3"
    assert light(two, X[GONE], X[~GONE]).report.content["options"]["head"] == "3.2"


def test_batch_statistics_that_would_leak():
    leaking = own_model()
    leaking.stem[1] = nn.BatchNorm2d(12, track_running_stats=False)
    assert "neighbours" in refused("batch_statistics", leaking.eval(), X[GONE], X[~GONE])


def test_batch_statistics_stay_without_retained_images(model):
    assert "accept" in refused("batch_statistics", model, X[GONE])
    _, report = forget(model, X[GONE], accept=("batch_statistics",))
    assert report.content["method"]["name"] == "closed_form" and not report.acceptable
    assert any("utility could not be measured" in reason for reason in report.content["reasons"])


def test_batch_statistics_are_those_of_retained_images(model, done):
    """The unlearned copy's are computed from retained images alone."""
    with torch.no_grad():
        retained = model.stem[0](X[~GONE]).mean((0, 2, 3))
        everything = model.stem[0](X).mean((0, 2, 3))
    own = done.model.stem[1].running_mean
    assert (own - retained).norm() < 0.5 * (own - everything).norm()


def test_derived_settings_estimate_batch_statistics_anew_where_there_are_any(model):
    _, report = forget(model, X[GONE], X[~GONE], scope="instances", method="laf")
    few = report.content["method"]["settings"]["unlearning"]["batchnorm"]
    assert few == "original", "300 retained images are too few"
    many, _ = patterns(2_000, 1)
    for own, expected in ((model, "retain"), (nn.Sequential(nn.Flatten(), nn.Linear(192, 24), nn.Linear(24, 4)), "original")):
        _, report = forget(own, many[:40], many[40:], scope="instances", method="laf")
        assert report.content["method"]["settings"]["unlearning"]["batchnorm"] == expected


def test_a_model_that_rolls_dice(model):
    class Dropping(Own):
        def forward(self, x):
            return super().forward(torch.nn.functional.dropout(x, 0.5, training=True))

    refused("unstable_model", Dropping().eval(), X[GONE], X[~GONE])
    broken = copy.deepcopy(model)
    broken.mix.weight.data[0, 0] = math.nan
    assert "not finite" in refused("unstable_model", broken, X[GONE], X[~GONE])


def test_too_few_retained_images(model):
    refused("too_few_images", model, X[GONE], X[~GONE][:20])


@pytest.mark.parametrize(
    ("option", "value"),
    [("floor", 1.5), ("overlap", "ignore"), ("accept", ("everything",)), ("memory", 10), ("scope", "both")],
)
def test_options_that_cannot_be_meant(model, option, value):
    with pytest.raises(ValueError, match=option):
        light(model, X[GONE], X[~GONE], **{option: value})


# -- methods ----------------------------------------------------------------------------------------------------------


def test_labels_of_retained_images_allow_the_repair(model):
    settings = LAFRSettings(LIGHT.vae, LIGHT.unlearning)
    _, report = forget(model, X[GONE], X[~GONE], retain_labels=Y[~GONE], settings=settings)
    assert report.content["method"]["name"] == "laf_r"
    assert "repair" in report.content["attempts"][-1]["ended"]


def test_labels_are_read_by_no_other_method(model):
    plain = light(model, X[GONE], X[~GONE], method="laf")
    labelled = light(model, X[GONE], X[~GONE], method="laf", retain_labels=torch.randint(0, 4, (int((~GONE).sum()),)))
    assert fingerprint(plain.model) == fingerprint(labelled.model)


@pytest.mark.parametrize("method", ["lfssd", "ts", "scrub_unlabelled", "jit", "neggrad_plus_pseudo"])
def test_other_label_free_methods_run_under_the_same_guards(model, method):
    unlearned, report = forget(model, X[GONE], X[~GONE], method=method)
    assert report.content["method"]["name"] == method and report.content["attempts"][0]["looks"]
    assert report.content["utility"]["retain"]["utility"] >= 95 or not report.content["kept"]


def test_methods_that_need_more_are_refused(model):
    for method in ("sisa", "retrain", "scrub_r", "boundary_shrink", "boundary_expand", "nothing"):
        refused("method", model, X[GONE], X[~GONE], method=method)
    refused("method", model, X[GONE], method="laf", accept=("batch_statistics",))
    refused("method", model, X[GONE], X[~GONE], method="laf_r")


def test_interpolation_ends_at_both_models(model, done):
    for share, end in ((0.0, model), (1.0, done.model)):
        mixed = engine.interpolated(model, done.model, share)
        assert all(torch.equal(*pair) for pair in zip(mixed.parameters(), end.parameters(), strict=True))
    half = engine.interpolated(model, done.model, 0.5)
    assert torch.allclose(half.mix.weight, (model.mix.weight + done.model.mix.weight) / 2)


# -- the report -------------------------------------------------------------------------------------------------------


def test_the_report_is_plain_json_and_a_page_of_its_own(done, tmp_path):
    page = done.report.write(tmp_path)
    assert json.loads((tmp_path / "report.json").read_text()) == json.loads(done.report.json())
    text = page.read_text()
    assert not re.search(r"<script|<link|<img|@import|(src|href)=|url\(", text)
    for part in ("Utility", "Worst remaining images", "Audit", "Settings, seeds, versions", "To repeat"):
        assert f"<h2>{part}</h2>" in text
    assert "acceptable" in text and str(torch.__version__) in text
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_in_a_notebook_the_reports_headings_stand_below_the_pages(done):
    shown = done.report._repr_html_()
    assert "<h3>Forgetting report</h3>" in shown and "<h4>" in shown
    assert "<h1" not in shown and "<h2" not in shown and "<style" not in shown


def test_what_the_report_says_is_what_is_so(model, done):
    content = done.report.content
    unseen = content["utility"]["unseen"]
    kept = UNSEEN_LABELS != 0
    assert unseen["images"] == int(kept.sum())
    assert unseen["accuracy_before"] == pytest.approx(100 * accuracy(model, UNSEEN[kept], UNSEEN_LABELS[kept]), abs=0.01)
    assert unseen["accuracy_after"] == pytest.approx(100 * accuracy(done.model, UNSEEN[kept], UNSEEN_LABELS[kept]), abs=0.01)
    worst = content["forgetting"]["worst"]
    with torch.no_grad():
        left = done.model(X[GONE]).softmax(1)[torch.arange(int(GONE.sum())), model(X[GONE]).argmax(1)]
    assert worst[0]["row"] == int(left.argmax())
    assert worst[0]["probability_left"] == pytest.approx(100 * left.max().item(), abs=0.01)
    assert content["model"]["before"] == fingerprint(model) and content["model"]["after"] == fingerprint(done.model)
    assert content["options"]["seed"] == 0


def test_a_page_escapes_what_it_is_given(done):
    evil = "<script>alert(1)</script>"
    content = copy.deepcopy(done.report.content)
    content["forgetting"]["worst"][0]["file"] = content["method"]["reason"] = content["scope"]["reason"] = evil
    content["attempts"][0]["ended"] = content["versions"]["torch"] = evil
    content |= {"reasons": [evil], "command": {"program": evil, "arguments": [evil]}}
    text = call_room.Report(content).html()
    assert "<script>" not in text and text.count("&lt;script&gt;") >= 7
