"""Requests one after another: what the first model's utility is, and a queue that collects them and loses none."""

import copy
import datetime
import json

import pytest
import torch
from forgetting_fakes import GONE, LIGHT, X, Y, light, own_model, patterns, trained
from safetensors.torch import save_file
from torchvision.transforms import functional as TF

from laf_utils.forgetting import ForgetOptions, Policy, Queue, Refused, call, command, engine, forget, preparing
from laf_utils.forgetting import queue as queue_room
from laf_utils.forgetting.first_model import FirstModel
from laf_utils.forgetting.keeping import Keeper
from laf_utils.forgetting.ledger import Ledger
from laf_utils.forgetting.options import Options
from laf_utils.forgetting.watch import utility
from laf_utils.methods.method import fingerprint

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
RARE = ForgetOptions(settings=LIGHT, floor=0.0)


def days(number):
    return START + datetime.timedelta(days=number)


@pytest.fixture(scope="module")
def model():
    return trained(own_model(), X, Y)


def taken(names, gone=()):
    """Rows by name: D_f, and all others but those that are gone already."""
    rows = torch.tensor([int(name) for name in names])
    left = torch.ones(len(X), dtype=torch.bool)
    left[rows] = False
    left[list(gone)] = False
    return X[rows], X[left]


@pytest.fixture
def queue(tmp_path):
    return Queue(tmp_path / "queue", tmp_path / "ledger.jsonl", Policy(size=20, days=30))


# -- the first model's utility ------------------------------------------------------------------------------------------------


def logits(model, inputs):
    with torch.no_grad():
        return model.eval()(inputs)


@pytest.fixture(scope="module")
def row_of_requests(tmp_path_factory):
    """Four requests of 40 images whose unlearning is a stand-in: it changes weights, takes that back, and changes them again."""
    inputs, labels = patterns(800, 1, noise=4.0)
    unseen, first = patterns(400, 2, noise=4.0)[0], trained(own_model(), inputs, labels)
    ledger, left, found = tmp_path_factory.mktemp("row") / "ledger.jsonl", torch.ones(len(inputs), dtype=torch.bool), []
    draw, own = torch.Generator().manual_seed(0), first
    moved = {name: 1.0 * value.std() * torch.randn(value.shape, generator=draw) for name, value in first.named_parameters()}

    def carried_out(method, work, make_watch, keeper):
        make_watch()
        network, sign = copy.deepcopy(work.network), (1, -1)[len(found) % 2]
        with torch.no_grad():
            for name, value in network.extractor.model.named_parameters():
                value += sign * moved[name]
        return engine.Outcome(network, {"finite": 1.0})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(call, "carry_out", carried_out)
        patch.setattr(call, "weighed", lambda *_: None)
        for number in range(4):
            rows = torch.arange(40 * number, 40 * (number + 1))
            left[rows] = False
            own, report = light(own, inputs[rows], inputs[left], unseen=unseen, ledger=ledger, floor=0.0, seed=number)
            found.append((own, report))
    return first, inputs, unseen, found, ledger


def test_the_ledger_says_what_the_first_model_itself_says(row_of_requests):
    first, _, unseen, requests, ledger = row_of_requests
    product, said = 1.0, []
    for own, report in requests:
        product *= min(entry["utility"] for entry in report.content["utility"].values()) / 100
        of_unseen = utility(logits(first, unseen).softmax(1), logits(own, unseen).argmax(1))
        said.append(report.content["utility_together"])
        assert said[-1] <= of_unseen + 1e-4, "the least of retained and unseen images"
    assert said[0] < 0.97 and said[2] == pytest.approx(said[0], abs=0.02), "the same change costs the same"
    assert said[1] == pytest.approx(1, abs=1e-3) and said[3] == pytest.approx(1, abs=1e-3), "what is taken back costs nothing"
    assert product < said[3] - 0.08, "each request is charged for in a product, there and back"
    book = Ledger(ledger)
    assert book.utility() == pytest.approx(said[3]) and book.entries[-1]["utility_first"] == pytest.approx(said[3])


def test_images_that_the_first_model_is_asked_of_are_never_trained_on(row_of_requests):
    _, inputs, _, requests, ledger = row_of_requests
    book = Ledger(ledger)
    marks = FirstModel(book).marks["retain"]
    assert len(marks) > 300 and not set(marks) & {mark for entry in book.entries for mark in entry["forgotten"]}
    found = preparing.prepare(requests[-1][0], preparing.Given(inputs[200:210], inputs[210:]), Options(seed=9), Keeper(), book)
    assert not set(book.marks(found.used.digests())) & set(marks)
    assert set(book.marks(found.watched.digests())) <= set(marks) | set(book.marks(found.known["retain"]))


