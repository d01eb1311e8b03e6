"""Certificates: made beside the report, held to their schema, checked elsewhere, and refused after any change."""

import base64
import json
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import torch
from forgetting_fakes import changed, own_model, patterns, trained
from safetensors.torch import load_file, save_file
from torchvision.transforms import functional as TF

from laf_utils.forgetting import Refused, certificate, command, forget, verifying
from laf_utils.forgetting.certificate import canonical, fingerprint, hashes
from laf_utils.settings.cli import DATA, SETTINGS
from laf_utils.support.records import write_json

pytest.importorskip("cryptography")
jsonschema = pytest.importorskip("jsonschema")

SCHEMA = json.loads(Path(certificate.__file__).with_name("certificate.schema.json").read_text())
SCALE = ["--mean", "0.5,0.5,0.5", "--std", "0.1666667,0.1666667,0.1666667"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A request carried out with a certificate: keys, images with telling names, weights before and after."""
    folder = tmp_path_factory.mktemp("proof")
    inputs, labels = patterns(240, 1)
    (folder / "images").mkdir()
    (folder / "asked").mkdir()
    for number, pixels in enumerate(((inputs.clamp(-3, 3) + 3) / 6 * 255).round().to(torch.uint8)):
        TF.to_pil_image(pixels).save(folder / f"images/jane-doe-{number:03}.png")
        if number < 8:
            shutil.copy(folder / f"images/jane-doe-{number:03}.png", folder / "asked")
    (folder / "delete.csv").write_text("".join(f"jane-doe-{number:03}.png\n" for number in range(8)))
    save_file(trained(own_model(), inputs, labels).state_dict(), folder / "model.safetensors")
    assert command.main(["key", "--out", str(folder / "keys")]) == 0
    assert main("forget", folder, "--sign", folder / "keys/signing.pem", "--image-key", folder / "keys/images.key",
                "--ledger", folder / "ledger.jsonl") == command.UNKNOWN
    return folder


def main(name, folder, *more):
    given = ["--model", folder / "model.safetensors", "--arch", "forgetting_fakes:own_model", "--data", folder / "images",
             "--ids", folder / "delete.csv", "--out", folder / "out", "--device", "cpu", "--method", "ts", *SCALE]
    return command.main([name, *map(str, given), *map(str, more)])


def check(place, *more, path=None, model="out/unlearned.safetensors", key="keys/signing.pub.pem"):
    return command.main([
        "verify", str(path or place / "out/certificate.json"), "--model", str(place / model), "--public-key", str(place / key),
        *map(str, more),
    ])


@pytest.fixture(scope="module")
def document(place):
    return json.loads((place / "out/certificate.json").read_text())


# -- what is in it ----------------------------------------------------------------------------------------------------


def test_a_certificate_has_the_published_form(document):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    for name in document:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(SCHEMA).validate({key: part for key, part in document.items() if key != name})


@pytest.mark.parametrize("method", ["certified_head", "closed_form", "laf"])
def test_certificates_of_other_methods_and_more_images_have_it_too(place, method):
    inputs, labels = patterns(480, 1)
    model, unseen = trained(own_model(), inputs, labels), patterns(400, 2)[0]
    own = labels == 0 if method == "closed_form" else torch.arange(480) < 8
    found = forget(model, inputs[own], inputs[~own], unseen=unseen, method=method)
    key = certificate.signing_key(place / "keys/signing.pem")
    made = certificate.certificate(found.report, key, b"k" * 32)
    jsonschema.Draft202012Validator(SCHEMA).validate(made)
    assert (made["certified"] is not None) == (method == "certified_head") and made["audit"]["smallest_leak"] is not None
    assert made["model"] == made["model"] | {"before": fingerprint(model), "after": fingerprint(found.model)}


def test_nothing_in_it_names_anybody(place, document):
    text = (place / "out/certificate.json").read_text()
    assert not any(word in text for word in ("jane", "doe", ".png", "delete.csv", str(place)))
    digests = [certificate.hashlib.blake2b(path.read_bytes(), digest_size=16).digest() for path in (place / "asked").iterdir()]
    assert not any(digest.hex() in text for digest in digests)
    key = certificate.image_key(place / "keys/images.key")
    assert document["request"]["hashes"] == hashes(digests, key) != hashes(digests, key[:-1] + b"x")
    assert document["request"]["images"] == 8 and document["ledger"]["number"] == 1


def test_fingerprints_see_names_formats_shapes_and_bytes(place, document):
    state = load_file(place / "model.safetensors")
    assert document["model"]["before"] == fingerprint(place / "model.safetensors") == fingerprint(state)
    assert document["model"]["after"] == fingerprint(place / "out/unlearned.safetensors")
    weight = state["mix.weight"]
    changed = weight.clone()
    changed[0, 0] = torch.nextafter(weight[0, 0], torch.tensor(9.0))
    others = [{"mix.weight": changed}, {"mix.weight": weight.T.contiguous()}, {"mix.weight": weight.view(torch.int32)}]
    found = {fingerprint(state | other) for other in others} | {fingerprint({f"{k}x": v for k, v in state.items()})}
    assert len(found | {fingerprint(state)}) == 5


# -- the spelling that is signed --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "spelled"), [
    (0.0, "0"), (-0.0, "0"), (1.0, "1"), (-1.5, "-1.5"), (1e-6, "0.000001"), (1e-7, "1e-7"), (1.5e-7, "1.5e-7"),
    (1e20, "1" + "0" * 20), (1e21, "1e+21"), (1.25e300, "1.25e+300"), (5e-324, "5e-324"),
    (333333333.33333329, "333333333.3333333"), (4.5, "4.5"),
    (2e-3, "0.002"), (123456789012345680000.0, "123456789012345680000"), (295147905179352830000.0, "295147905179352830000"),
    (True, "true"), (None, "null"), (1 << 53, "9007199254740992"),
    ("\u20ac$\u000f\nA'B\"\\\\\"/", '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'),
    ({"b": [1, 2.0], "a": {}}, '{"a":{},"b":[1,2]}'), ({"\U0001f600": 1, "\ufb33": 2}, '{"\U0001f600":1,"\ufb33":2}'),
], ids=str)
def test_the_spelling_is_that_of_rfc_8785(value, spelled):
    """Numbers and text of the RFC's own tables (appendix B, section 3.2)."""
    assert canonical(value).decode() == spelled


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53 + 1, "\ud800"], ids=ascii)
def test_what_has_no_spelling(value):
    with pytest.raises(ValueError):
        canonical([value])


