"""Proof about models that this project did not write, checked elsewhere: by another process, in a folder that holds no image."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from forgetting_fakes import changed, forget, patterns, trained
from safetensors.torch import load_file
from torch import nn
from torchvision.transforms import functional as TF

from laf_utils.forgetting import CertifiedHead, Refused, certificate, command, verifying
from laf_utils.forgetting.certified import ConvexHead, hides
from laf_utils.forgetting.files import builder
from laf_utils.methods.method import fingerprint
from laf_utils.support.paths import ROOT
from laf_utils.support.records import write_json

pytest.importorskip("cryptography")
jsonschema = pytest.importorskip("jsonschema")
SCHEMA = json.loads(Path(certificate.__file__).with_name("certificate.schema.json").read_text())
ARCHITECTURES = {"torchvision:shufflenet_v2_x0_5": "fc", "timm:test_resnet": "fc"}
HANDED_ON = ("certificate.json", "unlearned.safetensors")


def outside(name):
    """With four classes, untrained."""
    if name.startswith("timm"):
        pytest.importorskip("timm")
    torch.manual_seed(0)
    return builder(name)(num_classes=4)


def pictures(count, seed):
    return nn.functional.interpolate(patterns(count, seed)[0], size=(32, 32))


@pytest.fixture(scope="module", params=ARCHITECTURES)
def elsewhere(request, tmp_path_factory):
    """What another machine gets: certificate, weights, public key. The issuer's folder, images and all, is gone by then."""
    issuer, there = tmp_path_factory.mktemp("issuer"), tmp_path_factory.mktemp("elsewhere")
    model = outside(request.param).eval()
    torch.save({"state_dict": nn.DataParallel(model).state_dict()}, issuer / "model.pt")
    (issuer / "images").mkdir()
    x = ((pictures(24, 1).clamp(-3, 3) + 3) / 6 * 255).round().to(torch.uint8)
    with torch.no_grad():
        said = model(x.float() / 255).argmax(1)
    out = int(said.bincount().argmax())
    for number in (said == out).nonzero().flatten().tolist():
        TF.to_pil_image(x[number]).save(issuer / f"images/{number:02}.png")
    (issuer / "ids.txt").write_text("".join(f"{path.name}\n" for path in sorted((issuer / "images").iterdir())))
    assert command.main(["key", "--out", str(issuer / "keys")]) == 0
    words = [
        "forget", "--model", issuer / "model.pt", "--arch", request.param, "--data", issuer / "images",
        "--ids", issuer / "ids.txt",
        "--no-retain", "--accept", "batch_statistics", "--device", "cpu", "--out", issuer / "out",
        "--sign", issuer / "keys/signing.pem", "--image-key", issuer / "keys/images.key",
    ]
    assert command.main([str(word) for word in words]) in (command.UNKNOWN, command.ADVISED)
    for path in (*(issuer / "out" / name for name in HANDED_ON), issuer / "keys/signing.pub.pem"):
        shutil.copy(path, there)
    shutil.rmtree(issuer)
    return there, out, request.param


def verified(there, *more):
    words = [sys.executable, "-m", "laf_utils", "verify", "certificate.json", "--model", "unlearned.safetensors"]
    return subprocess.run(
        [*words, "--public-key", "signing.pub.pem", *more], cwd=there, text=True, capture_output=True, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT), "LAF_DATA": str(there / "none")},
    )


def test_a_certificate_holds_elsewhere(elsewhere):
    there, out, name = elsewhere
    document = json.loads((there / "certificate.json").read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    done = verified(there, "--json")
    said = json.loads(done.stdout)
    assert done.returncode in (command.UNKNOWN, command.ADVISED) and not done.stderr
    assert said["holds"] == ["signature", "model"] and said["verdict"] == document["verdict"]
    own = outside(name).eval()
    own.load_state_dict(load_file(there / "unlearned.safetensors"))
    with torch.no_grad():
        assert not (own(pictures(24, 1)).argmax(1) == out).any(), "what is handed on has forgotten the class"


def test_a_change_of_any_field_is_seen_elsewhere(elsewhere, tmp_path):
    there = elsewhere[0]
    document, ways = json.loads((there / "certificate.json").read_text()), 0
    for way, own in changed(document):
        write_json(tmp_path / "changed.json", own)
        with pytest.raises(Refused) as caught:
            verifying.verify(tmp_path / "changed.json", there / "signing.pub.pem", there / "unlearned.safetensors")
        assert caught.value.reason == "certificate", way
        ways += 1
    assert ways > 100


def test_the_original_is_not_the_model_that_was_certified(elsewhere):
    there, _, name = elsewhere
    with pytest.raises(Refused, match="not those after forgetting"):
        verifying.verify(there / "certificate.json", there / "signing.pub.pem", outside(name))


# -- the certified step of a frozen network ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_head_of_a_frozen_network_takes_the_certified_step(name):
    x, y = pictures(320, 1), patterns(320, 1)[1]
    own = trained(outside(name), x, y, steps=12)
    own.requires_grad_(False)
    own.get_submodule(ARCHITECTURES[name]).requires_grad_(True)
    unlearned, report = forget(own, x[:4], x[4:], scope="instances")
    said, before, after = report.content["certified"], own.state_dict(), unlearned.state_dict()
    assert report.content["method"]["name"] == "certified_head" and 0 < said["residual_bound"] <= said["budget"]
    assert any("only audited: the extractor" in note for note in report.content["notes"])
    different = {key.rpartition(".")[0] for key in before if not torch.equal(before[key], after[key])}
    assert different == {ARCHITECTURES[name]} and fingerprint(own) != fingerprint(unlearned)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_what_the_step_leaves_on_its_features_is_below_the_bound(name):
    """The certificate's own inequality, on representations of a network that this project did not write."""
    own = outside(name).eval()
    setattr(own, ARCHITECTURES[name], nn.Identity())
    with torch.no_grad():
        e = own(pictures(200, 1)).double()
    e = (e - e.mean(0)) / (e - e.mean(0)).pow(2).sum(1).mean().sqrt()
    settings = CertifiedHead(noise=1e3)
    noise = 5.0 * torch.randn(4, e.shape[1], generator=torch.Generator().manual_seed(0)).double()
    head = ConvexHead(e, patterns(200, 1)[1], settings, noise)
    head.remove(torch.arange(200) < 10)
    assert 0 < head.gradient(head.weights).norm().item() <= head.residual <= hides(1e3, settings.epsilon, settings.delta)
