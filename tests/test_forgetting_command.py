"""``laf forget``, ``laf audit``, ``laf data``: files, exit codes, JSON, dry run; nothing is ever unpickled."""

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from forgetting_fakes import own_model, patterns, trained
from PIL import Image
from safetensors.torch import load_file, save_file
from torchvision.models import resnet18
from torchvision.transforms import functional as TF

from laf_utils.forgetting import Refused, arguments, command, files
from laf_utils.settings.cli import DATA, SETTINGS
from laf_utils.support.paths import ROOT

ARCH = "forgetting_fakes:own_model"
SCALE = ["--mean", "0.5,0.5,0.5", "--std", "0.1666667,0.1666667,0.1666667"]  # (x - 1/2) * 6


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of images by class, a list of those of class 0, unseen images, and weights."""
    folder = tmp_path_factory.mktemp("own")
    for name, seed, count in (("images", 1, 480), ("unseen", 2, 240)):
        inputs, labels = patterns(count, seed)
        pixels = ((inputs.clamp(-3, 3) + 3) / 6 * 255).round().to(torch.uint8)
        for number, (image, label) in enumerate(zip(pixels, labels.tolist(), strict=True)):
            target = folder / name / f"c{label}" / f"{number:03}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            TF.to_pil_image(image).save(target)
    (folder / "delete.csv").write_text("file,why\n" + "".join(f"c0/{n:03}.png,asked\n" for n in range(0, 480, 4)))
    model = trained(own_model(), *patterns(480, 1))
    save_file(model.state_dict(), folder / "model.safetensors")
    return folder


def run(place, name, *more, capsys=None):
    words = [name, "--data", str(place / "images"), "--ids", str(place / "delete.csv"), *more]
    if name != "data":
        words += ["--model", str(place / "model.safetensors"), "--arch", ARCH, "--device", "cpu"]
    return command.main(words)


def test_forget_writes_weights_and_report(place, tmp_path, capsys):
    code = run(place, "forget", "--unseen", str(place / "unseen"), "--out", str(tmp_path), "--json", *SCALE)
    content = json.loads(capsys.readouterr().out)
    assert code == 0 and content["verdict"] == "acceptable"
    model = own_model()
    model.load_state_dict(load_file(tmp_path / "unlearned.safetensors"))
    inputs, labels = patterns(400, 3)
    with torch.no_grad():
        answers = model.eval()(inputs).argmax(1)
    assert (answers[labels == 0] == 0).float().mean() < 0.1 and (answers == labels)[labels != 0].float().mean() > 0.9
    assert content["forgetting"]["worst"][0]["file"].startswith("c0/")
    assert content["command"]["arguments"][0] == "forget" and "--ids" in content["command"]["arguments"]
    assert "laf forget" in (tmp_path / "report.html").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json", "unlearned.safetensors"]


def test_the_command_in_the_report_repeats_it(place, tmp_path, capsys):
    for name in ("one", "two"):
        words = json.loads((tmp_path / "one/report.json").read_text())["command"]["arguments"] if name == "two" else None
        if words:
            words[words.index("--out") + 1] = str(tmp_path / name)
            command.main(words)
        else:
            run(place, "forget", "--out", str(tmp_path / name), "--method", "ts", *SCALE)
    first, second = (load_file(tmp_path / name / "unlearned.safetensors") for name in ("one", "two"))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_result_that_is_not_acceptable_has_its_own_code(place, tmp_path, capsys):
    assert run(place, "forget", "--out", str(tmp_path), "--method", "jit", *SCALE) == command.ADVISED
    assert capsys.readouterr().out.startswith("retraining advised\n- ")


def test_a_dry_run_estimates_and_writes_nothing(place, tmp_path, capsys):
    assert run(place, "forget", "--out", str(tmp_path / "out"), "--dry-run", "--json", *SCALE) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["forget"] == 120 and found["retain"] == 360 and 0 < found["seconds"] < found["most_seconds"]
    assert found["weights"] == 5 * 4 * sum(p.numel() for p in own_model().parameters())
    assert found["activations"] > 64 * 12 * 64 * 4 and not (tmp_path / "out").exists()


def test_audit_of_a_model(place, capsys):
    assert run(place, "audit", "--unseen", str(place / "unseen"), "--json", *SCALE) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["forget"] == 120 and found["low"] <= found["auc"] <= found["high"]
    assert run(place, "audit", *SCALE) == SETTINGS
    assert "--unseen" in capsys.readouterr().err


def test_audit_beside_the_original_holds_the_verdict_of_forget(place, tmp_path, capsys):
    assert run(place, "forget", "--unseen", str(place / "unseen"), "--out", str(tmp_path), *SCALE) == 0
    words = ["--unseen", str(place / "unseen"), "--original", str(place / "model.safetensors"), "--json", *SCALE]
    assert run(place, "audit", *words) == command.ADVISED
    assert "removed class" in json.loads(capsys.readouterr().out.partition("report.html\n")[2])["reasons"][0]
    shutil.copytree(place, tmp_path / "place")
    shutil.copy(tmp_path / "unlearned.safetensors", tmp_path / "place/model.safetensors")
    assert run(tmp_path / "place", "audit", *words) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "acceptable"


def test_near_copies_are_listed_and_asked_about(place, tmp_path, capsys):
    shutil.copytree(place, tmp_path / "place")
    image = Image.open(place / "images/c0/000.png")
    image.putpixel((0, 0), tuple(value ^ 1 for value in image.getpixel((0, 0))))
    image.save(tmp_path / "place/images/c1/copy.png")
    more = ["--out", str(tmp_path / "out"), "--method", "ts", *SCALE]
    assert run(tmp_path / "place", "forget", *more) == command.REFUSED
    assert "copy.png" in capsys.readouterr().err and not (tmp_path / "out").exists()
    run(tmp_path / "place", "forget", "--copies", "forget", "--json", *more)
    content = json.loads(capsys.readouterr().out)
    assert content["images"]["forget"] == 121 and content["images"]["near_copies"]["done"] == "forget"


def test_data_says_what_would_be_read(place, tmp_path, capsys):
    assert run(place, "data", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "forget": 120, "retain": 360, "unseen": 0, "sizes": {"8x8": 480}, "unreadable": [], "in_both_sets": 0,
    }
    folder = tmp_path / "images"
    folder.mkdir()
    source = (place / "images/c0/000.png").read_bytes()
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(source)
    (tmp_path / "ids.txt").write_text("a.png\n")
    assert command.main(["data", "--data", str(folder), "--ids", str(tmp_path / "ids.txt")]) == command.REFUSED
    (folder / "c.png").write_bytes(b"broken")
    assert command.main(["data", "--data", str(folder), "--ids", str(tmp_path / "ids.txt")]) == DATA
    assert "unreadable: c.png" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "code", "told"),
    [
        ({"--ids": "nowhere.csv"}, DATA, "cannot be read"), ({"--data": "nowhere"}, DATA, "no folder"),
        ({"--model": "nowhere.safetensors"}, DATA, "there is no file"),
        ({"--arch": "resnet18"}, DATA, "expected torchvision:NAME"),
        ({"--arch": "torchvision:resnet18"}, DATA, "do not fit"), ({"--arch": "torchvision:nothing"}, DATA, "nothing"),
        ({"--floor": "3"}, SETTINGS, "floor"), ({"--device": "abacus"}, SETTINGS, "device must be one of"),
        ({"--method": "sisa"}, command.REFUSED, "[method]"), ({"--accept": "all"}, SETTINGS, "accept"),
    ],
)
def test_errors_are_one_line_with_a_code(place, tmp_path, capsys, change, code, told):
    given = {
        "--data": str(place / "images"), "--ids": str(place / "delete.csv"), "--model": str(place / "model.safetensors"),
        "--arch": ARCH, "--device": "cpu", "--out": str(tmp_path / "out"),
    } | change
    assert command.main(["forget", *(word for pair in given.items() for word in pair), *SCALE]) == code
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("laf: error: ") and told in lines[0]
    assert not (tmp_path / "out").exists()


def test_arguments_that_cannot_be_meant(capsys):
    assert command.main([]) == 2 and command.main(["forget"]) == 2 and command.main(["--help"]) == 0
    assert command.main(["forget", "--memory", "much"]) == 2
    assert arguments.size("2GB") == 2 << 30 and arguments.size("0.5mb") == 1 << 19


class Trap:
    """Unpickling it would set a mark."""

    def __reduce__(self):
        return (exec, ("import sys; sys.laf_trap = True",))


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".pkl", ".safetensors"])
def test_files_from_strangers_run_nothing(tmp_path, suffix):
    for write in (lambda path: torch.save({"weights": Trap()}, path), lambda path: path.write_bytes(pickle.dumps(Trap()))):
        path = tmp_path / f"model{suffix}"
        write(path)
        with pytest.raises(Refused) as caught:
            files.read_weights(path)
        assert caught.value.reason == "bad_weights" and not hasattr(sys, "laf_trap")


def test_weights_in_the_usual_wrappings(tmp_path):
    state = {"layer.weight": torch.ones(2)}
    for number, content in enumerate((state, {"state_dict": {f"module.{k}": v for k, v in state.items()}, "epoch": 3})):
        torch.save(content, tmp_path / f"{number}.pt")
        assert torch.equal(files.read_weights(tmp_path / f"{number}.pt")["layer.weight"], torch.ones(2))
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(Refused, match="no state_dict"):
        files.read_weights(tmp_path / "list.pt")


def test_the_number_of_classes_is_read_from_the_weights():
    model = files.build("torchvision:resnet18", resnet18(num_classes=7).state_dict())
    assert model.fc.out_features == 7 and not model.training


def test_names_of_images(place, tmp_path):
    folder = place / "images"
    own, others = files.divided(folder, ["c0/000.png", "001", "002.png"])
    assert [path.name for path in own] == ["000.png", "001.png", "002.png"] and len(others) == 477
    with pytest.raises(Refused, match="for 1 of 2 names, the first"):
        files.divided(folder, ["000.png", "nobody"])
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for name in ("a", "b"):
        (tmp_path / name / "same.png").write_bytes((folder / "c0/000.png").read_bytes())
    with pytest.raises(Refused, match="several images"):
        files.divided(tmp_path, ["same"])


def test_lists_of_images(tmp_path):
    path = tmp_path / "ids.csv"
    path.write_text("why,file\nasked,a.png\nasked,b.png\n")
    assert files.read_ids(path) == ["a.png", "b.png"]
    path.write_text("a.png\n\nb.png\n")
    assert files.read_ids(path) == ["a.png", "b.png"]
    path.write_text("file\n")
    with pytest.raises(Refused) as caught:
        files.read_ids(path)
    assert caught.value.reason == "nothing_to_forget"


ALONE = """
import json, sys
import torch._dynamo  # asks whether pandas is there, and takes the error below for no answer
assert "pandas" not in sys.modules
sys.path[:0] = json.loads(sys.argv[1])
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {
            "pandas", "matplotlib", "sklearn", "xgboost", "torchvision", "timm", "IPython", "nbformat", "papermill",
            "cryptography", "jsonschema", "snakemake", "optuna",
        }:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
