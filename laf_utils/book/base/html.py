"""An executed notebook as one HTML page that needs nothing else: no network, no JavaScript, images inside.

nbconvert's own page loads MathJax, RequireJS and Mermaid from other machines. Here equations become MathML, which browsers
draw themselves, and no script is left.
"""

import html
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import pass_context
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from ...support.paths import whole_file

# nbconvert's page without its scripts.
TEMPLATE = """{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block jupyter_widgets -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}
<style>math[display="block"] { padding: 0.5em 0; overflow: auto hidden; }</style>
{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
"""


def mathml(tex: str, display: str) -> str:
    """An equation as MathML; where it cannot be converted, its TeX as code, which can still be read."""
    try:
        return convert(tex.strip(), display=display)
    except Exception:  # the converter raises many kinds, and one equation must not cost the page
        return f"<code>{html.escape(tex.strip())}</code>"


class _Renderer(IPythonRenderer):
    """nbconvert's Markdown, with equations drawn."""

    def inline_math(self, body: str) -> str:
        return mathml(body, "inline")

    def block_math(self, body: str) -> str:
        return mathml(body, "block")

    def latex_environment(self, name: str, body: str) -> str:
        return mathml(f"\\begin{{{name}}}{body}\\end{{{name}}}", "block")


class PageExporter(HTMLExporter):
    """nbconvert's page, self-contained."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(raw_template=TEMPLATE, embed_images=True, exclude_anchor_links=True, **settings)

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        """Markdown to HTML, as nbconvert calls it for each cell."""
        renderer = _Renderer(
            escape=False, attachments=context.get("cell", {}).get("attachments", {}), embed_images=self.embed_images,
            path=context.get("resources", {}).get("metadata", {}).get("path", ""), exclude_anchor_links=True,
        )
        return MarkdownWithMath(renderer=renderer).render(source)


def write_page(notebook: Path, page: Path, folder: Path) -> Path:
    """Write the page of an executed notebook, whole or not at all.

    Args:
        folder: where images that the notebook's text names are looked for.
    """
    content = nbformat.read(notebook, as_version=4)
    resources = {"metadata": {"name": notebook.stem, "path": str(folder)}}
    text, _ = PageExporter().from_notebook_node(content, resources)
    with whole_file(page) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return page
