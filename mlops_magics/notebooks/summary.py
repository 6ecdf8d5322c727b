"""What stands at the head of an exported notebook: its record and its seal, in words."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlops_magics.evidence.seal import Finding
from mlops_magics.notebooks.wording import moment, seconds, short, shown

#: How a run ended → tone and sign; the word says it all, colour is never the only sign.
TONES = {
    "finished": ("good", "✓"),
    "failed": ("bad", "✗"),
    "killed": ("bad", "✗"),
    "timed out": ("bad", "✗"),
    "interrupted": ("warn", "!"),
}


#: Verbs that judge → what a badge calls their judgement.
JUDGED = {"validate": "Verdict", "monitor": "Monitoring"}


@dataclass(frozen=True)
class Badge:
    """A short statement with its tone."""

    text: str
    tone: str
    sign: str


@dataclass(frozen=True)
class Value:
    """A value, or several with their names, and what is said of it in smaller letters."""

    text: str = ""
    more: str = ""
    pairs: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Group:
    """What is folded away: names with values, a list, or a text."""

    title: str
    hint: str = ""
    pairs: Sequence[tuple[str, str]] = ()
    items: Sequence[str] = ()
    text: str = ""


def header(record: Mapping[str, Any], finding: Finding, file: str) -> dict[str, Any]:
    """Everything that the page's head shows.

    Parameters
    ----------
    record : mapping
        The notebook's record; empty if it has none.
    file : str
        The name of the notebook's file, for the command that verifies it.
    """
    steps = [dict(s) for s in record.get("steps", ()) if isinstance(s, Mapping)]
    # The figures of the last step that has any.
    measured: dict[str, Any] = next((s for s in reversed(steps) if _mapping(s, "metrics")), {})
    return {
        "kind": "Executed notebook · record" if record else "Notebook · no record",
        "badges": _badges(record, finding, steps),
        "alarms": _alarms(record, finding),
        "problems": finding.problems if finding.sealed else (),
        "facts": _facts(record),
        "metrics": _metrics(measured),
        "measured": measured.get("model") or measured.get("experiment", ""),
        "steps": [_step(step) for step in steps],
        "seal": _seal(finding),
        "file": file,
        "groups": _groups(record) if record else [],
        "footer": _footer(finding, file),
    }


def _badges(
    record: Mapping[str, Any], finding: Finding, steps: Sequence[Mapping[str, Any]]
) -> list[Badge]:
    badges = []
    if record:
        status = str(record.get("status", "unknown"))
        badges.append(Badge(f"Run {status}", *TONES.get(status, ("plain", "·"))))
    for step in steps:
        if isinstance(step.get("passed"), bool):
            passed = step["passed"]
            what = JUDGED.get(str(step.get("verb")), str(step.get("verb")).capitalize())
            word = f"{what} {'passed' if passed else 'failed'}"
            badges.append(Badge(word, *(("good", "✓") if passed else ("bad", "✗"))))
    badges.append(_seal_badge(finding))
    return badges


def _seal_badge(finding: Finding) -> Badge:
    if finding.intact:
        return Badge("Sealed and intact", "good", "✓")
    if not finding.sealed:
        return Badge("Not sealed", "plain", "·")
    if finding.problems:
        return Badge("Changed since it was sealed", "bad", "✗")
    return Badge("Unchanged, sealed with a key not known here", "warn", "!")


def _alarms(record: Mapping[str, Any], finding: Finding) -> list[str]:
    said = []
    cell = record.get("failed_cell")
    if isinstance(cell, Mapping):
        said.append(f"Cell {cell.get('number')}: {cell.get('error')}: {cell.get('message')}")
    elif record.get("reason"):
        said.append(str(record["reason"]).capitalize())
    said += [str(warning) for warning in record.get("warnings", ())]
    if not finding.sealed and finding.problems and finding.problems != ("It carries no seal.",):
        said += finding.problems
    return said


def _facts(record: Mapping[str, Any]) -> list[tuple[str, Value]]:
    if not record:
        return []
    who, git = _mapping(record, "who"), _mapping(record, "git")
    notebook, environment = _mapping(record, "notebook"), _mapping(record, "environment")
    parameters = _mapping(record, "parameters")
    packages = _mapping(_mapping(record, "packages"), "versions")
    known = f"known by {who.get('authenticated', 'nothing')}"
    facts = [
        ("Who", Value(f"{who.get('actor', '–')} on {who.get('host', '–')}", known)),
        (
            "When",
            Value(
                moment(record.get("started")),
                f"until {moment(record.get('ended'))}, {seconds(record.get('duration_s'))}",
            ),
        ),
        ("Notebook", Value(str(notebook.get("path", "–")), short(notebook.get("digest")))),
        ("Code", _code(git)),
        (
            "Environment",
            Value(
                f"Python {environment.get('python', '–')}, {len(packages)} packages",
                str(environment.get("os", "")),
            ),
        ),
    ]
    if parameters:
        given = set(record.get("parameters_given", ()))
        pairs = [(k, shown(v)) for k, v in sorted(parameters.items()) if k in given]
        rest = len(parameters) - len(given)
        more = f"{rest} by default" if rest else ""
        facts.append(("Parameters", Value("" if pairs else "as in the notebook", more, pairs)))
    return facts


def _code(git: Mapping[str, Any]) -> Value:
    if not git:
        return Value("not under version control")
    commit = git.get("commit")
    state = "with uncommitted changes" if git.get("dirty") else "nothing uncommitted"
    branch = f" on {git['branch']}" if git.get("branch") else ""
    return Value(f"commit {str(commit)[:12]}{branch}" if commit else "no commit yet", state)


def _metrics(step: Mapping[str, Any]) -> list[tuple[str, str]]:
    metrics = _mapping(step, "metrics")
    return [(str(k).replace("_", " "), shown(v)) for k, v in metrics.items()]


#: Keys of a journal line that have a column of their own, or say nothing to a reader.
_KNOWN = {
    *("verb", "experiment", "run_id", "status", "started", "ended", "arguments"),
    *("model", "metrics", "passed"),
}


def _step(step: Mapping[str, Any]) -> dict[str, str]:
    status = str(step.get("status", "unknown"))
    passed = step.get("passed")
    if isinstance(passed, bool):
        outcome, (tone, sign) = (
            ("passed", TONES["finished"])
            if passed
            else (
                "failed",
                TONES["failed"],
            )
        )
    else:
        outcome, (tone, sign) = status, TONES.get(status, ("plain", "·"))
    metrics = _mapping(step, "metrics")
    said = [f"{k.replace('_', ' ')} {shown(v)}" for k, v in itertools.islice(metrics.items(), 4)]
    said += [
        f"{k.replace('_', ' ')} {shown(v)}"
        for k, v in step.items()
        if k not in _KNOWN and v not in (None, "", [], {}) and not isinstance(v, Mapping | list)
    ]
    return {
        "verb": str(step.get("verb", "")),
        "of": str(step.get("model") or step.get("experiment") or ""),
        "outcome": outcome,
        "tone": tone,
        "sign": sign,
        "result": " · ".join(said[:6]),
        "began": moment(step.get("started")).removesuffix(" UTC"),
        "run": str(step.get("run_id", "")),
    }


def _seal(finding: Finding) -> list[tuple[str, str]]:
    if not finding.sealed:
        return []
    known = f"trusted here as “{finding.trusted}”" if finding.trusted else "not known here"
    return [
        ("Sealed", moment(finding.sealed)),
        ("Content", finding.digest),
        ("Key", f"{finding.key_id} ({known})"),
    ]


def _footer(finding: Finding, file: str) -> str:
    sealed = f" with the content {finding.digest}" if finding.sealed else ""
    return f"This page shows {file}{sealed}. The notebook is the record; the page is a view of it."


def _groups(record: Mapping[str, Any]) -> list[Group]:
    environment = _mapping(record, "environment")
    packages = _mapping(record, "packages")
    versions = _mapping(packages, "versions")
    kernel, git = _mapping(record, "kernel"), _mapping(record, "git")
    cells = Counter(str(c.get("status")) for c in record.get("cells", ()) if isinstance(c, Mapping))
    run = {
        "event": record.get("event"),
        "verb": record.get("verb"),
        "MLflow run": record.get("run_id"),
        "cells": ", ".join(f"{n} {state}" for state, n in cells.items()),
        "kernel": kernel.get("name"),
        "masked secrets": _mapping(record, "masked").get("count"),
    }
    groups = [
        Group("Run", str(record.get("event", "")), _pairs(run)),
        Group(
            "Parameters",
            f"{len(_mapping(record, 'parameters'))}",
            _pairs(_mapping(record, "parameters")),
        ),
        Group("Machine", str(environment.get("processor", "")), _pairs(environment)),
        Group(
            "Packages",
            f"{len(versions)}, of {packages.get('of', '')}",
            items=[f"{name} {version}" for name, version in versions.items()],
        ),
        Group("Code", str(git.get("commit") or ""), _pairs(git)),
        Group("Uncommitted changes", "", text=str(record.get("uncommitted", ""))),
    ]
    return [group for group in groups if group.pairs or group.items or group.text]


def _pairs(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(str(k), shown(v)) for k, v in values.items() if v not in (None, "")]


def _mapping(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, Mapping) else {}
