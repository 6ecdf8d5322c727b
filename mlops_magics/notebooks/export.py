"""An executed notebook as one HTML page for people: nothing in it runs, nothing is loaded.

The page opens with the record (what, who, when, how it ended, what was measured, how it is
sealed) and goes on with the cells. It needs no script, works in light and dark and on paper.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files as resources
from typing import Any

import jinja2
import nbformat
from markupsafe import Markup
from nbconvert import HTMLExporter
from nbconvert.filters import markdown2html
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
from traitlets.config import Config

from mlops_magics.evidence import manifests
from mlops_magics.evidence.seal import Finding
from mlops_magics.notebooks import sanitising, summary

#: What an output shows, best first. Widgets and scripts are not among them: they need to run.
PRIORITY = [
    "text/html",
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "text/markdown",
    "text/latex",
    "text/plain",
]

_FOLDER = resources("mlops_magics") / "notebooks" / "page"
_UNSEEN = "An interactive output that needs scripts is not shown in this static page."


def page(content: Mapping[str, Any], finding: Finding, file: str, *, inputs: bool = True) -> str:
    """The page of a notebook.

    Parameters
    ----------
    content : mapping
        The notebook as parsed JSON.
    finding : Finding
        What verifying it found; the page says so at its head.
    file : str
        The name of the notebook's file.
    inputs : bool
        Show the sources of code cells.
    """
    home = content.get("metadata", {}).get(manifests.HOME, {})
    record = home.get("record", {}) if isinstance(home, Mapping) else {}
    record = record if isinstance(record, Mapping) else {}
    notebook = _prepared(content, record)
    return (
        _template("page.html.j2").render(
            title=_title(content, file),
            style=_style(),
            body=Markup(_cells(notebook, inputs)),  # noqa: S704  # cleaned cell by cell
            **summary.header(record, finding, file),
        )
        + "\n"
    )


def _title(content: Mapping[str, Any], file: str) -> str:
    """The first heading, else the file's name."""
    for cell in content.get("cells", ()):
        if cell.get("cell_type") == "markdown":
            found = re.search(
                r"^#\s+(.+)$", manifests.text_of(cell.get("source", "")), re.MULTILINE
            )
            if found:
                return re.sub(r"[*_`]", "", found[1]).strip()
    return file.removesuffix(".ipynb")


@cache
def _template(name: str) -> jinja2.Template:
    source = (_FOLDER / name).read_text(encoding="utf-8")
    return jinja2.Environment(autoescape=True, trim_blocks=True).from_string(source)


@cache
def _style() -> Markup:
    """The page's style, and the colours of code in light and in dark (on paper there is none)."""
    own = (_FOLDER / "style.css").read_text(encoding="utf-8")
    light = HtmlFormatter(style="default").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    whole = f"{light}\n@media screen and (prefers-color-scheme: dark) {{\n{dark}\n}}\n{own}"
    return Markup(whole)  # noqa: S704  # ours and Pygments', nothing from data


def _prepared(content: Mapping[str, Any], record: Mapping[str, Any]) -> nbformat.NotebookNode:
    """A copy whose HTML is harmless, with each cell's state where the template finds it."""
    notebook = nbformat.v4.upgrade(nbformat.reads(json.dumps(content), as_version=4))
    states = [c.get("status", "") for c in record.get("cells", ()) if isinstance(c, Mapping)]
    known = len(states) == len(notebook.cells)
    for position, cell in enumerate(notebook.cells):
        cell.metadata["mlops_state"] = str(states[position]) if known else ""
        scope = f"nb-{position}"
        if cell.cell_type == "markdown":
            cell.metadata["mlops_scope"] = scope
            cell.source = sanitising.clean(markdown2html(_with_attachments(cell)), scope)
        for number, output in enumerate(cell.get("outputs", ())):
            _clean_output(output, f"{scope}-{number}")
    return notebook


def _with_attachments(cell: nbformat.NotebookNode) -> str:
    """Markdown whose attached pictures stand in it."""
    source = str(cell.source)
    for name, bundle in cell.get("attachments", {}).items():
        for kind, data in bundle.items():
            if kind.startswith("image/"):
                source = source.replace(f"attachment:{name}", f"data:{kind};base64,{data}")
    return source


def _clean_output(output: nbformat.NotebookNode, scope: str) -> None:
    data = output.get("data")
    if data is None:
        return
    output.metadata["mlops_scope"] = scope
    active = [k for k in data if k not in PRIORITY]
    for kind, html in (("text/html", str), ("text/markdown", markdown2html)):
        if kind in data:
            data[kind] = sanitising.clean(html(data[kind]), scope)
            if not sanitising.is_visible(data[kind]):
                del data[kind]
                active.append(kind)
    shown = {"text/html", "image/png", "image/svg+xml", "image/jpeg", "text/markdown"} & set(data)
    if active and not shown and active != ["application/json"]:
        data["text/plain"] = f"{data.get('text/plain', '')}\n({_UNSEEN})".strip()


def _cells(notebook: nbformat.NotebookNode, inputs: bool) -> str:
    exporter = HTMLExporter(
        config=Config(
            {
                "NbConvertBase": {"display_data_priority": PRIORITY},
                "HTMLExporter": {"preprocessors": [], "default_preprocessors": []},
            }
        ),
        template_name="cells",
        extra_template_basedirs=[str(_FOLDER)],
        exclude_input=not inputs,
        exclude_input_prompt=not inputs,
    )
    body, _ = exporter.from_notebook_node(notebook)
    return str(body)
