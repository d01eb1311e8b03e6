"""Maps of representations: how they are made, drawn and put into a number."""

import json

import pytest
import torch
from exhibits_fakes import drawn_map

from laf_utils.book.base import style
from laf_utils.book.results import maps as mapped
from laf_utils.experiments import maps
from laf_utils.experiments.commands import map_places
from laf_utils.experiments.commands import maps as command
from laf_utils.experiments.record import MAPS, MapPlace
from laf_utils.support.keys import content_key
from laf_utils.support.reading import ReadingError


def test_a_map_holds_the_same_images_in_every_model(make_run, monkeypatch):
    monkeypatch.setattr(maps, "EACH", 35)
    run = make_run()
    record = MAPS.head(maps.inputs_of(run)) | maps.made(run, MapPlace("tiny", "class"))
    text = json.dumps(record, allow_nan=False)
    assert set(MAPS.parts) <= set(json.loads(text)) and len(record["classes"]) == 35 + 30
    assert set(record["maps"]) == {"original", "retrained", "laf"} and record["same"] == {"laf_r": "laf"}
    assert all(len(points) == 2 * len(record["classes"]) for points in record["maps"].values())
    assert all(value == float(f"{value:.3g}") for value in record["maps"]["laf"])
    rows = maps.sample_of(run)
    assert record["forgotten"] == torch.isin(rows, run.task.forget).int().tolist() and sum(record["forgotten"]) == 30
    assert record["classes"] == run.task.true_labels[rows].tolist()
    assert record["key"] != content_key(maps.inputs_of(make_run(unlearning__epochs=1)))


def test_a_map_is_made_once_and_again_when_its_key_is_another(make_run, tmp_path, monkeypatch):
    monkeypatch.setenv("LAF_RESULTS", str(tmp_path))
    place, run, made = MapPlace("mnist", "class"), make_run(), []
    monkeypatch.setattr(maps, "preset", lambda *names, **settings: run.config)
    monkeypatch.setattr(maps, "Run", lambda config: run)
    monkeypatch.setattr(maps, "made", lambda run, place: made.append(place) or dict.fromkeys(MAPS.required, {}))
    command(["TASK=class"])
    command(["TASK=class"])
    assert len(made) == 1 and place.path == tmp_path / "maps" / "mnist" / "class-quick-seed0.json"
    place.path.write_text(place.path.read_text().replace(content_key(maps.inputs_of(run)), "another"))
    command(["TASK=class"])
    assert len(made) == 2


def test_the_command_of_the_maps_spans_its_lists():
    places, _ = map_places(["DATASET=mnist,fashion", "SEED=0,1"])
    assert len(places) == 12 and places[0] == MapPlace("mnist", "class", 0, "quick")
    with pytest.raises(ReadingError, match="SEED"):
        map_places(["SEED=x"])


def test_the_map_has_a_number_that_says_who_lies_among_whom():
    exhibit = mapped.exhibit(drawn_map())
    shown = exhibit.table[mapped.COLUMN].astype(float)
    assert list(shown.index) == ["Original", "Retrained", "LAF", mapped.CHANCE] and shown["Original"] == 100
    assert 35 < shown["Retrained"] < 65, "without any structure about half are forgotten"
    assert shown[mapped.CHANCE] == 49.7
    assert exhibit.readings[0].startswith("LAF puts the forgotten images **mostly where the original has them**: 0 % of")
    said = mapped.summary([drawn_map()])
    assert said.startswith("**LAF leaves the forgotten images where the original has them in 1 of 1 maps**.")
    points = {name: torch.randn(50, 2).numpy() + at for name, at in (("original", 0), ("retrained", 50), ("laf", 49))}
    assert mapped.moved(points, torch.ones(50, dtype=bool).numpy()) == 100
    assert "LAF+R has the representations of LAF." in exhibit.about and "Profile quick." in exhibit.about
    figure = exhibit.draw()
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["Original", "Retrained", "LAF"]
    style.plt.close(figure)
