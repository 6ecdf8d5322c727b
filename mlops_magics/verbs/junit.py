"""JUnit XML, which every CI system shows: of a verdict a test case a goal, of a notebook a cell."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from mlops_magics import notebooks
from mlops_magics.records import Execution, Verdict

#: What XML can't hold, in no spelling.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: The colours of a traceback.
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")

#: The longest line of code that is a test case's name.
_LONGEST = 80


@dataclass(frozen=True)
class Case:
    """A test case.

    Attributes
    ----------
    failure : str or None
        Why it failed, in one line; ``None`` if it did not.
    details : str
        What is said beside that.
    skipped : bool
        It was never come to.
    seconds : float or None
        What it took, where that is known.
    """

    name: str
    failure: str | None = None
    details: str = ""
    skipped: bool = False
    seconds: float | None = None


def write(verdict: Verdict, path: str) -> None:
    """Write the verdict to a file, whole or not at all.

    Raises
    ------
    MlopsError
        If it can't be written.
    """
    _write(document(verdict), path)


class Report:
    """Executed notebooks as one document: a suite for each, a test case for each cell of code.

    Threads may `take` at the same time.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._suites: dict[str, ElementTree.Element] = {}

    def take(self, event: str, notebook: Mapping[str, Any]) -> None:
        """Keep what became of the cells of a sealed notebook, by the id of its execution."""
        self._suites[event] = of_cells(notebook)

    def write(self, runs: Sequence[tuple[str, Execution]]) -> None:
        """Write it, as `write` does: in this order, also those of which nothing came back."""
        _write(_document(*(self._suite(event, run) for event, run in runs)), self._path)

    def _suite(self, event: str, run: Execution) -> ElementTree.Element:
        suite = self._suites[event] if event in self._suites else _without_cells(run)
        told = (f" {name}={value}" for name, value in run.varied.items())
        suite.set("name", _legal("".join([suite.get("name", ""), *told])))
        return suite


def _without_cells(run: Execution) -> ElementTree.Element:
    case = Case("the run", failure=f"{run.status}: {run.reason}")
    return _suite(f"execute {run.notebook}", Path(run.notebook).stem, "", [case])


def _write(text: str, path: str) -> None:
    notebooks.files.write(Path(path).expanduser(), text.encode("utf-8"))


def document(verdict: Verdict) -> str:
    """The XML document of a verdict."""
    found = [(f"data: {c.name}", c.found, c.status == "failed") for c in verdict.checks]
    found += [(g.text, g.reason, not g.passed) for g in verdict.goals]
    cases = [
        Case(name, failure=reason) if failed else Case(name, details=reason)
        for name, reason, failed in found
    ]
    return _document(_suite(f"validate {verdict.model}", verdict.model, verdict.at, cases))


def of_cells(notebook: Mapping[str, Any]) -> ElementTree.Element:
    """The suite of a sealed notebook: a test case for each cell of code.

    Parameters
    ----------
    notebook : mapping
        As it was written, with its record and without secrets.
    """
    record = notebook["metadata"]["mlops"]["record"]
    cases = [
        _case(notebook["cells"], index, state)
        for index, state in enumerate(record["cells"])
        if state["type"] == "code"
    ]
    failed = record.get("failed_cell")
    if record["status"] != "finished" and not failed:  # it stopped between two cells, or before
        cases.append(Case("the run", failure=f"{record['status']}: {record['reason']}"))
    path = str(record["notebook"]["path"])
    return _suite(f"execute {path}", Path(path).stem, record["started"], cases)


def _case(cells: Sequence[Mapping[str, Any]], index: int, state: Mapping[str, Any]) -> Case:
    name = f"cell {index + 1}: {_title(cells, index)}"
    seconds = state.get("duration_s")
    if state["status"] == "never ran":
        return Case(name, skipped=True)
    if state["status"] == "finished":
        return Case(name, seconds=seconds)
    errors = [o for o in cells[index].get("outputs", ()) if o.get("output_type") == "error"]
    told = ["\n".join(map(str, error.get("traceback", ()))) for error in errors]
    last = errors[-1] if errors else {}
    message = f"{last.get('ename', state['status'])}: {last.get('evalue', '')}"
    return Case(name, failure=message, details="\n\n".join(told), seconds=seconds)


def _title(cells: Sequence[Mapping[str, Any]], index: int) -> str:
    """The heading right above a cell, else its first line."""
    if index and cells[index - 1].get("cell_type") == "markdown":
        above = _lines(cells[index - 1])
        if above and above[-1].startswith("#"):
            return above[-1].lstrip("#").strip()
    lines = _lines(cells[index])
    first = next((line for line in lines if not line.startswith("#")), "".join(lines[:1]))
    return first if len(first) <= _LONGEST else f"{first[: _LONGEST - 1]}…"


def _lines(cell: Mapping[str, Any]) -> list[str]:
    source = cell.get("source", "")
    text = source if isinstance(source, str) else "".join(source)
    return [line.strip() for line in text.splitlines() if line.strip()]


def _suite(name: str, classname: str, at: str, cases: Sequence[Case]) -> ElementTree.Element:
    numbers = {
        "tests": len(cases),
        "failures": sum(case.failure is not None for case in cases),
        "errors": 0,
        "skipped": sum(case.skipped for case in cases),
    }
    suite = ElementTree.Element(
        "testsuite",
        {"name": _legal(name), **{key: str(number) for key, number in numbers.items()}},
        time=f"{sum(case.seconds or 0.0 for case in cases):.3f}",
    )
    if at:
        suite.set("timestamp", at[:19])  # to the second, as its readers expect it
    for case in cases:
        element = ElementTree.SubElement(
            suite, "testcase", classname=_legal(classname), name=_legal(case.name)
        )
        if case.seconds is not None:
            element.set("time", f"{case.seconds:.3f}")
        if case.skipped:
            ElementTree.SubElement(element, "skipped")
        elif case.failure is not None:
            failure = ElementTree.SubElement(element, "failure", message=_legal(case.failure))
            failure.text = _legal(case.details) or None
        elif case.details:
            ElementTree.SubElement(element, "system-out").text = _legal(case.details)
    return suite


def _document(*suites: ElementTree.Element) -> str:
    whole = ElementTree.Element("testsuites")
    whole.extend(suites)
    ElementTree.indent(whole)
    return ElementTree.tostring(whole, encoding="unicode", xml_declaration=True)


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", _COLOURS.sub("", text))
