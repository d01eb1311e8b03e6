"""The book's sources and what its pages compute; the built pages are looked at in test_book_browser.py."""

import ast
import contextlib
import importlib
import json
import re
from pathlib import Path

import pytest
import yaml
from exhibits_fakes import fake

from laf_utils.book.base import training_records
from laf_utils.book.base.reading import Found
from laf_utils.book.results import departures, native, training_curves
from laf_utils.settings.config import RunConfig
from laf_utils.settings.names import MODEL_NAMES
from laf_utils.settings.presets import FIXED_SETTINGS, preset
from laf_utils.support.paths import ROOT
from laf_utils.support.records import REQUIRED

CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
TOC = (ROOT / "_toc.yml").read_text(encoding="utf-8")
PAGES = sorted((ROOT / "pages").rglob("*.md"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def record(dataset="mnist", task="class", mode="reference", seed=0, gap=1.0, **changes) -> dict:
    """What the pages read of a record."""
    config = preset(dataset, task, profile="paper", mode=mode, seed=seed, **changes).as_dict()
    own = {"train_r": 90.0, "train_f": 10.0 + gap, "test": 80.0, "test_r": None, "test_f": None, "asr": 40.0}
    own |= {"test_r": 85.0, "test_f": 0.0} if task == "class" else {}
    return {
        "config": json.loads(json.dumps(config)),
        "metrics": {model: dict(own) for model in MODEL_NAMES},
        "gaps": {model: {"mean": gap, "tow": 0.9, "asr": 2.0} for model in MODEL_NAMES if model != "retrained"},
        "passes": {"share_of_retraining": {"with_vae": 0.5}},
        "losses": {"loss_ue": [0.0, -3.0, -2.0], "loss_ra": [-110.9, -111.0, -111.5]},
    }


@pytest.fixture
def training(tmp_path, monkeypatch):
    """A Training folder of its own."""
    monkeypatch.setenv("LAF_TRAINING", str(tmp_path))
    return tmp_path


def listed() -> list[departures.Departure]:
    """The departures as their page has them."""
    page = (ROOT / "pages" / "departures.md").read_text(encoding="utf-8")
    return departures.parsed(re.search(r'DEPARTURES = """(.*?)"""', page, re.DOTALL)[1])


def write(folder: Path, name: str, value: dict) -> None:
    base = dict.fromkeys(REQUIRED, {}) | {"schema": 1, "dataset": {"name": "mnist", "requested": "mnist"}}
    path = folder / "mnist" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(base | value))


def test_runs_on_fewer_images_stand_in_only_where_the_paper_has_none_and_say_so():
    small = record("cifar10")
    small["config"] |= {"profile": "small", "images": 10_000}
    small["config"]["transforms"] = {**small["config"]["transforms"], "resize": None, "crop": "pad"}
    alone, paper = training_records.groups([small]), record("cifar10", gap=2.0)
    assert alone == {("cifar10", "class", "reference"): [small]}
    assert training_records.images_text([small]) == "10,000 images at 32 × 32"
    assert training_records.groups([small, paper]) == {("cifar10", "class", "reference"): [paper]}


def test_records_whose_repair_read_all_labels_stand_in_where_there_are_no_others():
    older, today = record(seed=1), record(seed=2)
    del older["config"]["repair"]["pairing"]
    assert training_records.settings(older["config"])["repair.pairing"] == "all"
    place = ("mnist", "class", "reference")
    assert training_records.groups([older]) == {place: [older]} and training_records.groups([older, today]) == {place: [today]}


def test_runs_are_the_papers_settings_in_order(training) -> None:
    (training / "authors.json").write_text("{}")
    fallback = {"dataset": {"name": "optdigits", "requested": "mnist"}}
    write(training, "b", record(seed=1))
    write(training, "a", record(mode="fixed"))
    write(training, "c", record(seed=0))
    write(training, "d", record(seed=2) | fallback)
    quick = record(seed=3)
    quick["config"]["profile"] = "quick"
    write(training, "e", quick)
    found = [(r["config"]["mode"], r["config"]["seed"]) for r in training_records.runs()]
    assert found == [("reference", 0), ("reference", 1), ("fixed", 0)]


def test_no_records_still_make_every_table(training) -> None:
    (training / "authors.json").write_text((ROOT / "Training" / "authors.json").read_text(encoding="utf-8"))
    assert training_records.runs() == []
    table = departures.departures_table(listed(), [])
    assert "measured alone" not in table.columns, "a column of dashes says nothing"
    assert departures.modes_table([]).empty
    assert len(table) == len(listed()) == 20
    for task in ("data", "class", "noisy"):
        assert training_curves.drawn(task, []) == []
        assert len(training_curves.table(task, [])) == 8
        with pytest.raises(ValueError, match="no record"):
            training_curves.figure(task, [])


def test_an_older_record_had_the_published_value() -> None:
    old = record()
    del old["config"]["vae"]["error"]
    assert training_records.settings(old["config"]) == training_records.settings(record()["config"])
    assert len(training_records.groups([old])) == 1


def test_effect_is_of_pairs_that_differ_in_one_switch_only() -> None:
    both = record(gap=9.0, vae__decoder="linear", vae__standardise=True)
    found = [record(gap=4.0), record(gap=1.5, vae__decoder="linear"), both]
    effect = departures.measured_effect("vae.decoder", found)
    assert "4.00 → 1.50" in effect and "`linear`" in effect and "9.00" not in effect
    assert departures.measured_effect("vae.standardise", found) == "–"  # no pair begins at the published setting of all others
    assert departures.measured_effect("vae.decoder", [record(seed=0), record(seed=1, vae__decoder="linear")]) == "–"


def test_what_nobody_measured_alone_is_said() -> None:
    switches = [departure for departure in listed() if departure.switch]
    none = departures.alone_sentence(departures.departures_table(listed(), [record()]))
    assert none.startswith(f"**None of the {len(switches)} switches is measured alone.** Which of them matters is not known")
    one = departures.departures_table(listed(), [record(gap=4.0), record(gap=1.5, vae__decoder="linear")])
    assert departures.alone_sentence(one).startswith("**1 of the ")


def test_both_modes_are_summed_up_with_what_they_cost() -> None:
    cheap = record(mode="fixed", gap=0.5)
    cheap["passes"]["share_of_retraining"]["with_vae"] = 0.02
    said = departures.modes_sentence([record(gap=1.0), record(seed=1, gap=1.2), cheap])
    assert "than `reference` in 1 of 1 setting, for 2 to 2 % of retraining's passes in place of 50 to 50 %" in said
    assert said.endswith("1 of them has a single run on one side: no claim.") and departures.modes_sentence([cheap]) == ""


def test_two_stores_of_one_request_say_so() -> None:
    compared = Found(dict(enumerate([fake("laf", seed, 3.0) for seed in (0, 1)])))
    said = departures.stores_sentence([record(gap=1.0)], compared)
    assert "at most 2.00 points apart, in MNIST, class removal (1.00 over 1 run here, 3.00 over 2 seeds there)" in said
    assert departures.stores_sentence([record("cifar10")], compared) == ""


def test_cells_of_both_modes_stand_side_by_side() -> None:
    cells = [fake("laf", seed, 3.0) for seed in (0, 1)] + [fake("laf", seed, 4.0, variant="fixed") for seed in (0, 1)]
    table = departures.fixed_table(Found(dict(enumerate(cells))), [("mnist", "class"), ("svhn", "class")])
    assert list(table.index) == ["MNIST, class removal"] and table.iloc[0]["seeds"] == "2 → 2"
    said = departures.fixed_sentence(table)
    assert said.endswith("nearer on average in 0 of 1 requests; it is farther in MNIST, class removal.")


def test_the_fall_of_the_loss_is_said_beside_the_authors() -> None:
    assert native.fall().startswith("**$L_{UE}$ falls to \u221218.3 in the authors' notebook")


def test_every_switch_of_the_fixed_mode_has_a_departure() -> None:
    named = {departure.switch for departure in listed() if departure.switch}
    assert named == set(FIXED_SETTINGS) | {"transforms.augment_everywhere"}
    assert named <= set(training_records.settings(RunConfig("mnist", "class").as_dict()))
    for switch in named:
        assert departures.published_value(switch, "reference") != departures.published_value(switch, "fixed")


def test_curves_are_drawn_with_the_authors_points() -> None:
    found = [record("cifar10"), record("mnist"), record("mnist", seed=1)]
    figure = training_curves.figure("class", found)
    assert len(figure.axes) == 4
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["here", "authors' code, run", "authors' plot", "authors' notebook"], "one key, beside the panels"
    rows = training_curves.table("class", found)
    assert rows.loc["MNIST, here", "lowest (epoch)"] == "\u22123.0\u00a0(1)"
    assert rows.loc["SVHN, here", "epochs"] == "no\u00a0record"
    assert training_curves.table("data", []).loc["Fashion-MNIST, theirs", "epochs"] == "not\u00a0shown"


def test_curves_that_disagree_are_said_to() -> None:
    found = [record("cifar10"), record("fashion")]
    cifar, fashion = training_curves.readings("class", [found[0]]), training_curves.readings("class", [found[1]])
    assert cifar[0].startswith("CIFAR-10: theirs falls from 0.5 to \u221216.0, ours from 0.0 to \u22123.0: **the curves")
    assert "authors' notebook" in cifar[0] and fashion[0].endswith("ours from 0.0 to \u22123.0: the curves agree.")
    near = record("fashion")
    near["losses"]["loss_ue"] = [-1.5, -8.0, -2.0]
    assert training_curves.readings("class", [near])[0].endswith("ours from \u22121.5 to \u22128.0: the curves agree.")
    assert training_curves.readings("data", []) == ()


def test_the_curves_of_all_tasks_are_summed_up() -> None:
    said = training_curves.summary([record("cifar10"), record("fashion")])
    assert said.startswith("**L_UE falls as the authors' does in 1 of 2 comparisons.**")
    assert said.endswith("Ours falls less than half as far in CIFAR-10, class removal.")
    assert training_curves.summary([]) == ""


TERMS = re.findall(r"^### (.+)$", (ROOT / "pages" / "glossary.md").read_text(encoding="utf-8"), re.M)


def test_terms_that_pages_use_are_in_the_glossary() -> None:
    known = {term.lower() for term in TERMS}
    for page in PAGES:
        for term in re.findall(r"\{term\}`([^`]+)`", page.read_text(encoding="utf-8")):
            assert re.sub(r".*<(.+)>", r"\1", term).lower() in known, f"{page.name}: {term}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_of_notebooks_lead_to_the_term(path) -> None:
    """Where JupyterLab has it: a heading's words with hyphens. Only the line about the glossary itself leads to its top."""
    known = {term.replace(" ", "-") for term in TERMS}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        for words, place in re.findall(r"\[([^]]*)\]\(\.\./pages/glossary\.md#?([^)]*)\)", "".join(cell["source"])):
            assert place in known or (words, place) == ("glossary", ""), f"{words}: {place or 'no term'}"


def test_authors_numbers_have_an_origin() -> None:
    assert all(group["origin"] for group in training_records.authors().values())


def test_every_page_and_notebook_is_in_the_table_of_contents() -> None:
    for path in (*PAGES, *NOTEBOOKS):
        assert re.search(rf": {path.relative_to(ROOT).with_suffix('').as_posix()}\n", TOC), f"{path} is not in _toc.yml"


def test_every_module_is_on_an_api_page() -> None:
    documented = set(re.findall(r"automodule:: (\S+)", "".join(page.read_text(encoding="utf-8") for page in PAGES)))
    for path in (ROOT / "laf_utils").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        assert module in documented or module.endswith("__main__"), f"{module}: pages/api/"


EXECUTED = [page for page in PAGES if "{code-cell}" in page.read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", EXECUTED, ids=lambda page: page.stem)
def test_cells_of_pages_ask_for_what_there_is(page) -> None:
    """A page is executed when the book is built; this finds a name that is gone in a second."""
    cells = re.findall(r"```\{code-cell\}[^\n]*\n(?:---\n.*?---\n)?(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    code = ast.parse("\n".join(re.sub(r"^:.*$", "", cell, flags=re.MULTILINE) for cell in cells))
    rooms = {}
    for node in ast.walk(code):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("laf_utils"):
            for name in node.names:
                with contextlib.suppress(ModuleNotFoundError):
                    rooms[name.asname or name.name] = importlib.import_module(f"{node.module}.{name.name}")
    for node in ast.walk(code):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in rooms:
            assert hasattr(rooms[node.value.id], node.attr), f"{node.value.id}.{node.attr}"


def test_pages_type_no_results() -> None:
    """Numbers with two decimals and a percent sign come from records."""
    for page in PAGES:
        assert not re.search(r"\d\.\d\d ?%", page.read_text(encoding="utf-8")), f"{page} types a result"


def test_cited_papers_are_in_the_bibliography() -> None:
    known = set(re.findall(r"@\w+\{(\w+),", (ROOT / "references.bib").read_text(encoding="utf-8")))
    for page in PAGES:
        for keys in re.findall(r"\{cite(?::\w)?\}`([^`]+)`", page.read_text(encoding="utf-8")):
            assert set(keys.split(",")) <= known


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_first_cell_fetches_the_package_on_colab(path) -> None:
    """It names the repository as ``_config.yml`` does and is hidden in the book."""
    cell = next(c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code")
    assert cell["metadata"].get("tags") == ["remove-cell"]
    assert f"git clone --quiet --depth 1 {CONFIG['repository']['url']}" in "".join(cell["source"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_figures_have_a_description(path) -> None:
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code" and "figures.show(" in "".join(cell["source"]):
            assert len(cell["metadata"]["mystnb"]["image"]["alt"]) > 10


@pytest.fixture
def extension(monkeypatch):
    """The book's Sphinx extension."""
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(str(ROOT / "_book"))
    return importlib.import_module("laf_book")


def test_buttons_lead_nowhere_dead(extension) -> None:
    """Where the repository has no address yet there are none."""
    assert extension.has_address("https://github.com/us/ours")
    assert not extension.has_address("https://example.invalid/ours") and not extension.has_address("")


def test_docstrings_are_shown_as_they_are_meant(extension) -> None:
    assert extension.escape("|d| and ``a | b``") == "\\|d\\| and ``a | b``"
    rooms = ["``a``    first", "``b, c``  second", "", "``load`` opens a door:"]
    assert extension.as_list(rooms) == ["- ``a``: first", "- ``b, c``: second", "", "``load`` opens a door:"]
    assert extension.field_comments(RunConfig)["images"].startswith("training images used")
    assert set(extension.field_comments(RunConfig)) >= {"dataset", "seed", "unlearning"}
    lines = ["g_D: the original."]
    extension.before_napoleon(None, "property", "original", None, None, lines)
    assert ":" not in lines[0]
    extension.after_napoleon(None, "property", "original", None, None, lines)
    assert lines == ["g_D: the original."]


def test_a_link_shows_title_first_paragraph_and_picture(extension) -> None:
    from types import SimpleNamespace

    from docutils import nodes
    from docutils.utils import new_document

    page = new_document("page")
    page += nodes.paragraph(text='Does "it" work? ' + "word " * 60)
    app = SimpleNamespace(config=SimpleNamespace(html_baseurl=""))
    context = {"title": "<em>LAF</em>", "pathto": lambda path, _: f"../{path}"}
    extension.preview(app, "page", "", context, page)
    assert 'property="og:title" content="LAF"' in context["metatags"]
    assert 'property="og:image" content="../_static/frontier.png"' in context["metatags"]
    (words,) = re.findall(r'name="description" content="([^"]*)"', context["metatags"])
    assert words.startswith("Does &quot;it&quot; work?") and words.endswith("word …") and len(words) < 220
    app.config.html_baseurl = "https://book.example/"
    extension.preview(app, "page", "", context, page)
    assert "https://book.example/_static/frontier.png" in context["metatags"]
    extension.preview(app, "search", "", {}, None)
    assert (ROOT / "_book" / "static" / "frontier.png").is_file()


def test_a_link_leads_to_the_term_of_the_glossary(extension, tmp_path) -> None:
    """In the book; a term that is not there is a warning, and so an error."""
    pytest.importorskip("myst_parser")
    from sphinx.application import Sphinx

    (tmp_path / "index.md").write_text("# Book\n\n```{toctree}\nglossary\n```\n\n[near](glossary.md#noise-floor) {term}`gap`\n")
    source = ":::{glossary}\n### gap\n  Points.\n\n### noise floor\n  Another gap.\n:::\n"
    (tmp_path / "glossary.md").write_text(f"# Glossary\n\n{source}")
    given = {"extensions": ["sphinx.ext.autodoc", "myst_parser", "laf_book"], "html_theme": "basic"}
    given |= {"myst_enable_extensions": ["colon_fence"]}
    out = tmp_path / "out"
    app = Sphinx(tmp_path, None, out, out / "trees", "html", given, status=None, warning=None, warningiserror=True)
    app.build()
    page = (out / "index.html").read_text(encoding="utf-8")
    assert app.statuscode == 0
    assert 'href="glossary.html#term-noise-floor"' in page and 'href="glossary.html#term-gap"' in page
    assert "### " not in (out / "glossary.html").read_text(encoding="utf-8")


def test_missing_mathjax_is_one_clear_error(extension, monkeypatch) -> None:
    monkeypatch.setattr(extension, "find_spec", lambda name: None)
    with pytest.raises(extension.ExtensionError, match=r"pip install -e '\.\[book\]'"):
        extension.mathjax()
