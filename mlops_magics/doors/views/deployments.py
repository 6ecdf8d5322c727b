"""Views of deployments: the endpoint, and the two versions where it has two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops_magics.doors.views.card import Card, Status, Table, moment
from mlops_magics.doors.views.cards import TONES
from mlops_magics.records import Deployment

#: How many of the last events are shown.
EVENTS = 5


def deployment(record: Deployment) -> Card:
    """The endpoint, its state and how to ask it."""
    facts = {
        "model": record.model,
        "target": record.target,
        "url": record.url,
        **({"process": str(record.pid)} if record.pid else {}),
        **({"since": moment(record.started)} if record.started else {}),
        **({"reason": record.reason} if record.reason else {}),
    }
    if record.status == "up":
        facts["ask"] = f"mlops predict {record.name} DATA, or POST {record.url}/invocations"
    details = record.details
    if details.get("restarts"):
        facts["restarts"] = f"{details['restarts']}, up since {moment(details.get('up_since', ''))}"
    events = [(moment(e["at"]), e["text"]) for e in details.get("events", ())[-EVENTS:]]
    tables = [compared(record.canary)] if record.canary else []
    if len(events) > 1:  # more than that it came up
        tables.append(Table(("when", "what"), events, "What happened"))
    return Card(
        "Deployment",
        record.name,
        Status(record.status, TONES.get(record.status, "plain")),
        "",
        {**facts, **second(record.canary)},
        tables,
        record.warnings,
        f"run {record.run_id}" if record.run_id else "",
    )


def second(canary: Mapping[str, Any]) -> dict[str, str]:
    """The second version, as a fact; none if there is none."""
    if not canary:
        return {}
    kind, goals = canary.get("kind", "canary"), canary.get("goals", ())
    gets = f"{canary.get('share', 0):.0%} of the requests" if kind == "canary" else "a copy"
    state = f"gets {gets}"
    if canary.get("status") == "stopped":
        state = f"was stopped {moment(canary.get('at', ''))}: {canary.get('reason', '')}"
    return {kind: f"{canary.get('model', '')} {state}", "goals": "; ".join(goals)}


def compared(canary: Mapping[str, Any]) -> Table:
    """What was seen of both versions."""
    stable, other = canary.get("stable", {}), canary.get("other", {})
    rows: list[tuple[str, ...]] = [
        (label, _cell(stable.get(key), unit), _cell(other.get(key), unit))
        for label, key, unit in (
            ("requests", "requests", ""),
            ("errors", "errors", ""),
            ("p50", "p50_ms", "ms"),
            ("p95", "p95_ms", "ms"),
        )
    ]
    shares = [side.get("predictions", {}) for side in (stable, other)]
    values = dict.fromkeys(v for s in shares for v in s.get("shares", {}))
    rows += [(f"answers {value}", *(_share(s, value) for s in shares)) for value in values]
    rows += [
        (f"{what} of the answers", *(_cell(s.get(what), "") for s in shares))
        for what in ("mean", "deviation")
        if any(what in s for s in shares)
    ]
    seen = canary.get("compared", {})
    if seen.get("rows"):
        rows.append(("equal answers", "", f"{seen['equal']:.1%} of {seen['rows']:,} rows"))
        if seen.get("mean_difference") is not None:
            rows.append(("mean difference", "", f"{seen['mean_difference']:.4g}"))
    return Table(("", "deployed", canary.get("kind", "canary")), rows, "Beside each other")


def _cell(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    text = f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
    return f"{text} {unit}".strip()


def _share(side: Mapping[str, Any], value: str) -> str:
    shares = side.get("shares")
    return f"{shares.get(value, 0):.1%}" if shares else "–"
