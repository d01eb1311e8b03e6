"""DELETE, LoTUS, synthetic embeddings, the null space, SalUn, SSD and L1-sparse: what each is by definition."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from methods_fakes import Tripwire, tiny_request
from torch import nn

from laf_utils.images import Images, Transform
from laf_utils.methods import METHODS, UnlearningRequest, delete, lotus, run_method, salun, sparse, ssd, synthetic
from laf_utils.methods.method import fingerprint
from laf_utils.methods.passes import Passes
from laf_utils.methods.view import last_linear


@pytest.fixture(scope="module")
def request_():
    return tiny_request()


def with_settings(name, **changes):
    return dataclasses.replace(METHODS[name].settings, **changes)


def logits_of(model, images):
    with torch.no_grad():
        return model(images.batch(torch.arange(len(images))))


def accuracy(model, images, labels):
    return (logits_of(model, images).argmax(1) == labels).float().mean().item()


# -- DELETE -----------------------------------------------------------------------------------------------------------------


def test_deletes_published_numbers():
    s = METHODS["delete"].settings
    assert (s.epochs, s.learning_rate, s.momentum, s.batch_size) == (20, 1e-4, 0.9, 128)


def test_delete_strikes_the_class_out_and_keeps_the_relation_between_the_others():
    logits, classes = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3, 4, 0])
    target = delete.struck_out(logits, classes)
    assert target.gather(1, classes[:, None]).abs().max() == 0
    torch.testing.assert_close(target.sum(1), torch.ones(6))
    others = torch.ones(6, 5, dtype=torch.bool).scatter(1, classes[:, None], False)
    ratio = (target / logits.softmax(1))[others].view(6, 4)  # all other classes grow by one factor
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))


def test_deletes_loss_has_its_minimum_there():
    original, classes = torch.randn(4, 5, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 1, 2, 3])
    student = original.clone().requires_grad_(True)
    optimiser = torch.optim.Adam([student], lr=0.1)
    for _ in range(500):
        optimiser.zero_grad()
        delete.struck_out_loss(student, original, classes).backward()
        optimiser.step()
    torch.testing.assert_close(student.softmax(1), delete.struck_out(original, classes), atol=5e-3, rtol=0)
    assert delete.struck_out_loss(student, original, classes).item() == pytest.approx(0, abs=5e-3)


def test_delete_moves_the_images_to_the_originals_second_answer(request_):
    result = run_method("delete_pseudo", request_, with_settings("delete_pseudo", learning_rate=0.02, batch_size=8))
    second = logits_of(request_.original, request_.forget).topk(2).indices[:, 1]
    assert accuracy(result.model, request_.forget, request_.forget_labels) == 0
    assert accuracy(result.model, request_.forget, second) > 0.7
    assert result.history["kl"][-1] < result.history["kl"][0]


def test_delete_needs_the_forget_images_alone(request_):
    empty = request_.retain.subset(torch.tensor([], dtype=torch.int64))
    settings = with_settings("delete_pseudo", epochs=2)
    alone = run_method("delete_pseudo", dataclasses.replace(request_, retain=empty, retain_labels=None), settings)
    assert fingerprint(alone.model) == fingerprint(run_method("delete_pseudo", request_, settings).model)


# -- LoTUS ------------------------------------------------------------------------------------------------------------------


def test_lotuss_published_numbers():
    for task, alpha, whole in ((None, 8.0, False), ("data", 8.0, False), ("class", 32.0, True)):
        s = METHODS["lotus"].published(task)
        assert (s.alpha, s.whole_class) == (alpha, whole)
    assert (s.epochs, s.learning_rate, s.weight_decay, s.batch_size, s.retain_share) == (10, 1e-4, 5e-4, 128, 0.3)


def test_lotuss_temperature_falls_to_one_as_agreement_reaches_its_goal_and_then_ends():
    heat = [lotus.temperature(8.0, agreement, 0.9) for agreement in (1.0, 0.95, 0.9)]
    assert heat == pytest.approx([math.exp(0.8), math.exp(0.4), 1.0])
    assert lotus.temperature(8.0, 0.895, 0.9) < 1 and lotus.temperature(8.0, 0.889, 0.9) is None


def test_gumbel_noise_makes_the_argmax_a_sample_of_the_softmax():
    logits = torch.tensor([[2.0, 0.0, -1.0]]).expand(20_000, 3)
    drawn = lotus.gumbel(logits, torch.Generator().manual_seed(0)).argmax(1).bincount(minlength=3) / 20_000
    torch.testing.assert_close(drawn, logits[0].softmax(0), atol=0.02, rtol=0)


def test_a_hotter_target_is_more_uncertain():
    logits = torch.tensor([[6.0, 0.0, -1.0]]).expand(5_000, 3)
    noisy = lotus.gumbel(logits, torch.Generator().manual_seed(0))
    targets = [(noisy / heat).softmax(1) for heat in (1, 2, 8, 64)]
    entropy = [-(p * p.clamp_min(1e-30).log()).sum(1).mean().item() for p in targets]
    assert entropy == sorted(entropy) and entropy[-1] > 0.95 * math.log(3)


def test_lotus_follows_the_agreement_and_ends_below_its_goal(request_, monkeypatch):
    seen = iter([1.0, 0.9, 0.5])
    monkeypatch.setattr(lotus, "goal_of", lambda view, settings: 0.9)
    monkeypatch.setattr(lotus, "agreement", lambda view, student: next(seen))
    history = run_method("lotus", request_, with_settings("lotus")).history
    assert history["agreement"] == [1.0, 0.9, 0.5] and len(history["loss"]) == 2
    assert history["temperature"] == pytest.approx([math.exp(0.8), 1.0])


def test_lotuss_goal_is_the_originals_mean_confidence_on_unseen_images(request_):
    asked = {}
    known = lotus.temperature

    def spy(alpha, agreement, goal):
        asked.update(agreement=agreement, goal=goal)
        return known(alpha, agreement, goal)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lotus, "temperature", spy)
        run_method("lotus", dataclasses.replace(request_, held_out_labels=None), with_settings("lotus", epochs=1))
    confidence = logits_of(request_.original, request_.held_out).softmax(1).amax(1).mean().item()
    assert asked == {"agreement": 1.0, "goal": pytest.approx(confidence, rel=1e-5)}


def test_lotus_asks_no_unseen_image_about_a_whole_class(request_):
    settings = with_settings("lotus", whole_class=True, epochs=1)
    alone = dataclasses.replace(request_, held_out=None, held_out_labels=None)
    assert fingerprint(run_method("lotus", alone, settings).model) == fingerprint(run_method("lotus", request_, settings).model)


def test_lotuss_students_uncertainty_on_the_forgotten_images_rises(request_):
    settings = with_settings("lotus", whole_class=True, alpha=32.0, learning_rate=5e-3, batch_size=16, epochs=5)
    model = run_method("lotus", request_, settings).model

    def entropy(network):
        log_p = logits_of(network, request_.forget).log_softmax(1)
        return -(log_p.exp() * log_p).sum(1).mean().item()

    assert entropy(model) > 0.7 * math.log(4) > entropy(request_.original)
    assert accuracy(model, request_.retain, request_.retain_labels) > 0.9


# -- synthetic embeddings ---------------------------------------------------------------------------------------------------


def test_synthetic_published_numbers():
    s = METHODS["synthetic"].settings
    assert (s.epochs, s.learning_rate, s.momentum, s.batch_size, s.samples) == (200, 0.01, 0.9, 1024, 5000)


def test_embeddings_are_those_that_the_layer_takes_for_the_classes(request_):
    layer = last_linear(request_.original)[1]
    inputs, classes = synthetic.embeddings(layer, torch.tensor([0, 2]), 300, torch.Generator().manual_seed(0))
    assert torch.equal(layer(inputs).argmax(1), classes) and classes.bincount(minlength=4).tolist() == [300, 0, 300, 0]


def test_classes_that_random_inputs_never_reach_are_named(monkeypatch):
    monkeypatch.setattr(synthetic, "TRIES", 2)
    layer = nn.Linear(4, 2)
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([0.0, 1e6]))
    with pytest.raises(ValueError, match=r"takes none for \[0\]"):
        synthetic.embeddings(layer, torch.tensor([0]), 10, torch.Generator().manual_seed(0))


def test_the_classes_of_the_forgotten_images():
    answers = torch.tensor([3] * 10 + [1] * 6 + [0] * 4)
    assert synthetic.held_classes(answers, 5).tolist() == [1, 3]


def test_synthetic_embeddings_need_no_image_once_the_class_is_told(request_):
    asked, told = with_settings("synthetic", samples=200), with_settings("synthetic", samples=200, classes=(0,))
    unread = dataclasses.replace(request_, forget_labels=Tripwire(), retain_labels=Tripwire())
    by_images, by_name = run_method("synthetic", unread, asked), run_method("synthetic", unread, told)
    assert fingerprint(by_images.model) == fingerprint(by_name.model)
    assert by_images.passes == Passes(0, len(request_.forget)) and by_name.passes == Passes(0, 0)


def test_synthetic_embeddings_forget_the_class_in_the_last_layer_alone(request_):
    model = run_method("synthetic", request_, with_settings("synthetic", samples=1000)).model
    changed = {n for n, p in model.named_parameters() if not torch.equal(p, request_.original.get_parameter(n))}
    assert changed == {f"{last_linear(model)[0]}.{leaf}" for leaf in ("weight", "bias")}
    assert accuracy(model, request_.forget, request_.forget_labels) < 0.2
    assert accuracy(model, request_.retain, request_.retain_labels) > 0.9


# -- the null space ---------------------------------------------------------------------------------------------------------


def test_both_means_get_the_kept_means_logits(request_):
    model = run_method("null_space", request_).model

    def of_mean(network, images):
        with torch.no_grad():
            mean = network.extractor(images.batch(torch.arange(len(images)))).mean(0, keepdim=True)
            return network.classifier(mean)

    kept = of_mean(request_.original, request_.retain)
    for images in (request_.forget, request_.retain):
        torch.testing.assert_close(of_mean(model, images), kept, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(of_mean(request_.original, request_.forget), kept, atol=0.1)


# -- SalUn, SSD, L1-sparse --------------------------------------------------------------------------------------------------


def test_the_anchors_published_numbers():
    s = METHODS["salun"].settings
    assert (s.epochs, s.learning_rate, s.mask_share, s.forget_batch, s.retain_batch) == (10, 0.013, 0.5, 256, 256)
    s = METHODS["sparse"].settings
    assert (s.epochs, s.learning_rate, s.momentum, s.weight_decay, s.batch_size) == (10, 0.01, 0.9, 5e-4, 256)
    s = METHODS["ssd"].settings
    assert (s.selection, s.dampening, s.batch_size, METHODS["ssd"].published("data").batch_size) == (10, 1, 64, 128)


def test_masks_take_the_largest_values_of_all_tensors_together():
    first, second = salun.masks([torch.tensor([[5.0, 1.0], [0.0, 3.0]]), torch.tensor([4.0, 2.0])], 0.5)
    assert first.tolist() == [[True, False], [False, True]] and second.tolist() == [True, False]
    assert not any(mask.any() for mask in salun.masks([first.float(), second.float()], 0.0))


def test_salun_moves_salient_weights_alone(request_):
    settings = with_settings("salun", epochs=2, mask_share=0.3, forget_batch=8, retain_batch=16)
    model = run_method("salun", request_, settings).model
    pairs = [(p, request_.original.get_parameter(name)) for name, p in model.named_parameters()]
    moved = sum((p != p_0).sum().item() for p, p_0 in pairs) / sum(p.numel() for p, _ in pairs)
    assert 0.25 < moved <= 0.3


def test_salun_forgets_and_keeps(request_):
    settings = with_settings("salun", forget_batch=8, retain_batch=16)
    model = run_method("salun", request_, settings).model
    assert accuracy(model, request_.forget, request_.forget_labels) < 0.7
    assert accuracy(model, request_.retain, request_.retain_labels) > 0.9


class OneWeight(nn.Module):
    """Logits (a x, 0) of images of one pixel."""

    def __init__(self, a):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(float(a)))

    def forward(self, images):
        x = self.a * images.flatten(1)
        return torch.cat([x, torch.zeros_like(x)], 1)


def test_ssds_importance_is_the_squared_gradient_of_the_loss():
    pixels = torch.tensor([255, 51], dtype=torch.uint8).view(-1, 1, 1, 1)
    forget, retain = Images(pixels, Transform()), Images(pixels[1:].clone(), Transform())
    labels = torch.tensor([1, 1])
    request = UnlearningRequest(OneWeight(2.0), forget, retain, labels, torch.tensor([1]))
    result = run_method("ssd", request, ssd.SSDSettings(selection=0.1, dampening=0.5, batch_size=1000))

    def gradient(x, y):  # d/da of -log softmax((a x, 0))_y
        return x * (torch.sigmoid(torch.tensor(2.0 * x)).item() - (1 - y))

    i_f = (sum(gradient(x, y) for x, y in ((1.0, 1), (0.2, 1))) / 2) ** 2
    i_d = (sum(gradient(x, y) for x, y in ((1.0, 1), (0.2, 1), (0.2, 1))) / 3) ** 2
    assert i_f > 0.5 * i_d > 0  # dampened, and not by 1
    assert result.model.a.item() == pytest.approx(2.0 * min(0.5 * i_d / i_f, 1), rel=1e-4)


def test_the_l1_penalty_falls_in_a_line_and_leaves_fewer_weights(request_):
    settings = with_settings("sparse", penalty=0.02, batch_size=16)
    assert [sparse.penalty_of(settings, epoch) for epoch in (0, 5, 9)] == pytest.approx([0.02, 0.01, 0.002])
    with_penalty = run_method("sparse", request_, settings).model
    without = run_method("sparse", request_, dataclasses.replace(settings, penalty=0.0)).model
    assert sparse.absolute_sum(with_penalty) < 0.8 * sparse.absolute_sum(without)
    assert accuracy(with_penalty, request_.retain, request_.retain_labels) > 0.9


def test_l1_sparse_without_a_penalty_is_fine_tuning(request_):
    settings = with_settings("sparse", penalty=0.0, epochs=1, batch_size=1000)
    result = run_method("sparse", request_, settings)
    inputs = request_.retain.batch(torch.arange(len(request_.retain)))
    student = run_method("sparse", request_, dataclasses.replace(settings, epochs=0)).model.train()
    loss = F.cross_entropy(student(inputs), request_.retain_labels)
    assert result.history["loss"] == [pytest.approx(loss.item(), rel=1e-5)]
