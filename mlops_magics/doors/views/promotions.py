"""Views of what followed from verdicts: promotions, rollbacks, the history of it all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from mlops_magics.doors.views.card import Card, Status, Table, moment, short
from mlops_magics.doors.views.cards import TONES
from mlops_magics.records import History, Promotion, Rollback


def promotion(record: Promotion) -> Card:
    """Which version got which alias, or is to get it, from whom and why."""
    told = len(record.approvals) > 1 or record.status != "promoted"
    facts = {
        "alias": f"@{record.alias}",
        "before": record.previous or "nothing",
        "by": record.actor,
        "at": moment(record.at),
        "verdict": f"run {record.verdict}" if record.verdict else "none",
        **({"in spite of": record.objection} if record.overridden and record.objection else {}),
        **({"reason": record.reason} if record.reason else {}),
    }
    agreed = Table(
        ("agreed", "at", "with the words"),
        [(a["actor"], moment(str(a["at"])), a.get("reason") or "–") for a in record.approvals],
        f"{len(record.approvals)} of {record.needed}",
    )
    title = {
        "promoted": f"{record.version} is {record.model}@{record.alias}",
        "held": f"{record.version} waits to become {record.model}@{record.alias}",
        "withdrawn": f"{record.version} does not become {record.model}@{record.alias}",
    }[record.status]
    return Card(
        "Promotion",
        title,
        _status(record),
        waiting(record),
        facts,
        (agreed,) if told and record.approvals else (),
        record.warnings,
        f"run {record.run_id}",
    )


def waiting(record: Promotion) -> str:
    """What is to be done about a promotion that is held; empty for any other."""
    if record.status != "held":
        return ""
    to = f" --to {record.alias}" if record.alias != "champion" else ""
    return f"Nothing has moved. Another person agrees with: promote {record.version}{to} --approve"


def _status(record: Promotion) -> Status:
    if record.status == "held":
        return Status("held for approval", "warn")
    if record.status == "withdrawn":
        return Status("withdrawn", "bad")
    return Status("overridden", "warn") if record.overridden else Status("promoted", "good")


def rollback(record: Rollback) -> Card:
    """Which version is back, and which deployments went with it."""
    facts = {
        "alias": f"@{record.alias}",
        "until now": record.previous,
        "by": record.actor,
        "at": moment(record.at),
        "reason": record.reason,
    }
    deployments = Table(
        ("deployment", "from", "to", "url"),
        [(d["name"], d["from"], d["to"], d["url"]) for d in record.deployments],
        "Deployments",
    )
    lead = "" if record.deployments else f"Nothing was deployed from {record.previous}."
    return Card(
        "Rollback",
        f"{record.version} is {record.name}@{record.alias} again",
        Status("rolled back", "good"),
        lead,
        facts,
        (deployments,) if record.deployments else (),
        record.warnings,
        f"run {record.run_id}",
    )


def history(record: History) -> Card:
    """A model's life, a line a step, and whether that is what was recorded."""
    places = any(e.get("notebook") for e in record.events)
    columns = ("when", "step", "status", "who", "version", "what")
    rows = [_row(event, places) for event in record.events]
    table = Table((*columns, "notebook") if places else columns, rows)
    status = Status("nothing altered", "good") if record.intact else Status("not intact", "bad")
    problems = Table(("what was changed",), [(p,) for p in record.problems])
    return Card(
        "History",
        record.name,
        status if record.head or record.problems else None,
        "",
        {"newest entry": short(record.head)} if record.head else {},
        (problems, table) if record.problems else (table,),
        record.warnings,
    )


def _row(event: Mapping[str, Any], places: bool) -> tuple[Any, ...]:
    tone = TONES.get(event["status"], "plain")
    row = (
        moment(event["at"]),
        event["verb"],
        Status(event["status"], tone),
        event["actor"],
        event["model"],
        event["summary"],
    )
    # Its name is enough here; the record has the whole path.
    return (*row, PurePath(event.get("notebook", "")).name) if places else row
