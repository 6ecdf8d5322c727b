"""Views of the whole: the overview, the doctor, the demo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mlops_magics.doors.views.card import Card, Status, Table, moment
from mlops_magics.doors.views.cards import TONES
from mlops_magics.doors.views.deployments import compared, second
from mlops_magics.records import Demo, Deployment, Diagnosis, Overview, Schedule


def overview(record: Overview) -> Card:
    """Models with aliases and verdicts, deployments with their health."""
    models = Table(
        ("model", "version", "aliases", "verdict", "estimator", "metric"),
        [
            (
                m["name"],
                m["version"],
                ", ".join(f"@{a}" for a in m.get("aliases", ())) or "–",
                _verdict_word(m.get("verdict")),
                m.get("estimator", ""),
                m.get("metric", ""),
            )
            for m in record.models
        ],
        "Models",
    )
    deployments = Table(
        ("deployment", "model", "state", "url", "note"),
        [
            (d.name, d.model, Status(d.status, TONES.get(d.status, "plain")), d.url, _note(d))
            for d in record.deployments
        ],
        "Deployments",
    )
    schedules = Table(
        ("schedule", "every", "by", "last run", "outcome", "next run (UTC)", ""),
        [_schedule(s) for s in record.schedules],
        "Schedules",
    )
    notes = [f"Run {r} was left open by a dead process; now killed." for r in record.closed_runs]
    notes += [
        f"{h['version']} waits to become @{h['alias']}: {h['agreed']} of {h['needed']} agreed "
        f"(promote {h['version']} --approve)."
        for m in record.models
        for h in m.get("held", ())
    ]
    notes += [f"Run {r} was kept on this machine; now delivered." for r in record.delivered]
    beside = [
        replace(compared(d.canary), title=f"{d.name}: {d.model} and {d.canary.get('model', '')}")
        for d in record.deployments
        if d.canary
    ]
    lead = "" if record.models else "No model yet: %prepare data, then %%train NAME."
    return Card(
        "Status",
        record.store,
        None,
        lead,
        {},
        (models, deployments, *beside, *((schedules,) if record.schedules else ())),
        [*notes, *record.warnings],
    )


def _schedule(found: Mapping[str, Any]) -> tuple[Any, ...]:
    """When it ran and when it runs; what is late is said in a word."""
    last, late = found.get("last_run"), found.get("overdue")
    return (
        found.get("name", ""),
        found.get("every", ""),
        found.get("kind", ""),
        moment(last) if last else "none yet",
        Status("overdue", "bad") if late else found.get("outcome", "") or "–",
        moment(str(found.get("next_run", ""))),
        found.get("note", ""),
    )


def schedule(record: Schedule) -> Card:
    """What is run when, by which files, and what is left to do so that it is."""
    written = record.status == "written"
    facts = {
        "runs": " then ".join(record.command),
        "every": record.every,
        "cron": f"{record.cron} (UTC)" if record.cron else "none can say it",
        **({"next run": moment(record.next_run)} if record.next_run else {}),
        **({"files": ", ".join(record.files)} if record.files else {}),
    }
    todo = "So that it is taken" if written else "So that it is forgotten"
    return Card(
        "Schedule",
        f"{record.name} by {record.kind}",
        Status(record.status, "good" if written else "plain"),
        "",
        facts,
        (Table((todo,), [(line,) for line in record.install]),) if record.install else (),
        record.warnings,
    )


def _note(deployment: Deployment) -> str:
    """Why it is down, how often it was started again, and what is beside it."""
    restarts = deployment.details.get("restarts")
    again = f"started again {restarts} times" if restarts else ""
    beside = second(deployment.canary)
    beside.pop("goals", None)
    found = [f"{kind} {text}" for kind, text in beside.items()]
    return "; ".join(filter(None, (deployment.reason, again, *found)))


def _verdict_word(verdict: bool | None) -> Status | str:
    if verdict is None:
        return "none yet"
    return Status("passed", "good") if verdict else Status("failed", "bad")


def diagnosis(record: Diagnosis) -> Card:
    """One line a check, with the remedy."""
    rows = [
        (
            Status("ok", "good") if c.passed else Status("no", "bad" if c.required else "warn"),
            c.name,
            c.found,
            c.remedy,
        )
        for c in record.checks
    ]
    well = record.exit_code == 0
    return Card(
        "Doctor",
        "set-up",
        Status("well", "good") if well else Status("needs attention", "bad"),
        tables=(Table(("", "what", "found", "remedy"), rows),),
        notes=record.warnings,
    )


def demo(record: Demo) -> Card:
    """The loop, step by step, and where its record lies."""
    rows = [(i, s["step"], s["figures"]) for i, s in enumerate(record.steps, 1)]
    facts = {
        "folder": record.folder,
        "record": record.notebook,
        "check it": f"mlops verify {record.notebook}",
    }
    status = (
        Status("record intact", "good")
        if record.verification.intact
        else Status("record not intact", "bad")
    )
    return Card(
        "Demo",
        "the whole loop",
        status,
        "",
        facts,
        (Table(("", "step", "figures"), rows),),
        record.warnings,
    )
