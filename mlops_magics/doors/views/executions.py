"""Views of notebooks: what one takes, and how a headless run of it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops_magics.doors.views.card import Card, Status, Table, seconds, short
from mlops_magics.doors.views.cards import TONES
from mlops_magics.records import Execution, NotebookHelp

#: So much of an error's message is shown; the notebook has all of it.
_MESSAGE = 1000


def execution(record: Execution) -> Card:
    """How a headless run ended, with the cell at which it stopped."""
    facts: dict[str, Any] = {
        "output": record.output,
        **({"html": record.html} if record.html else {}),
        **({"parameters": dict(record.params)} if record.params else {}),
        "cells": dict(record.cells),
        **_resumption(record),
        "took": seconds(record.duration),
        **({"sealed content": short(record.digest)} if record.digest else {}),
    }
    notes = list(record.warnings)
    if record.failed_cell:
        notes.insert(0, f"Stopped at {where(record.failed_cell)}")
    steps = Table(
        ("step", "status", "version", "run"),
        [
            (s.get("verb", ""), _status(s), s.get("model") or s.get("experiment", ""), s["run_id"])
            for s in ({"run_id": "", **step} for step in record.steps)
        ],
        "Steps inside",
    )
    return Card(
        "Execution",
        record.notebook,
        Status(record.status, TONES.get(record.status, "plain")),
        "",
        facts,
        (steps,),
        notes,
        f"run {record.run_id}" if record.run_id else "",
    )


def _resumption(record: Execution) -> dict[str, Any]:
    """From where it went on, and where another run could."""
    facts: dict[str, Any] = {}
    gone_on, kept = record.resumed, record.checkpoint
    if gone_on is not None and gone_on.get("kept"):
        cell, run = gone_on.get("from_cell", "?"), gone_on.get("output", "")
        facts["resumed"] = f"at cell {cell} of {run} ({gone_on.get('why', '')})"
    elif gone_on is not None:
        facts["resumed"] = "from the top"
    if kept is not None:
        why = f": {kept['why']}" if kept.get("why") else ""
        facts["--resume"] = (
            f"goes on after cell {kept['cell']}{f', not later{why}' if why else ''}"
            if kept.get("cell")
            else f"runs all again{why}"
        )
    return facts


def where(cell: Mapping[str, Any]) -> str:
    """The cell at which a notebook stopped, and why."""
    name = cell.get("name") or cell.get("error") or "stopped"
    number = cell.get("number", cell.get("index", "?"))
    return f"cell {number}: {name}: {_printable(str(cell.get('message', ''))[:_MESSAGE])}"


def _printable(text: str) -> str:
    """Nothing that would steer a terminal or break a page."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


def _status(step: Mapping[str, Any]) -> Status:
    """Of what judged, its judgement; of all else, how it ended."""
    passed = step.get("passed")
    if isinstance(passed, bool) and step.get("status") == "finished":
        return Status("passed", "good") if passed else Status("not passed", "bad")
    word = str(step.get("status", ""))
    return Status(word, TONES.get(word, "plain"))


def notebook_help(record: NotebookHelp) -> Card:
    """The parameters of a notebook, and how to give them."""
    takes = Table(
        ("parameter", "type", "default", "what it is"),
        [
            (p.name, p.type, "required" if p.required else p.default, p.help)
            for p in record.parameters
        ],
        "Parameters",
    )
    needed = [p.name for p in record.parameters if p.required]
    some = needed or [p.name for p in record.parameters[:1]]
    example = " ".join(f"-p {name} …" for name in some)
    lead = f"Run it: mlops execute {record.notebook} {example}".rstrip()
    return Card(
        "Notebook",
        record.title or record.notebook,
        None,
        lead if record.parameters else "It takes no parameters.",
        {
            "notebook": record.notebook,
            **({"kernel": record.kernel} if record.kernel else {}),
        },
        (takes,),
        record.warnings,
    )
