"""Models that this project did not write, unchanged and untrained: every output, head, wrapper, format and kind of input.

What transformers, open_clip or rtdl_revisiting_models build is looked at where they are installed.
"""

import copy
import warnings
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from forgetting_fakes import forget, light, patterns, trained
from outside_models import (
    CLASSES,
    IMAGES,
    SHAPE,
    SIDE,
    clip,
    convnext,
    hugging,
    hugging_vit,
    open_clip,
    small,
    timm_model,
    two_heads,
)
from torch import nn

from laf_utils.forgetting import ForgetOptions, OneLabel, Policy, Queue, Refused, ZeroShot, remove_classes
from laf_utils.forgetting.adapting import adapted
from laf_utils.forgetting.copying import working_copy
from laf_utils.forgetting.head import check_stable, find_head, split
from laf_utils.forgetting.ledger import Ledger
from laf_utils.methods.method import fingerprint

X = 2 * torch.randn(24, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
STAYS = ("batch_statistics",)


def built(kind):
    torch.manual_seed(0)
    return IMAGES[kind][0]().eval()


@torch.no_grad()
def logits(model, x=X):
    found = model(x)
    return found if isinstance(found, torch.Tensor) else found[0] if isinstance(found, tuple) else found.logits


def answer_removed(model, x=X):
    """The commonest answer of a model is forgotten with nothing but its images at hand; the copy."""
    before = logits(model, x).float()
    out = int(before.argmax(1).bincount().argmax())
    mark = fingerprint(model)
    unlearned, report = forget(model, x[before.argmax(1) == out], method="closed_form", scope="class", accept=STAYS)
    after, kept = logits(unlearned, x).float(), [c for c in range(before.shape[1]) if c != out]
    assert not (after.argmax(1) == out).any() and report.content["scope"]["classes"] == [out]
    assert torch.allclose(after[:, kept], before[:, kept], atol=2e-2 if x.dtype in (torch.half, torch.bfloat16) else 1e-4)
    assert fingerprint(model) == mark, "the model that was handed in is as it was"
    return unlearned


@pytest.mark.parametrize("kind", IMAGES)
def test_the_head_is_found_and_an_answer_leaves_it(kind):
    _, head, width = IMAGES[kind]
    model = built(kind)
    own = adapted(working_copy(model), X)
    found = find_head(own, X)
    check_stable(own, X)
    network = split(own, found, X)
    assert found == head
    with torch.no_grad():
        assert network.extractor(X).shape == (len(X), width) and torch.equal(network(X), logits(model))
    assert type(answer_removed(model)) is type(model)


def test_two_heads_on_two_tokens_are_refused_with_a_way_out():
    with pytest.raises(Refused, match="layer:output") as caught:
        forget(two_heads().eval(), X)
    assert caught.value.reason == "no_linear_head"


# -- wrappers and formats ---------------------------------------------------------------------------------------------


def compiled(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.compile(model, backend="eager")


@pytest.mark.parametrize("wrap", [nn.DataParallel, compiled])
def test_a_wrapped_model_comes_back_bare(wrap):
    model = small().eval()
    assert type(answer_removed(wrap(copy.deepcopy(model)))) is type(model)


@pytest.mark.parametrize("dtype", [torch.half, torch.bfloat16])
def test_half_formats_come_back_as_they_were(dtype):
    """Hugging Face's ConvNeXt in half the bits, channels last."""
    model = built("object, ConvNeXt").to(dtype).to(memory_format=torch.channels_last)
    unlearned = answer_removed(model, X.to(dtype).to(memory_format=torch.channels_last))
    assert {p.dtype for p in unlearned.parameters()} == {dtype}
    wide = [p for p in unlearned.parameters() if p.ndim == 4 and min(p.shape[1:]) > 1]
    assert wide and all(p.is_contiguous(memory_format=torch.channels_last) for p in wide)


# -- other answers ----------------------------------------------------------------------------------------------------


def test_one_logit_and_one_label_of_several():
    """Binary: the yes is class 1. Several labels, as transformers' configurations say it: one of them by its own."""
    model = timm_model("test_resnet", classes=1).eval()
    own = adapted(working_copy(model), X)
    assert find_head(own, X) == "fc:input" and own(X).shape == (len(X), 2)
    assert torch.equal(own(X)[:, 1], model(X)[:, 0])
    several = hugging_vit(problem_type="multi_label_classification").eval()
    with pytest.raises(Refused, match="OneLabel"):
        forget(several, X)
    own = adapted(working_copy(OneLabel(several, 2)), X)
    assert find_head(own, X) == "model.classifier:input" and torch.allclose(own(X)[:, 1], logits(several)[:, 2])


# -- texts and tables -------------------------------------------------------------------------------------------------


def packed_forgets(model, inputs, names=lambda found: found):
    """A class of a model whose inputs are a dictionary of tensors."""
    with torch.no_grad():
        before = names(model(**inputs))
    out = int(before.argmax(1).bincount().argmax())
    gone = {name: value[before.argmax(1) == out] for name, value in inputs.items()}
    unlearned, _ = forget(model, gone, method="closed_form", scope="class", accept=STAYS)
    with torch.no_grad():
        after = names(unlearned(**inputs))
    kept = [c for c in range(before.shape[1]) if c != out]
    assert not (after.argmax(1) == out).any() and torch.allclose(after[:, kept], before[:, kept], atol=1e-5)


@pytest.mark.parametrize("name", ["Bert", "DistilBert"])
def test_texts_as_dictionaries_of_tensors(name):
    torch.manual_seed(0)
    shape = SHAPE if name == "Bert" else {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 16}
    model = hugging(f"{name}ForSequenceClassification", f"{name}Config", vocab_size=60, max_position_embeddings=12, **shape)
    ids = torch.randint(3, 60, (24, 9))
    mask = (torch.arange(9) < torch.randint(4, 10, (24, 1))).long()
    packed_forgets(model.eval(), {"input_ids": ids, "attention_mask": mask}, lambda found: found.logits)


def test_a_series_of_measurements():
    """An output whose logits go by another name (``prediction_logits``)."""
    torch.manual_seed(0)
    model = hugging(
        "PatchTSTForClassification", "PatchTSTConfig", num_targets=CLASSES, num_input_channels=3, context_length=16,
        patch_length=4, patch_stride=4, d_model=16, num_hidden_layers=1, num_attention_heads=2, ffn_dim=16, use_cls_token=True,
    ).eval()
    series = {"past_values": 3 * torch.randn(24, 16, 3)}
    packed_forgets(model, series, lambda found: found.prediction_logits)


@pytest.mark.parametrize("kind", ["MLP", "FTTransformer"])
def test_a_table_of_quantities_and_categories(kind):
    rtdl = pytest.importorskip("rtdl_revisiting_models")
    torch.manual_seed(0)
    quantities = torch.randn(24, 5)
    if kind == "MLP":
        model = rtdl.MLP(d_in=5, d_out=CLASSES, n_blocks=2, d_block=16, dropout=0.1).eval()
        answer_removed(model, quantities)
        return
    model = rtdl.FTTransformer(
        n_cont_features=5, cat_cardinalities=[3, 7], d_out=CLASSES, n_blocks=1, d_block=16, attention_n_heads=2,
        attention_dropout=0.1, ffn_d_hidden=16, ffn_d_hidden_multiplier=None, ffn_dropout=0.1, residual_dropout=0.0,
    ).eval()
    kinds = torch.stack([torch.randint(0, 3, (24,)), torch.randint(0, 7, (24,))], 1)
    packed_forgets(model, {"x_cont": quantities, "x_cat": kinds})


# -- class names as a head --------------------------------------------------------------------------------------------


def zero_shot(kind):
    torch.manual_seed(0)
    words = torch.randint(3, 60, (5, 8))
    if kind == "transformers":
        model = clip()
        with torch.no_grad():
            text = model.get_text_features(input_ids=words)
            return ZeroShot(model, getattr(text, "pooler_output", text), 50.0, method="get_image_features").eval()
    model = open_clip()
    with torch.no_grad():
        return ZeroShot(model, model.encode_text(words), 50.0, method="encode_image").eval()


@pytest.mark.parametrize("kind", ["transformers", "open_clip"])
def test_a_class_name_of_clip_is_forgotten_without_an_image(kind):
    """Only noise is shown, to find the head with; the other names read as before, in the image tower's own last layer."""
    model = zero_shot(kind)
    with torch.no_grad():
        before = model(X)
    out = int(before.argmax(1).bincount().argmax())
    gone = remove_classes(model, [out], torch.randn(2, 3, SIDE, SIDE))
    with torch.no_grad():
        after = gone(X)
    kept = [c for c in range(5) if c != out]
    assert not (after.argmax(1) == out).any() and torch.equal(after[:, kept].argmax(1), before[:, kept].argmax(1))
    assert torch.equal(gone.text, model.text)
    own = split(working_copy(model), find_head(model, X), X)
    assert own.extractor(X).shape == (len(X), 16), "a cosine head: LAF's representation is the features"


# -- with training ----------------------------------------------------------------------------------------------------


def test_laf_forgets_a_class_of_a_hugging_face_model():
    x, y = patterns(480, 1)
    model, gone = convnext(x, y), y == 0
    unlearned, report = light(model, x[gone], x[~gone])
    hit = [(logits(m, x).argmax(1) == y).float() for m in (model, unlearned)]
    assert hit[0].mean() > 0.9 and hit[1][gone].mean() < 0.05 and hit[1][~gone].mean() > hit[0][~gone].mean() - 0.05, report
    assert type(unlearned) is type(model)
    page, order = report.html(), (f"<b>{report.verdict}</b>", "What was not tested", "<details>", "<h2>To repeat</h2>")
    assert sorted(order, key=page.index) == list(order) and "ConvNextForImageClassification" in page


def test_near_copies_are_found_in_a_model_of_timm():
    torch.manual_seed(0)
    x, y = (part[:200] for part in patterns(400, 1))
    x = F.interpolate(x, size=(SIDE, SIDE))
    model = trained(timm_model("test_resnet"), x, y, steps=20)
    copies = x[:5] + 1e-3 * torch.randn(5, 3, SIDE, SIDE)
    with pytest.raises(Refused, match="5 retained images are near-copies"):
        forget(model, x[:20], torch.cat([x[20:], copies]))


def test_requests_in_a_queue_and_a_ledger_of_a_torchvision_model(tmp_path):
    """Two batches in a row: each is one call, what is gone stays refused, and the first model is asked what is left of it."""
    x, y = (part[:320] for part in patterns(400, 1))
    x, gone = F.interpolate(x, size=(SIDE, SIDE)), []
    torch.manual_seed(0)
    model = trained(small(), x, y, steps=20)
    queue, rare = Queue(tmp_path / "queue", tmp_path / "ledger.jsonl", Policy(size=8, days=30)), ForgetOptions(floor=0.0)

    def taken(names, back=()):
        left = torch.ones(len(x), dtype=torch.bool)
        left[[*gone, *map(int, names)]] = False
        left[list(back)] = True
        return x[[int(name) for name in names]], x[left]

    for batch in range(2):
        for start in range(8 * batch, 8 * batch + 8, 4):
            queue.add([str(row) for row in range(start, start + 4)])
        if batch:
            with pytest.raises(Refused, match="forgotten by an earlier request"):
                queue.run(model, partial(taken, back=gone[:1]), method="ts", options=rare)
        model, report = queue.run(model, taken, method="ts", options=rare)
        gone += range(8 * batch, 8 * batch + 8)
    book = Ledger(queue.ledger)
    assert book.done == {1, 2, 3, 4} and not queue.waiting() and [len(entry["forgotten"]) for entry in book.kept] == [8, 8]
    assert 0 < book.kept[-1]["utility_first"] <= 1.01 and book.utility() == report.content["utility_together"]
