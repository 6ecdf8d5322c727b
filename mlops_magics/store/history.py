"""Who did what to a model, append-only: read from the runs that every step leaves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from mlops_magics.errors import UnknownName
from mlops_magics.store import runs


def events(name: str, limit: int = 1000) -> list[dict[str, Any]]:
    """The steps recorded for a model, oldest first.

    Returns
    -------
    list of dict
        ``at`` (UTC), ``verb``, ``status``, ``actor``, ``host``, ``model``, ``summary``,
        ``notebook`` and ``run_id`` of each.
    """
    found = []
    # A search is one step; its trials, which may be thousands, are its details.
    for run in runs.find(experiment=name, but="trial", limit=limit):
        tags = run.data.tags
        if "mlops.verb" not in tags:
            continue
        found.append(
            {
                "at": moment(run.info.start_time),
                "verb": tags["mlops.verb"],
                "status": tags.get("mlops.status", str(run.info.status).lower()),
                "actor": tags.get("mlops.actor", ""),
                "host": tags.get("mlops.host", ""),
                "model": tags.get("mlops.model", ""),
                "summary": tags.get("mlops.summary", ""),
                "notebook": tags.get("mlops.notebook", ""),
                "run_id": run.info.run_id,
            }
        )
    return sorted(found, key=lambda e: e["at"])


def moment(milliseconds: int) -> str:
    """Milliseconds since the epoch in UTC, ISO 8601."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unknown(name: str) -> UnknownName:
    """The error for a name under which nothing is recorded."""
    client = runs.connect()
    known = [str(e.name) for e in client.search_experiments() if e.name != "Default"]
    return UnknownName("model or dataset with a history", name, known)