def test_without_the_first_models_answers_the_product_counts(row_of_requests, tmp_path):
    ledger = row_of_requests[-1]
    (tmp_path / "ledger.jsonl").write_bytes(ledger.read_bytes())
    assert not FirstModel(Ledger(tmp_path / "ledger.jsonl")).marks
    book = Ledger(tmp_path / "ledger.jsonl")
    for entry in book.entries:
        del entry["utility_first"]
    product = torch.tensor([entry["utility"] for entry in book.entries], dtype=torch.float64).prod().item()
    assert book.utility() == pytest.approx(product)


def test_a_model_trained_anew_begins_another_series(row_of_requests, tmp_path):
    ledger = row_of_requests[-1]
    for path in ledger.parent.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    book = Ledger(tmp_path / ledger.name)
    book.begin_again("f" * 64)
    again = Ledger(tmp_path / ledger.name)
    assert again.utility() == 1 and again.since == 5 and again.follows("f" * 64) and not FirstModel(again).marks
    with pytest.raises(Refused, match="no request has been carried out"):
        Ledger(tmp_path / "other.jsonl").begin_again("f" * 64)


# -- the queue ----------------------------------------------------------------------------------------------------------------


def test_requests_are_collected_until_a_size_or_a_deadline(queue):
    assert not queue.status().due and queue.add(["1", "2", "2"], days(0)) == 1 and queue.add(["2", "3"], days(10)) == 2
    found = queue.status(days(29))
    assert (found.requests, found.images, found.due, found.deadline) == (2, 3, False, days(30)) and "3 of 20" in found.reason
    assert queue.status(days(30)).due and "deadline" in queue.status(days(31)).reason
    queue.add([str(row) for row in range(20)], days(11))
    assert queue.status(days(12)).due


def test_a_request_is_on_disk_before_it_is_answered(queue, monkeypatch):
    monkeypatch.setattr(queue_room, "write_json", lambda *_: (_ for _ in ()).throw(OSError(28, "no space left")))
    with pytest.raises(OSError, match="no space"):
        queue.add(["1"])
    monkeypatch.undo()
    assert not queue.waiting() and queue.add(["1"]) == 1
    assert [request.images for request in Queue(queue.folder, queue.ledger).waiting()] == [("1",)]


def test_what_is_due_is_forgotten_as_one_request(queue, model):
    for part in range(2):
        queue.add([str(row) for row in range(15 * part, 15 * (part + 1))])
    own, report = queue.run(model, taken, options=RARE)
    assert report.content["images"]["forget"] == 30 and fingerprint(own) != fingerprint(model)
    assert Ledger(queue.ledger).done == {1, 2} and not queue.waiting() and queue.run(own, taken) is None
    for path in queue.folder.glob("request-*.json"):
        assert json.loads(path.read_text())["images"] == [], "no name stays once it is forgotten"
    queue.add(["40"])
    assert queue.run(own, taken) is None, "one image is not due"
    again, _ = queue.run(own, lambda names: taken(names, range(30)), always=True, options=RARE)
    assert Ledger(queue.ledger).done == {1, 2, 3} and Ledger(queue.ledger).follows(fingerprint(again))


def test_a_crash_after_the_ledger_neither_loses_nor_repeats(queue, model, monkeypatch):
    queue.add([str(row) for row in range(30)])
    settle = Queue.settle
    calls = []

    def once(self):
        calls.append(0)
        if len(calls) == 2:
            raise KeyboardInterrupt
        settle(self)

    monkeypatch.setattr(Queue, "settle", once)
    with pytest.raises(KeyboardInterrupt):
        queue.run(model, taken, options=RARE)
    monkeypatch.undo()
    assert json.loads((queue.folder / "request-000001.json").read_text())["images"], "cut off before the names were taken out"
    assert not queue.waiting(), "the ledger knows"
    queue.settle()
    assert not json.loads((queue.folder / "request-000001.json").read_text())["images"]


def test_a_refused_request_goes_on_waiting(queue, model):
    queue.add(["0"])
    with pytest.raises(Refused):
        queue.run(model, lambda names: (X[:1], X), always=True, options=RARE)  # it is among the retained ones
    assert len(queue.waiting()) == 1 and not queue.ledger.exists()