# -- checking ---------------------------------------------------------------------------------------------------------


def test_a_certificate_holds_and_its_verdict_is_the_exit_code(place, tmp_path, capsys):
    assert check(place, "--original", place / "model.safetensors", "--images", place / "asked", "--key",
                 place / "keys/images.key") == command.UNKNOWN
    said = capsys.readouterr().out
    assert [line.split(":")[0] for line in said.splitlines()[:5]] == ["signature", "model", "original", "images", "verdict"]
    assert check(place, "--json") == command.UNKNOWN
    assert json.loads(capsys.readouterr().out)["holds"] == ["signature", "model"]
    fine = json.loads((place / "out/certificate.json").read_text()) | {"verdict": "acceptable", "reasons": []}
    assert check(place, path=signed(fine, place, tmp_path)) == 0


def test_the_layout_of_the_file_is_free(place, document, tmp_path):
    (tmp_path / "flat.json").write_text(json.dumps(dict(reversed(document.items()))))
    assert check(place, path=tmp_path / "flat.json") == command.UNKNOWN


def signed(document, place, folder):
    """The document with a new signature of the same key."""
    key = certificate.signing_key(place / "keys/signing.pem")
    told = {name: part for name, part in document.items() if name != "signature"}
    told["signature"] = base64.b64encode(key.sign(canonical(told))).decode()
    return write_json(folder / "signed.json", told)


