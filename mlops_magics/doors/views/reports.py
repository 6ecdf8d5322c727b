"""Views of what came of judgements: monitoring, executions, retraining, verification."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from mlops_magics.doors.views import drifting, promotions, verdicts
from mlops_magics.doors.views.card import (
    Bars,
    Card,
    Status,
    Table,
    moment,
    seconds,
    short,
    show,
)
from mlops_magics.doors.views.cards import TONES
from mlops_magics.records import (
    Execution,
    Monitoring,
    Retraining,
    Verification,
)


def monitoring(record: Monitoring) -> Card:
    """Drift by feature with both distributions, service figures, quality findings."""
    drifted = [f["name"] for f in record.features if f.get("drifted")]
    lead = (
        f"{len(drifted)} of {len(record.features)} features drifted: {', '.join(drifted[:6])}"
        if drifted
        else f"no drift in {len(record.features)} features"
    )
    features = Table(
        ("", "feature", "PSI", "KS", "distribution: training (line), now (bars)", "why"),
        [
            (
                level(f),
                f["name"],
                f.get("psi"),
                f.get("ks"),
                bars(f),
                f.get("reason", ""),
            )
            for f in sorted(record.features, key=lambda f: -(f.get("psi") or 0))
        ],
        "Features",
    )
    service = Table(
        ("service", "value"), [(k.replace("_", " "), v) for k, v in _flat(record.service)]
    )
    performance = Table(
        ("performance", "value"), [(k.replace("_", " "), v) for k, v in _flat(record.performance)]
    )
    facts = {
        "rows": f"{show(record.rows)} now, {show(record.reference_rows)} in training",
        **({"model": record.model} if record.model else {}),
        **({"from": moment(record.since)} if record.since else {}),
        **({"until": moment(record.until)} if record.until else {}),
    }
    tables = (
        verdicts.goals(record.goals, "Thresholds"),
        features,
        *drifting.tables(record),
        service,
        performance,
    )
    status = Status("well", "good") if record.passed else Status("over threshold", "bad")
    return Card(
        "Monitoring",
        record.deployment,
        status,
        lead,
        facts,
        tables,
        [*record.quality, *record.warnings],
        f"run {record.run_id}" if record.run_id else "",
        below=drifting.below(record),
        words=drifting.words(record),
    )


def level(feature: Mapping[str, Any]) -> Status:
    """How far a feature has moved, in the words of the drift report."""
    if feature.get("drifted"):
        return Status("drift", "bad")
    level = str(feature.get("level", "none"))
    return Status("stable", "good") if level == "none" else Status(level, "warn")


def bars(feature: Mapping[str, Any]) -> Any:
    """How the values of a feature lie, before and now."""
    histogram = feature.get("histogram") or {}
    was, now = histogram.get("reference") or [], histogram.get("current") or []
    if not was or not now:
        return "–"
    labels = histogram.get("labels")
    if not labels:
        edges = [float(e) for e in histogram.get("edges", [])]
        labels = [f"{show(a)} to {show(b)}" for a, b in itertools.pairwise(edges)]
    return Bars([str(v) for v in labels], _shares(was), _shares(now))


def _shares(counts: Any) -> list[float]:
    total = float(sum(counts)) or 1.0
    return [float(c) / total for c in counts]


def _flat(mapping: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key} ")
        else:
            rows.append((f"{prefix}{key}", value))
    return rows


def execution(record: Execution) -> Card:
    """How a headless run ended, with the cell at which it stopped."""
    facts: dict[str, Any] = {
        "output": record.output,
        **({"html": record.html} if record.html else {}),
        **({"parameters": dict(record.params)} if record.params else {}),
        "cells": dict(record.cells),
        "took": seconds(record.duration),
        **({"sealed content": short(record.digest)} if record.digest else {}),
    }
    notes = list(record.warnings)
    if record.failed_cell:
        notes.insert(0, f"Stopped at {where(record.failed_cell)}")
    steps = Table(
        ("step", "status", "version", "run"),
        [
            (
                s.get("verb", ""),
                Status(str(s.get("status", "")), TONES.get(str(s.get("status")), "plain")),
                s.get("model") or s.get("experiment", ""),
                s.get("run_id", ""),
            )
            for s in record.steps
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


def where(cell: Mapping[str, Any]) -> str:
    """The cell at which a notebook stopped, and why."""
    name = cell.get("name") or cell.get("error") or "stopped"
    number = cell.get("number", cell.get("index", "?"))
    return f"cell {number}: {name}: {cell.get('message', '')}"


def retraining(record: Retraining) -> Card:
    """Whether it fired, what was judged, and who serves now."""
    tones: dict[str, Any] = {"promoted": "good", "held": "warn", "not better": "bad"}
    facts = {
        **({"condition": record.condition} if record.condition else {}),
        **({"why": record.reason} if record.reason else {}),
        **({"candidate": record.candidate} if record.candidate else {}),
        **({"champion": record.champion} if record.champion else {}),
        **({"notebook": record.execution.output} if record.execution else {}),
    }
    goals = (verdicts.goals(record.verdict.goals, "Verdict"),) if record.verdict else ()
    return Card(
        "Retraining",
        record.name,
        Status(record.outcome, tones.get(record.outcome, "plain")),
        promotions.waiting(record.promotion) if record.promotion else "",
        facts,
        goals,
        record.warnings,
        f"run {record.run_id}" if record.run_id else "",
    )


def verification(record: Verification) -> Card:
    """Intact, or what was changed; of an audit also where it was written."""
    exported = getattr(record, "exported", "")
    facts = {
        **({"signed by": record.signer} if record.signer else {}),
        **({"sealed": moment(record.sealed)} if record.sealed else {}),
        **({"cells": record.cells} if record.cells else {}),
        **({"entries of the history": record.entries} if record.entries else {}),
        **({"newest entry": short(record.head)} if record.head else {}),
        **({"written to": exported} if exported else {}),
    }
    status = Status("intact", "good") if record.intact else Status("not intact", "bad")
    problems = Table(("what was changed",), [(p,) for p in record.problems])
    return Card("Record", record.path, status, "", facts, (problems,), record.warnings)