def test_the_model_is_trained_anew_when_nothing_could_be_kept(queue, model, monkeypatch):
    monkeypatch.setattr(call, "carry_out", lambda method, work, make_watch, keeper: make_watch() and engine.Outcome(None, None))
    queue.add([str(row) for row in GONE.nonzero().flatten().tolist()[:30]])
    fresh, seen = own_model(7), []

    def retrain(retain):
        seen.append(len(retain))
        return trained(fresh, X[1:], Y[1:])

    assert queue.run(model, taken).report.content["kept"] is False and len(queue.waiting()) == 1, "it goes on waiting"
    found = queue.run(model, taken, retrain=retrain)
    book = Ledger(queue.ledger)
    assert found.model is fresh and seen == [len(X) - 30] and book.follows(fingerprint(fresh)) and book.utility() == 1
    assert book.since == len(book.entries) and not queue.waiting()


def test_a_queue_that_was_changed_is_refused(queue):
    queue.add(["1"])
    queue.add(["2"])
    path = queue.folder / "request-000001.json"
    text = path.read_text()
    for changed in (text.replace('"1"', '"3"'), "no json", "[]", text[:40]):
        path.write_text(changed)
        with pytest.raises(Refused) as caught:
            queue.status()
        assert caught.value.reason == "changed_queue" and "request-000001.json" in str(caught.value)
    path.unlink()
    with pytest.raises(Refused, match="request 1 is missing"):
        queue.add(["3"])


@pytest.mark.parametrize("images", [[], [""], [3], ["a" * 5_000]])
def test_requests_that_name_nothing(images, queue):
    with pytest.raises(ValueError, match="names one image at least"):
        queue.add(images)
    assert not queue.folder.exists()


@pytest.mark.parametrize("wrong", [
    {"size": 0}, {"size": 1.5}, {"size": True}, {"days": -1}, {"days": float("nan")}, {"days": 1e9},
])
def test_policies_that_cannot_be_meant(wrong):
    with pytest.raises(ValueError, match="must be"):
        Policy(**wrong)


def test_ledgers_of_before_there_was_a_queue_are_read(model, tmp_path):
    forget(model, X[GONE], X[~GONE], options=RARE, ledger=tmp_path / "ledger.jsonl")
    assert Ledger(tmp_path / "ledger.jsonl").done == set()


# -- from a shell -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def shell(tmp_path, capsys):
    """``shell(step, ...)``: the exit code and what ``laf queue`` said, on images in a folder and weights in a file."""
    inputs, labels = patterns(240, 1)
    pixels = ((inputs.clamp(-3, 3) + 3) / 6 * 255).round().to(torch.uint8)
    (tmp_path / "images").mkdir()
    for number, image in enumerate(pixels):
        TF.to_pil_image(image).save(tmp_path / "images" / f"{number:03}.png")
    save_file(trained(own_model(), inputs, labels).state_dict(), tmp_path / "model.safetensors")
    scale = ["--mean", "0.5,0.5,0.5", "--std", "0.1666667,0.1666667,0.1666667"]
    data = ["--data", str(tmp_path / "images"), *scale]

    def run(step, *more, model="model.safetensors"):
        weights = ["--model", str(tmp_path / model), "--arch", "forgetting_fakes:own_model", "--device", "cpu"]
        given = {"add": data, "run": [*data, *weights], "retrained": weights}.get(step, [])
        code = command.main(["queue", step, str(tmp_path / "queue"), *given, *map(str, more)])
        return code, capsys.readouterr().out

    return run


def test_a_queue_from_a_shell(shell, tmp_path):
    for name in ("000.png\n004.png", "008.png\n012.png\n004.png"):
        (tmp_path / "ids.txt").write_text(name)
        code, said = shell("add", "--ids", tmp_path / "ids.txt")
        assert code == 0 and said.startswith("request ")
    code, said = shell("status", "--batch", "5", "--json")
    assert code == 0 and json.loads(said)["images"] == 4 and not json.loads(said)["due"]
    code, said = shell("run", "--batch", "5", "--out", tmp_path / "out")
    assert code == 0 and said.startswith("not due: 2 requests of 4 images") and not (tmp_path / "out").exists()
    code, said = shell("run", "--batch", "4", "--out", tmp_path / "out", "--method", "ts")
    assert code in (0, command.ADVISED, command.UNKNOWN) and (tmp_path / "out" / "unlearned.safetensors").exists()
    kept = json.loads((tmp_path / "out" / "report.json").read_text())["kept"]
    assert Ledger(tmp_path / "queue" / "ledger.jsonl").done == ({1, 2} if kept else set())
    save_file(own_model(5).state_dict(), tmp_path / "new.safetensors")
    code, said = shell("retrained", model="new.safetensors")
    assert code == 0 and shell("status")[1].startswith("nothing waits; 2 requests")
    names = [json.loads(path.read_text())["images"] for path in sorted((tmp_path / "queue").glob("request-*.json"))]
    assert names == [[], []]
