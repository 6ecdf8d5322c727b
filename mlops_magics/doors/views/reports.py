"""Views of what came of judgements: monitoring, retraining, verification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops_magics.doors.views import (
    drifting,
    estimates,
    feature_drift,
    promotions,
    service_figures,
    verdicts,
)
from mlops_magics.doors.views.card import (
    Card,
    Status,
    Table,
    moment,
    percent,
    short,
    show,
)
from mlops_magics.records import (
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
    performance = Table(("measured performance", "value"), _measured(record.performance))
    facts = {
        "rows": f"{show(record.rows)} now, {show(record.reference_rows)} in training",
        **({"model": record.model} if record.model else {}),
        **({"from": moment(record.since)} if record.since else {}),
        **({"until": moment(record.until)} if record.until else {}),
        **({"broken since": moment(record.broken_since)} if record.broken_since else {}),
    }
    tables = (
        thresholds(record),
        feature_drift.detailed(record.features),
        *drifting.tables(record),
        *service_figures.tables(record.service),
        performance,
        *estimates.tables(record.performance),
        alerts(record),
    )
    status = Status("well", "good") if record.passed else Status("over threshold", "bad")
    return Card(
        "Monitoring",
        record.deployment,
        status,
        lead,
        facts,
        tables,
        [*record.quality, *record.warnings, *estimates.warnings(record.performance)],
        f"run {record.run_id}" if record.run_id else "",
        below=[*drifting.below(record), *feature_drift.others(record.features)],
        words=[*drifting.words(record), *estimates.words(record.performance)],
    )


def thresholds(record: Monitoring) -> Table:
    """What was to hold, and whether it did."""
    return verdicts.goals(record.goals, "Thresholds")


def alerts(record: Monitoring) -> Table:
    """What was sent to whom."""
    rows = []
    for sent in record.alerts:
        status = str(sent.get("status", ""))
        how = Status(status, "good" if status == "sent" else "bad")
        told = (sent.get("event"), sent.get("sink"), sent.get("detail"))
        rows.append((how, *told, moment(str(sent.get("at", "")))))
    return Table(("alert", "of", "to", "how it went", "at"), rows)


def _measured(performance: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """How many rows have a label by now, and each metric, or why it has no value."""
    facts = {k: performance[k] for k in ("rows", "coverage", "reason") if k in performance}
    if "coverage" in facts:
        facts["coverage"] = percent(float(facts["coverage"]))
    metrics = {**performance.get("metrics", {}), **performance.get("not_measured", {})}
    return [(name.replace("_", " "), value) for name, value in {**facts, **metrics}.items()]


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
