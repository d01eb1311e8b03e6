"""What the book needs of Sphinx beyond its configuration: mathematics from this machine, docstrings as they are written."""

import inspect
import re
import shutil
from dataclasses import fields, is_dataclass
from enum import EnumType
from html import escape as escaped
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.domains.std import Glossary
from sphinx.errors import ExtensionError

PACKAGE = "sphinx-mathjax-offline"  # a distribution of MathJax 3 on PyPI; its own Sphinx extension would copy 24 MB
ENTRY = "tex-mml-chtml.js"
PREVIEW, DESCRIPTION = "_static/frontier.png", 200  # the picture of the first page; letters of a description
COLON = "\ue000"  # stands for a colon while napoleon looks
# The entry, its fonts, and what it loads later: rarer TeX commands, and the menu's accessibility tools.
COPIED = (ENTRY, "output/chtml/fonts", "input/tex/extensions", "a11y", "sre")


def mathjax() -> Path:
    """The folder of MathJax in the environment.

    Raises:
        ExtensionError: it is not installed.
    """
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ExtensionError(f"the book draws mathematics with {PACKAGE}, which is not installed: pip install -e '.[book]'")
    return Path(found.origin).parent / "static" / "mathjax"


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Put MathJax beside the pages."""
    if error is not None or app.builder.format != "html":
        return
    source, target = mathjax(), Path(app.outdir) / "_static" / "mathjax"
    for name in COPIED:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, dirs_exist_ok=True)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, target / name)


def escape(line: str) -> str:
    """A docstring's line without reST's substitutions: bars are absolute values here. Literals stay as they are."""
    parts = re.split(r"(``.*?``)", line)
    return "".join(part if part.startswith("``") else part.replace("|", "\\|") for part in parts)


def field_comments(thing: type) -> dict[str, str]:
    """The fields of a dataclass and the comment above or behind each: its unit, its reason. Empty where none has one."""
    comments: dict[str, str] = {}
    above: list[str] = []
    for line in inspect.getsource(thing).splitlines():
        if comment := re.match(r"    # (.+)$", line):
            above.append(comment[1])
            continue
        if field := re.match(r"    (\w+): [^#]+?(?:#\s+(.+))?$", line):
            comments[field[1]] = " ".join([*above, *filter(None, [field[2]])])
        above = []
    return {field.name: comments.get(field.name, "") for field in fields(thing)} if any(comments.values()) else {}


def no_enum_signature(app: Sphinx, what: str, name: str, thing: object, *_: object) -> tuple[str, None] | None:
    """An enumeration is not called; what Python's machinery would accept is no news."""
    return ("", None) if isinstance(thing, EnumType) else None


def as_list(lines: list[str]) -> list[str]:
    """A module's table of rooms (lines of a name and what it is, one under the other) as a list."""
    rows = [re.match(r"(``[^`]+``)\s+(\S.*)$", line) for line in lines]
    inside = [bool(row and (any(rows[max(0, i - 1) : i]) or any(rows[i + 1 : i + 2]))) for i, row in enumerate(rows)]
    return [f"- {row[1]}: {row[2]}" if listed else line for line, row, listed in zip(lines, rows, inside, strict=True)]


def before_napoleon(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Escape every line; hide a property's colons, else napoleon reads ``g_D: the original`` as a type."""
    hidden = [line.replace(":", COLON) for line in lines] if what in ("property", "attribute") else lines
    hidden = as_list(hidden) if what == "module" else hidden
    if what == "class" and is_dataclass(thing) and "Args:" not in lines and (comments := field_comments(thing)):
        hidden = [*hidden, "", "Args:", *(f"    {field}: {comment}" for field, comment in comments.items())]
    lines[:] = [escape(line) for line in hidden]


def after_napoleon(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Colons again."""
    lines[:] = [line.replace(COLON, ":") for line in lines]


def has_address(repository: str) -> bool:
    """Whether a repository's address is one: names below .invalid never are (RFC 2606)."""
    return not (urlsplit(repository).hostname or ".invalid").endswith(".invalid")


def live_buttons(app: Sphinx, page: str, template: str, context: dict, doctree: object) -> None:
    """Launch buttons where there is a notebook to launch (the other pages that compute are Markdown), and none of launch and
    source where the repository has no address yet."""
    dead = set() if str(app.env.doc2path(page)).endswith(".ipynb") else {"launch-buttons"}
    if not has_address(app.config.html_theme_options.get("repository_url", "")):
        dead |= {"launch-buttons", "source-buttons"}
    context["header_buttons"] = [b for b in context.get("header_buttons", []) if b.get("label") not in dead]


def preview(app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None) -> None:
    """What a link to the page shows elsewhere: its title, its first paragraph, and the picture of the first page."""
    if doctree is None:
        return
    first = next((" ".join(part.astext().split()) for part in doctree.findall(nodes.paragraph)), "")
    words = first if len(first) <= DESCRIPTION else f"{first[: DESCRIPTION - 2].rsplit(' ', 1)[0]} …"
    base = app.config.html_baseurl
    picture = f"{base.rstrip('/')}/{PREVIEW}" if base else context["pathto"](PREVIEW, 1)
    title = re.sub(r"<[^>]+>", "", context.get("title", ""))
    said = {"description": words, "og:title": title, "og:description": words, "og:type": "article", "og:image": picture}
    tags = [f'<meta {"property" if ":" in k else "name"}="{k}" content="{escaped(v)}" />' for k, v in said.items() if v]
    context["metatags"] = "\n".join([context.get("metatags", ""), *tags])


def words_for_pictures(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """The table of executed pages says it in words: not every machine has a font with pictures."""
    words = {"✅": "ran", "❌": "failed"}
    for text in doctree.findall(lambda node: isinstance(node, nodes.Text) and node.astext().strip() in words):
        text.parent.replace(text, nodes.Text(words[text.astext().strip()]))


class Terms(Glossary):
    """A glossary whose terms are headings in its source, so that JupyterLab and GitHub can lead to one as well."""

    def run(self) -> list[nodes.Node]:
        self.content.data = [line.removeprefix("### ") for line in self.content.data]
        return super().run()


def links_to_terms(app: Sphinx, doctree: nodes.document) -> None:
    """A link to ``glossary.md#noise-floor`` is one to the term, as JupyterLab names it; MyST knows headings only."""
    slugs = app.env.metadata[app.env.docname].setdefault("myst_slugs", {})
    for term in doctree.findall(nodes.term):
        for target in term["ids"]:
            slugs[term.astext().replace(" ", "-")] = (0, target, term.astext())


def setup(app: Sphinx) -> dict[str, object]:
    """Called by Sphinx."""
    mathjax()
    app.config.mathjax_path = f"mathjax/{ENTRY}"
    app.add_directive_to_domain("std", "glossary", Terms, override=True)
    app.connect("doctree-read", links_to_terms)
    app.connect("build-finished", copy_mathjax)
    app.connect("autodoc-process-signature", no_enum_signature)
    app.connect("autodoc-process-docstring", before_napoleon, priority=400)
    app.connect("autodoc-process-docstring", after_napoleon, priority=600)
    app.connect("html-page-context", live_buttons, priority=510)  # after the theme has added them
    app.connect("html-page-context", preview)
    app.connect("doctree-resolved", words_for_pictures)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
