"""What a supervisor's report means for a deployment's record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlops_magics.targets import ports, processes
from mlops_magics.targets.plans import Plan, Report
from mlops_magics.targets.supervisor import EVENTS

#: Seconds for which one that does not answer is watched, in case it is just dying.
MOMENT = 0.5


def health(report: Report, *, supervised: bool) -> tuple[str, str]:
    """The status, ``up`` or ``down``, and the reason."""
    from mlops_magics.serving import client

    server = report.servers.get(report.deployed)
    if server is None:
        return "down", report.reason or "Its supervisor ended, and its server with it."
    if server["state"] in ("waiting", "starting") and supervised:
        return "down", f"{server['reason']} It is being started again.".strip()
    pid, started = server["pid"], process(server)
    alone = "" if supervised else f"Its supervisor (process {report.pid}) is gone"
    if started.process() is not None:
        if client.ping(f"http://{ports.HOST}:{server['port']}"):
            return "up", f"{alone}: should it end, nobody starts it again." if alone else ""
        if not processes.ends(started, MOMENT):
            words = f"Process {pid} is alive and does not answer."
            return "down", f"{alone}. {words}" if alone else words
    words = f"Process {pid} is gone{processes.last_words(started)}."
    return "down", f"{alone}. {words}" if alone else f"{words} It is being started again."


def process(server: Mapping[str, Any]) -> processes.Started:
    """The process of a server in a report."""
    return processes.Started(server["pid"], server["created"], server["log"])


def details(report: Report) -> dict[str, Any]:
    """For the field of that name."""
    server = report.servers.get(report.deployed, {})
    return {
        "supervisor": report.pid,
        "restarts": server.get("restarts", 0),
        "up_since": _iso(server["since"]) if server.get("state") == "ready" else "",
        "events": report.events,
    }


def canary(plan: Plan, report: Report) -> dict[str, Any]:
    """For the field of that name; empty if there is no second version."""
    beside = plan.beside
    server = plan.server(beside.id) if beside else None
    if beside is None or server is None:
        return {}
    seen = report.beside if report.beside.get("id") == beside.id else {}
    figures = seen.get("figures", {})
    return {
        "model": server.model,
        "kind": beside.kind,
        "share": beside.share,
        "status": seen.get("status", "on"),
        "reason": seen.get("reason", ""),
        "at": seen.get("at", ""),
        "package": server.folder,
        "goals": [goal.text for goal in beside.goals],
        "stable": figures.get("stable", {}),
        "other": figures.get("other", {}),
        "compared": figures.get("compared", {}) if beside.kind == "shadow" else {},
        "left_out": figures.get("left_out", 0),
    }


def events(place: Path, lines: int) -> list[str]:
    """The last things that supervisors of a deployment did, a line each."""
    found = []
    for line in processes.tail(place / EVENTS, lines).splitlines():
        try:
            event = json.loads(line)
            found.append(f"{event['at']} SUPERVISOR {event['text']}")
        except (ValueError, KeyError):
            continue
    return found


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