from laf_utils.forgetting.command import main
print(json.dumps([main(words) for words in json.loads(sys.argv[2])]))
"""


def test_without_any_extra_it_works_or_says_in_one_line_what_is_missing(place, tmp_path):
    given = ["--data", str(place / "images"), "--ids", str(place / "delete.csv"), "--model", str(place / "model.safetensors")]
    signed = ["verify", "x.json", "--public-key", str(place / "delete.csv"), "--model", str(place / "model.safetensors")]
    (tmp_path / "x.json").write_text('{"format": "laf deletion certificate", "version": 1, "signer": {"algorithm": "Ed25519"}}')
    commands = [
        ["--version"], ["data", *given[:4]], ["forget", *given, "--arch", ARCH, "--out", "out", "--method", "ts", *SCALE],
        ["forget", *given, "--arch", "torchvision:resnet18", "--out", "out"],
        ["audit", *given, "--arch", "timm:resnet18", "--unseen", str(place / "unseen")], signed, ["key", "--out", "keys"],
    ]
    done = subprocess.run(
        [sys.executable, "-c", ALONE, json.dumps([str(Path(__file__).parent), str(ROOT)]), json.dumps(commands)], cwd=tmp_path,
        capture_output=True, text=True, check=True,
    )
    codes = json.loads(done.stdout.splitlines()[-1])
    assert codes.pop(2) in (0, command.ADVISED, command.UNKNOWN)  # it worked, whatever the verdict
    assert codes == [0, 0, DATA, DATA, command.REFUSED, command.REFUSED]
    told = done.stderr.splitlines()
    assert [next(name for name in ("torchvision", "timm", "cryptography") if name in line) for line in told] == [
        "torchvision", "timm", "cryptography", "cryptography",
    ]
    assert all(line.startswith("laf: error: ") for line in told)
