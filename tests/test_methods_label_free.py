"""LFSSD, JiT, and LAF behind the shared signature: what each is by definition."""

import dataclasses

import pytest
import torch
from methods_fakes import tiny_request
from torch import nn

from laf_utils.images import Images, Transform
from laf_utils.methods import METHODS, DataAccess, LabelAccess, UnlearningRequest, View, jit, laf, lfssd, request_of, run_method
from laf_utils.methods.method import fingerprint
from laf_utils.models import Network
from laf_utils.settings.config import ConfigError


@pytest.fixture(scope="module")
def request_():
    return tiny_request()


class TwoParameters(nn.Module):
    """Logits (a x_1, b x_2) of images with two pixels."""

    def __init__(self, a, b):
        super().__init__()
        self.a, self.b = nn.Parameter(torch.tensor(float(a))), nn.Parameter(torch.tensor(float(b)))

    def forward(self, images):
        x = images.flatten(1)
        return torch.stack([self.a * x[:, 0], self.b * x[:, 1]], dim=1)


def pixels(*rows):
    return torch.tensor(rows, dtype=torch.uint8).view(-1, 1, 1, 2)


def two_parameter_request():
    forget, retain = pixels([255, 51], [255, 0]), pixels([0, 255], [51, 204])
    return UnlearningRequest(TwoParameters(2.0, 3.0), Images(forget, Transform()), Images(retain, Transform()))


def test_lfssd_equals_a_hand_computation_on_two_parameters():
    settings = lfssd.LFSSDSettings(selection=1.5, dampening=0.8, batch_size=1000)
    result = run_method("lfssd", two_parameter_request(), settings)
    # d/da mean (a x1)^2 + (b x2)^2 = 2 a mean x1^2, and so for b; one batch of D_f and one of D.
    i_f = 2 * 2 * (1 + 1) / 2, 2 * 3 * (0.2**2 + 0) / 2
    i_d = 2 * 2 * (1 + 1 + 0 + 0.2**2) / 4, 2 * 3 * (0.2**2 + 0 + 1 + 0.8**2) / 4
    assert i_f[0] > 1.5 * i_d[0] and not i_f[1] > 1.5 * i_d[1]
    assert result.model.a.item() == pytest.approx(2.0 * 0.8 * i_d[0] / i_f[0], rel=1e-5)
    assert result.model.b.item() == 3.0
    assert result.history["dampened"] == [0.5]


def test_lfssds_importance_is_a_mean_over_batches_of_absolute_gradients():
    forget = Images(pixels([255, 0], [0, 255], [255, 0]), Transform())
    view = View(dataclasses.replace(two_parameter_request(), forget=forget), "lfssd", LabelAccess.NONE, DataAccess.BOTH)
    student = view.student()
    with torch.no_grad():
        student.a.neg_()  # the sign of a gradient must not matter
    found = lfssd.importance(view, student, forget, lfssd.LFSSDSettings(batch_size=2), "forget")
    sizes = [i.item() for i in found]  # three images, a batch of two and one that joins it
    assert sizes == pytest.approx([2 * 2 * 2 / 3, 2 * 3 * 1 / 3])


def test_lfssd_never_enlarges_a_value():
    model = TwoParameters(2.0, 3.0)
    count = lfssd.dampen(model, [torch.tensor(1.0), torch.tensor(0.0)], [torch.tensor(0.9), torch.tensor(0.0)], 0.5, 5.0)
    assert (model.a.item(), model.b.item(), count) == (2.0, 3.0, 1)


def test_lfssd_works_in_evaluation_mode_and_leaves_the_buffers(request_):
    result = run_method("lfssd", request_, lfssd.LFSSDSettings(selection=1.5))
    for name, value in request_.original.named_buffers():
        assert torch.equal(result.model.get_buffer(name), value)


def test_jits_loss_is_the_mean_ratio_of_distances():
    logits, noisy = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[[4.0, 6.0], [0.0, 0.0]], [[1.0, 2.0], [3.0, 4.0]]])
    x = torch.zeros(2, 1, 1, 2)
    moved = torch.tensor([[3.0, 4.0], [1.0, 0.0]]).view(2, 1, 1, 2), torch.tensor([[1.0, 0.0], [0.0, 2.0]]).view(2, 1, 1, 2)
    logits.requires_grad_(True), noisy.requires_grad_(True)
    loss = jit.lipschitz_loss(logits, noisy, x, x + torch.stack(moved))
    assert loss.item() == pytest.approx((5 / 5 + 0 / 1 + 0 / 1 + 5 / 2) / 4)
    loss.backward()
    assert noisy.grad is None and logits.grad is not None and logits.grad.isfinite().all()


def test_jits_released_loss_is_a_sum_over_the_images():
    draw = torch.Generator().manual_seed(0)
    logits, noisy = torch.randn(5, 4, generator=draw), torch.randn(3, 5, 4, generator=draw)
    x, moved = torch.randn(5, 1, 2, 2, generator=draw), torch.randn(3, 5, 1, 2, 2, generator=draw)
    both = [jit.lipschitz_loss(logits, noisy, x, moved, reduction).item() for reduction in ("mean", "sum")]
    assert both[1] == pytest.approx(5 * both[0])


