"""The page of an executed notebook: it tells the truth, and nothing in it runs or loads."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from mlops_magics.evidence import keys, seal
from mlops_magics.notebooks import export

PIXEL = base64.b64encode(b"\x89PNG not really").decode()

RECORD: dict[str, Any] = {
    "event": "e-1",
    "verb": "execute",
    "status": "finished",
    "reason": "",
    "started": "2026-11-23T09:00:00.000Z",
    "ended": "2026-11-23T09:02:05.000Z",
    "duration_s": 125.0,
    "who": {"actor": "ada <b>", "host": "box", "authenticated": "login name"},
    "notebook": {"path": "/home/ada/credit.ipynb", "digest": "sha256:" + "a" * 64},
    "parameters": {"name": "<script>alert(1)</script>", "seed": 7},
    "parameters_given": ["name"],
    "environment": {"python": "3.12.1", "os": "Linux"},
    "packages": {"of": "the kernel's Python", "versions": {"numpy": "2.1.0"}},
    "git": {"commit": "0123456789abcdef", "branch": "main", "dirty": True},
    "uncommitted": "+ <b>diff</b>",
    "cells": [],
    "steps": [
        {
            "verb": "train",
            "experiment": "credit",
            "model": "credit/3",
            "run_id": "feedbeef" * 4,
            "status": "finished",
            "started": "2026-11-23T09:00:10Z",
            "metrics": {"roc_auc": 0.83456, "f1": 0.6},
        },
        {
            "verb": "validate",
            "experiment": "credit",
            "model": "credit/3",
            "run_id": "abad1dea" * 4,
            "status": "finished",
            "started": "2026-11-23T09:00:20Z",
            "passed": False,
            "goals": "1 of 2 met",
        },
    ],
    "warnings": [],
    "masked": {"count": 0, "places": []},
}


class Elements(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def cells() -> list[Any]:
    code = new_code_cell("print('<hi>')", execution_count=1)
    code.outputs = [
        new_output("stream", name="stdout", text="plain \x1b[31mred\x1b[0m <b>\n"),
        new_output("stream", name="stderr", text="careful\n"),
        new_output("display_data", data={"image/png": PIXEL, "text/plain": "<Figure>"}),
        new_output("display_data", data={"text/html": "<b onclick='x()'>bold</b>"}),
        new_output(
            "display_data",
            data={"text/html": "<script>draw()</script>", "text/plain": "Plot()"},
        ),
        new_output(
            "display_data",
            data={
                "application/vnd.jupyter.widget-view+json": {"model_id": "1"},
                "text/plain": "IntSlider()",
            },
        ),
        new_output("display_data", data={"application/javascript": "alert(1)"}),
        new_output("display_data", data={"image/svg+xml": "<svg onload='alert(1)'></svg>"}),
        new_output("display_data", data={"text/latex": "$x < y$"}),
        new_output("execute_result", execution_count=1, data={"text/plain": "'<i>'"}),
    ]
    failed = new_code_cell("1/0", execution_count=2)
    failed.outputs = [
        new_output("error", ename="ZeroDivisionError", evalue="division", traceback=["at <module>"])
    ]
    never = new_code_cell("print('never')")
    attached = new_markdown_cell("![p](attachment:p.png) <iframe src='//evil.example'></iframe>")
    attached["attachments"] = {"p.png": {"image/png": PIXEL}}
    return [new_markdown_cell("# Who *pays* back?\n\nText"), code, failed, never, attached]


def build(folder: Path, record: dict[str, Any] | None = None) -> dict[str, Any]:
    notebook = json.loads(nbformat.writes(new_notebook(cells=cells())))
    states = ["finished", "finished", "failed", "never ran", "never ran"]
    body = {**RECORD, "cells": [{"status": s} for s in states], **(record or {})}
    notebook["metadata"]["mlops"] = {"record": body}
    return seal.sign(notebook, keys.signer(folder), "credit.ipynb")


def page(content: dict[str, Any], folder: Path, **options: Any) -> str:
    return export.page(
        content, seal.verify(content, keys.trusted(folder)), "credit.ipynb", **options
    )


@pytest.fixture
def text(tmp_path: Path) -> str:
    return page(build(tmp_path), tmp_path)


def test_nothing_runs_and_nothing_is_loaded(text: str) -> None:
    elements = Elements(text).found
    for tag, attributes in elements:
        assert tag not in {"script", "iframe", "object", "embed", "link", "form", "base"}
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            value = attributes.get(name) or ""
            assert value.startswith(("data:image/", "#")) or value == ""
    policy = [a["content"] for t, a in elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy
    assert "default-src 'none'" in str(policy[0])
    assert "script-src" not in str(policy[0])
    assert not re.search(r"url\(\s*['\"]?(?!data:)", text)


def test_the_record_stands_at_the_head(text: str) -> None:
    head = text[: text.index("<main>")]
    for said in (
        "<h1>Who pays back?</h1>",
        "Run finished",
        "Verdict failed",
        "Sealed and intact",
        "ada &lt;b&gt; on box",
        "2026-11-23 09:00:00 UTC",
        "2 min 05 s",
        "/home/ada/credit.ipynb",
        "commit 0123456789ab on main",
        "with uncommitted changes",
        "0.8346",
        "credit/3",
        "feedbeef",
        "numpy 2.1.0",
        "<b>name</b> &lt;script&gt;",
        "1 by default",
        "+ &lt;b&gt;diff&lt;/b&gt;",
        "mlops verify credit.ipynb",
    ):
        assert said in head, said


def test_the_cells(text: str) -> None:
    main = text[text.index("<main>") :]
    assert "plain <span" in main
    assert "red</span> &lt;b&gt;" in main
    assert f"data:image/png;base64,{PIXEL}" in main
    assert "<b>bold</b>" in main
    assert "&#39;&lt;i&gt;&#39;" in main or "'&lt;i&gt;'" in main
    assert "Plot()" in main
    assert "IntSlider()" in main
    assert main.count("needs scripts is not shown") == 3
    assert "✗ cell 3 failed" in main
    assert "○ cell 4 never ran" in main
    assert "at &lt;module&gt;" in main
    assert "$x &lt; y$" in main
    assert main.count(PIXEL) == 2  # the output's and the attached one


def test_without_inputs(tmp_path: Path) -> None:
    text = page(build(tmp_path), tmp_path, inputs=False)
    assert 'class="nb-in"' not in text
    assert "plain <span" in text


def test_an_altered_notebook_says_so_first(tmp_path: Path) -> None:
    content = build(tmp_path)
    content["cells"][1]["source"] = "print('other')"
    text = page(content, tmp_path)
    assert "Changed since it was sealed" in text
    assert "Sealed and intact" not in text
    assert text.index("the source was changed") < text.index("<main>")


def test_an_unknown_key_is_said(tmp_path: Path) -> None:
    content = build(tmp_path / "theirs")
    text = page(content, tmp_path / "mine")
    assert "sealed with a key not known here" in text
    assert "Sealed and intact" not in text


@pytest.mark.parametrize("status", ["failed", "killed", "interrupted", "timed out"])
def test_how_it_ended(status: str, tmp_path: Path) -> None:
    record = {"status": status, "reason": "the <reason>", "failed_cell": None}
    text = page(build(tmp_path, record), tmp_path)
    assert f"Run {status}" in text
    assert "The &lt;reason&gt;" in text


def test_a_notebook_without_a_record(tmp_path: Path) -> None:
    content = json.loads(nbformat.writes(new_notebook(cells=cells())))
    text = page(content, tmp_path)
    assert "Not sealed" in text
    assert "no record" in text


@pytest.mark.parametrize("record", ["text", [1], {"steps": [1], "cells": "x", "who": 5}, None])
def test_a_record_that_makes_no_sense(record: Any, tmp_path: Path) -> None:
    content = json.loads(nbformat.writes(new_notebook(cells=cells())))
    content["metadata"]["mlops"] = {"record": record}
    assert "Not sealed" in page(content, tmp_path)


def test_an_old_notebook(tmp_path: Path) -> None:
    cell = {"cell_type": "code", "metadata": {}, "source": ["1"], "outputs": []}
    content = {
        "cells": [{**cell, "execution_count": None}],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 0,
    }
    assert "credit" in page(content, tmp_path)
