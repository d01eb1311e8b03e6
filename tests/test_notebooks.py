"""Every notebook follows one template: a reader who knows one finds the way in all. Nothing is executed here."""

import ast
import importlib
import json
import re
from pathlib import Path

import pytest

from laf_utils.book import chapters
from laf_utils.settings.parameters import NOT_SETTINGS, PARAMETERS, configuration, from_notebook
from laf_utils.support.paths import notebooks_folder

NOTEBOOKS = sorted(notebooks_folder().glob("*.ipynb"))
CHAPTERS = [path for path in NOTEBOOKS if path.name[:2].isdigit()]
CHAPTER_CODE = [path.stem for path in sorted(Path(chapters.__file__).parent.glob("[a-z]*.py"))]
KEPT = {"nbval-check-output", "keep_output"}  # compared by nbval, so committed
TAGS = {"parameters", "hide-input", "remove-cell", "many-columns"} | KEPT
COMMON = ("DATASET", "TASK", "FORGET_CLASS", "SEED", "PROFILE", "MODE", "DEVICE", "FALLBACK")

def each(paths):
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.stem)


def cells(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def source(cell):
    return "".join(cell["source"])


def tags(cell):
    return set(cell["metadata"].get("tags", []))


def code(path):
    """The code cells that a reader sees: not the one that fetches the package on Colab."""
    return [cell for cell in cells(path) if cell["cell_type"] == "code" and "remove-cell" not in tags(cell)]


def prose(path):
    return "\n\n".join(source(cell) for cell in cells(path) if cell["cell_type"] == "markdown")


def parameters(path):
    (cell,) = [cell for cell in code(path) if "parameters" in tags(cell)]
    return {line.targets[0].id: ast.literal_eval(line.value) for line in ast.parse(source(cell)).body}


def test_all_are_here():
    names = [path.name for path in NOTEBOOKS]
    assert names == [
        "01_pretraining.ipynb", "02_vae_fitting.ipynb", "03_representation_adaptation.ipynb", "04_evaluation_and_mia.ipynb",
        "05_comparison.ipynb", "06_audit.ipynb", "07_questions.ipynb", "08_your_own_model.ipynb", "LAF.ipynb",
    ]


@each(NOTEBOOKS)
def test_opens_with_title_aim_and_table(path):
    first, second = cells(path)[:2]
    title, aim = source(first).split("\n\n", 1)
    assert title.startswith("# ") and "\n" not in aim.strip()
    for row in ("before you start", "Prerequisites", "Time", "You will see"):
        assert f"| {row} |" in source(second)
    assert len(re.findall(r"^# ", prose(path), flags=re.M)) == 1


@each(NOTEBOOKS)
def test_closes_with_summary_and_what_next(path):
    last = source(cells(path)[-1])
    assert last.startswith("## Summary") and "**Next:**" in last


@each(NOTEBOOKS)
def test_is_one_page(path):
    assert len(cells(path)) <= 40
    for cell in code(path):
        text = source(cell)
        assert len(text.splitlines()) <= 20
        assert not text.rstrip().endswith(";")
        for node in ast.walk(ast.parse(text)):
            assert not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda), "work belongs in laf_utils"


@each(NOTEBOOKS)
def test_imports_stand_first_and_only_there(path):
    for number, cell in enumerate(code(path)):
        imports = [isinstance(node, ast.Import | ast.ImportFrom) for node in ast.parse(source(cell)).body]
        assert all(imports) if number == 0 else not any(imports)


@each(NOTEBOOKS)
def test_imports_exist(path):
    for node in ast.parse(source(code(path)[0])).body:
        if isinstance(node, ast.ImportFrom) and node.module.startswith("laf_utils"):
            for name in node.names:
                found = importlib.import_module(node.module)
                assert hasattr(found, name.name) or importlib.import_module(f"{node.module}.{name.name}")