def test_jits_published_numbers():
    found = {task: METHODS["jit"].published(task) for task in ("class", "data", "noisy")}
    assert {(s.learning_rate, s.copies, s.batch_size, s.reduction, s.accumulate, s.clamp) for s in found.values()} == {
        (3e-4, 25, 128, "sum", True, True)
    }
    assert [found[task].sigma for task in ("class", "data", "noisy")] == [0.5, 0.01, 0.01]
    mean = METHODS["jit_mean"]
    assert {mean.published(task) for task in found} == {jit.MEAN} and mean.reference.startswith("this project")


def test_jits_noisy_copies_stay_inside_the_range_of_their_batch(request_, monkeypatch):
    seen, known = [], jit.lipschitz_loss
    monkeypatch.setattr(jit, "lipschitz_loss", lambda *given: seen.append((given[2], given[3])) or known(*given))
    for clamp in (True, False):
        run_method("jit", request_, jit.JiTSettings(copies=4, learning_rate=1e-4, clamp=clamp))
    (x, inside), (_, free) = seen
    assert inside.min() >= x.min() and inside.max() <= x.max() and free.max() > x.max() + 0.5


@pytest.mark.parametrize("name", ["jit", "jit_mean"])
def test_jit_steps_on_the_sum_of_all_gradients_and_our_variant_on_each_batchs_alone(name, request_, monkeypatch):
    alone, stepped = [], []
    known = jit.take_step

    def spy(optimiser, loss, **how):
        parameters = optimiser.param_groups[0]["params"]
        alone.append([g.clone() for g in torch.autograd.grad(loss, parameters, retain_graph=True)])
        known(optimiser, loss, **how)
        stepped.append([p.grad.clone() for p in parameters])

    monkeypatch.setattr(jit, "take_step", spy)
    settings = dataclasses.replace(METHODS[name].settings, copies=3, batch_size=9, learning_rate=1e-4)
    result = run_method(name, request_, settings)
    if name == "jit":
        alone = [[torch.stack(own[: n + 1]).sum(0) for own in zip(*alone, strict=True)] for n in range(len(alone))]
    assert len(alone) == 3 and result.passes.training == 26 and result.passes.frozen == 3 * 26
    for one, other in zip(alone, stepped, strict=True):
        for expected, got in zip(one, other, strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_jit_needs_the_forget_images_alone_and_flattens_the_network_around_them(request_):
    empty = request_.retain.subset(torch.tensor([], dtype=torch.int64))
    settings = dataclasses.replace(jit.MEAN, copies=5, learning_rate=0.02, batch_size=8)
    alone = dataclasses.replace(request_, retain=empty)
    first = run_method("jit_mean", alone, settings)
    assert fingerprint(first.model) == fingerprint(run_method("jit_mean", request_, settings).model)
    again = run_method("jit_mean", dataclasses.replace(alone, original=first.model), settings)
    assert again.history["loss"][0] < first.history["loss"][0]


def test_a_model_without_a_linear_layer_has_no_number_of_classes():
    view = View(two_parameter_request(), "mine", LabelAccess.NONE, DataAccess.FORGET)
    with pytest.raises(ValueError, match="ends in no linear layer"):
        _ = view.classes


# -- LAF and LAF+R --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["reference", "fixed"])
def test_laf_and_laf_r_are_the_pipelines_bit_for_bit(mode, make_run):
    run = make_run(mode=mode)
    request = request_of(
        run.original, run.frozen_images, run.task, fresh=run.architecture.build, seed=run.config.seed, label_share=1.0
    )
    result = run_method("laf", request, laf.LAFSettings(run.config.vae, run.config.unlearning))
    assert fingerprint(result.model) == fingerprint(run.laf)
    assert result.history == {name: run.losses[name] for name in ("vae_h", "vae_h_f", "loss_ue", "loss_ra")}
    repaired = run_method("laf_r", request, laf.LAFRSettings(run.config.vae, run.config.unlearning, run.config.repair))
    assert fingerprint(repaired.model) == fingerprint(run.laf_r)


def test_lafs_published_settings_are_the_papers():
    cnn, resnet = laf.published_settings("cnn", "data"), laf.published_settings("resnet18", "noisy", laf.LAFRSettings)
    assert (cnn.unlearning.epochs, cnn.unlearning.temperature, cnn.vae.latent_dims) == (20, 5.0, 8)
    assert (resnet.unlearning.epochs, resnet.unlearning.lr_ra, resnet.vae.latent_dims) == (40, 4e-5, 16)
    assert isinstance(resnet, laf.LAFRSettings) and METHODS["laf"].published("class") == laf.published_settings("cnn", "class")
    assert METHODS["laf"].settings == METHODS["laf"].published("class")
    with pytest.raises((ConfigError, KeyError)):
        laf.published_settings("cnn", "everything")


def test_laf_runs_where_the_two_sets_share_no_pixels(request_):
    apart = dataclasses.replace(
        request_, forget=Images(request_.forget.pixels[request_.forget.index], Transform()),
        retain=Images(request_.retain.pixels[request_.retain.index], Transform()),
    )
    settings = dataclasses.replace(
        METHODS["laf"].settings, vae=dataclasses.replace(METHODS["laf"].settings.vae, epochs=1),
        unlearning=dataclasses.replace(METHODS["laf"].settings.unlearning, epochs=1),
    )
    result = run_method("laf", apart, settings)
    assert isinstance(result.model, Network) and result.passes.frozen == len(apart.forget) + len(apart.retain)
    other = dataclasses.replace(apart, retain=apart.retain.__class__(apart.retain.pixels, Transform(resize=16)))
    with pytest.raises(ValueError, match="different transforms"):
        run_method("laf", other, settings)