def test_a_change_of_any_field_is_seen(place, document, tmp_path):
    """Every leaf of the document in turn: another value, and gone."""
    key, found = certificate.public_key(place / "keys/signing.pub.pem"), list(changed(document))
    assert len(found) > 100
    for way, own in found:
        write_json(tmp_path / "changed.json", own)
        with pytest.raises(Refused) as caught:
            verifying._check_signature(verifying.read(tmp_path / "changed.json"), key)
        assert caught.value.reason == "certificate", way


CHANGES = {  # what is done to the file's text, and what is told
    "cut off": (lambda text: text[: len(text) // 2], "cut off"), "empty": (lambda text: "", "cut off"),
    "no JSON": (lambda text: "PK\x03\x04", "cannot be read"), "a list": (lambda text: "[]", "is no laf deletion certificate"),
    "deep": (lambda text: "[" * 100_000, "cannot be read"),
    "twice": (lambda text: text.replace("{", '{"issued": 1,', 1), "twice"),
    "another version": (lambda text: text.replace('"version": 1', '"version": 2'), "version 2"),
    "version true": (lambda text: text.replace('"version": 1', '"version": true'), "version True"),
    "another format": (lambda text: text.replace("deletion", "birth"), "is no laf deletion certificate"),
    "verdict": (lambda text: text.replace('"verdict": "cannot tell"', '"verdict": "acceptable"'), "was changed"),
    "a number": (lambda text: text.replace('"images": 8', '"images": 9', 1), "was changed"),
    "infinite": (lambda text: text.replace('"images": 8', '"images": 1e999', 1), "cannot be read"),
    "no signature": (lambda text: text.replace('"signature"', '"signed"'), "signature"),
    "signature no base64": (lambda text: text.replace('"signature": "', '"signature": "?'), "cannot be read"),
    "another algorithm": (lambda text: text.replace("Ed25519", "none"), "Ed25519"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_file_is_one_clear_error(place, tmp_path, capsys, name):
    change, told = CHANGES[name]
    text = (place / "out/certificate.json").read_text()
    (tmp_path / "changed.json").write_text(change(text))
    assert change(text) != text
    refused(check(place, path=tmp_path / "changed.json"), command.REFUSED, told, capsys)


def refused(code, wanted, told, capsys):
    said = capsys.readouterr()
    assert code == wanted and not said.out, said
    (line,) = said.err.splitlines()
    assert line.startswith("laf: error: ") and told in line


def test_another_key_model_or_image_is_one_clear_error(place, tmp_path, capsys):
    assert command.main(["key", "--out", str(tmp_path / "keys")]) == 0
    capsys.readouterr()
    refused(check(place, key=tmp_path / "keys/signing.pub.pem"), command.REFUSED, "another key", capsys)
    refused(check(place, model="model.safetensors"), command.REFUSED, "not those after forgetting", capsys)
    original = place / "out/unlearned.safetensors"
    refused(check(place, "--original", original), command.REFUSED, "not those before forgetting", capsys)
    more = ["--images", place / "images", "--key", place / "keys/images.key"]
    refused(check(place, *more), command.REFUSED, "0 of 8 images", capsys)
    more = ["--images", place / "asked", "--key", tmp_path / "keys/images.key"]
    refused(check(place, *more), command.REFUSED, "8 of 8 images", capsys)
    (tmp_path / "asked").mkdir()
    shutil.copy(place / "asked/jane-doe-000.png", tmp_path / "asked")
    more = ["--images", tmp_path / "asked", "--key", place / "keys/images.key"]
    refused(check(place, *more), command.REFUSED, "7 of 8 images", capsys)
    refused(check(place, "--images", place / "asked"), SETTINGS, "go together", capsys)
    refused(check(place, "--images", tmp_path / "no", "--key", place / "keys/images.key"), command.REFUSED, "no folder", capsys)
    refused(check(place, path=tmp_path / "no.json"), command.REFUSED, "no such file", capsys)
    refused(check(place, model="no.safetensors"), DATA, "no file", capsys)
    refused(check(place, key="no.pem"), DATA, "no such file", capsys)
    refused(check(place, key="keys/signing.pem"), DATA, "no public key", capsys)
    refused(check(place, key="delete.csv"), DATA, "no public key", capsys)


# -- keys -------------------------------------------------------------------------------------------------------------


def test_keys_are_their_owners_and_never_written_over(place, tmp_path, capsys):
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (place / "keys").iterdir()}
    assert modes["signing.pem"] == modes["images.key"] == 0o600 and modes["signing.pub.pem"] & 0o022 == 0
    before = (place / "keys/signing.pem").read_bytes()
    refused(command.main(["key", "--out", str(place / "keys")]), DATA, "already", capsys)
    assert (place / "keys/signing.pem").read_bytes() == before
    (tmp_path / "images.key").write_text("x" * 20)
    refused(command.main(["key", "--out", str(tmp_path)]), DATA, "already", capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["images.key"]


def test_without_a_key_of_images_one_is_drawn_and_kept(place, tmp_path, capsys):
    shutil.copytree(place, tmp_path / "place", ignore=shutil.ignore_patterns("out", "ledger*"))
    own = tmp_path / "place"
    assert main("forget", own, "--sign", own / "keys/signing.pem") == command.UNKNOWN
    assert "for you alone" in capsys.readouterr().out
    assert stat.S_IMODE((own / "out/images.key").stat().st_mode) == 0o600
    assert check(own, "--images", own / "asked", "--key", own / "out/images.key") == command.UNKNOWN


MAKERS = {
    "openssl": ["openssl", "genpkey", "-algorithm", "ed25519", "-out", "{}"],
    "ssh": ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", "{}"],
    "rsa": ["openssl", "genpkey", "-algorithm", "rsa", "-out", "{}"],
    "passphrase": ["openssl", "genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:word", "-out", "{}"],
}


@pytest.mark.parametrize("maker", MAKERS)
def test_keys_of_other_programs(tmp_path, maker):
    if shutil.which(MAKERS[maker][0]) is None:
        pytest.skip(f"no {MAKERS[maker][0]}")
    path = tmp_path / "own"
    subprocess.run([word.format(path) for word in MAKERS[maker]], check=True, capture_output=True)
    if maker in ("rsa", "passphrase"):
        with pytest.raises(Refused, match="Ed25519" if maker == "rsa" else "passphrase"):
            certificate.signing_key(path)
        return
    key = certificate.signing_key(path)
    if maker == "openssl":
        subprocess.run(["openssl", "pkey", "-in", str(path), "-pubout", "-out", f"{path}.pub"], check=True, capture_output=True)
    certificate.public_key(Path(f"{path}.pub")).verify(key.sign(b"x"), b"x")


@pytest.mark.parametrize(("more", "code", "told"), [
    (["--sign", "nowhere.pem"], DATA, "no such file"), (["--sign", "/dev/null"], DATA, "no plain file"),
    (["--sign", "{}/delete.csv"], DATA, "no private key"), (["--sign", "{}/keys/signing.pub.pem"], DATA, "no private key"),
    (["--image-key", "{}/keys/images.key"], SETTINGS, "needs --sign"),
    (["--sign", "{}/keys/signing.pem", "--image-key", "nowhere"], DATA, "no such file"),
    (["--sign", "{}/keys/signing.pem", "--image-key", "/dev/null"], DATA, "no plain file"),
])
def test_a_key_that_cannot_be_used_is_told_before_anything_is_done(place, tmp_path, capsys, more, code, told):
    words = ["--out", tmp_path / "out", *(word.format(place) for word in more)]
    shutil.copytree(place, tmp_path / "place", ignore=shutil.ignore_patterns("out", "keys"))
    given = ["--model", place / "model.safetensors", "--arch", "forgetting_fakes:own_model", "--data", place / "images",
             "--ids", place / "delete.csv", *words, *SCALE]
    refused(command.main(["forget", *map(str, given)]), code, told, capsys)
    assert not (tmp_path / "out").exists()