@each(NOTEBOOKS)
def test_a_functions_name_in_a_notebook_exists(path):
    known = {name: importlib.import_module(f"laf_utils.book.chapters.{name}") for name in CHAPTER_CODE}
    for cell in code(path):
        for node in ast.walk(ast.parse(source(cell))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in known:
                assert hasattr(known[node.value.id], node.attr), f"{node.value.id}.{node.attr}"


@each(NOTEBOOKS)
def test_parameters_are_known_plain_and_checked_at_once(path):
    found = parameters(path)
    assert set(COMMON) <= set(found) <= {*PARAMETERS, *NOT_SETTINGS}
    configuration(found)  # the defaults are a valid run
    own = code(path)
    (place,) = [k for k, cell in enumerate(own) if "parameters" in tags(cell)]
    assert place == 1, "nothing but imports before the parameters: a plain name there would count as one"
    assert "from_notebook(globals())" in source(own[place + 1])
    assert "fallback_from(globals())" in source(own[place + 1])


@each(NOTEBOOKS)
def test_all_cells_can_be_run_twice_in_one_kernel(path):
    """What cells have named is no parameter the second time; a plain value stands for whatever they made."""
    namespace = dict(parameters(path))
    first = from_notebook(namespace)
    trees = [ast.parse(source(cell)) for cell in code(path) if "parameters" not in tags(cell)]
    made = {n.id for tree in trees for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    assert made and not made & set(PARAMETERS), "a cell names something as a parameter is named"
    namespace |= dict.fromkeys(made, (1, "x"))
    assert from_notebook(namespace) == first


def test_same_parameters_mean_the_same_everywhere():
    defaults, comments = {}, {}
    for path in NOTEBOOKS:
        for name, value in parameters(path).items():
            assert defaults.setdefault(name, value) == value
        (cell,) = [cell for cell in code(path) if "parameters" in tags(cell)]
        for line in filter(None, source(cell).splitlines()):
            assert comments.setdefault(line.split(" ")[0], line) == line


@each(NOTEBOOKS)
def test_tags_are_those_that_mean_something(path):
    for cell in cells(path):
        assert tags(cell) <= TAGS
        assert not tags(cell) & KEPT or tags(cell) >= KEPT, "compared by nbval and committed: always both"


@each(NOTEBOOKS)
def test_only_compared_outputs_are_committed(path):
    for cell in code(path):
        # nbval takes a cell with outputs and no count for one that was never run, and fails it.
        assert cell["execution_count"] == (1 if tags(cell) >= KEPT else None)
        if tags(cell) >= KEPT:
            (output,) = cell["outputs"]
            assert output["output_type"] == "stream" and output["name"] == "stdout"
            assert 0 < len("".join(output["text"])) < 1_500
        else:
            assert not cell["outputs"]


@each(CHAPTERS)
def test_a_chapter_has_something_that_is_compared(path):
    assert any(tags(cell) >= KEPT for cell in code(path))


@each(NOTEBOOKS)
def test_figures_have_alt_text_and_hidden_input(path):
    imports, *cells_ = code(path)
    hidden = [cell for cell in cells(path) if cell["metadata"].get("jupyter", {}).get("source_hidden")]
    assert "hide-input" in tags(imports) and imports in hidden and len(hidden) == 2, "plumbing, folded in JupyterLab too"
    for cell in cells_:
        drawn = "style.show(" in source(cell)
        assert drawn == ("hide-input" in tags(cell))
        if drawn:
            (call,) = [n for n in ast.walk(ast.parse(source(cell))) if isinstance(n, ast.Call) and _name(n) == "style.show"]
            assert len(call.args) == 2 and len(ast.literal_eval(call.args[1])) > 20
            assert len(cell["metadata"]["mystnb"]["image"]["alt"]) > 40
        assert not re.search(r"plt\.|matplotlib|plotly|ipywidgets|tqdm", source(cell))


def _name(call):
    return ast.unparse(call.func)


@each(CHAPTERS)
def test_prose_quotes_no_result(path):
    text = re.sub(r"\$[^$]*\$|`[^`]*`", "", prose(path))
    assert not re.search(r"\d+\.\d+", text), "a number with decimals comes from a run: print it"


@each(NOTEBOOKS)
def test_links_to_other_notebooks_lead_somewhere(path):
    for name in re.findall(r"[\w-]+\.ipynb", prose(path)):
        assert (path.parent / name).is_file(), name
