"""When schedules ran and what came of it, and when they run next."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics import store
from mlops_magics.records import Schedule, stamp

if TYPE_CHECKING:
    from mlops_magics.schedulers.times import When


def when(record: Schedule) -> When:
    """How often a written schedule runs."""
    from mlops_magics.schedulers.times import When

    return When(every=record.every, cron=record.cron, seconds=record.seconds)


def all() -> Iterator[dict[str, Any]]:
    """Each schedule with its last and its next run, as `status` shows it."""
    from mlops_magics.schedulers import state

    for record in state.all():
        yield _seen(record, datetime.now(UTC))


def _seen(record: Schedule, now: datetime) -> dict[str, Any]:
    since = datetime.fromisoformat(record.since)
    last, outcome = _last(record)
    due = when(record).last(now - _grace(record), since)
    overdue = due is not None and (last is None or last < due)
    gone = [f for f in record.files if not Path(f).exists()]
    note = f"{gone[0]} is gone." if gone else ""
    if overdue and due is not None:
        note = f"It was due at {due:%Y-%m-%d %H:%M} UTC, and no run came. {note}".rstrip()
    return {
        "name": record.name,
        "kind": record.kind,
        "every": record.every,
        "cron": record.cron,
        "path": record.path,
        "last_run": stamp(last) if last else None,
        "outcome": outcome,
        "next_run": stamp(when(record).next(now, since)),
        "overdue": overdue,
        "note": note,
    }


def _grace(record: Schedule) -> timedelta:
    """How late a run may be: schedulers are not on the dot, and imports take their time."""
    return timedelta(seconds=min(max(record.seconds / 10, 300), 3600))


def _last(record: Schedule) -> tuple[datetime | None, str]:
    """When its last run began, and what each of its commands came to."""
    verbs = [c.split(" ")[1] for c in record.command]
    runs = store.runs.find(tags={"mlops.schedule": record.name}, limit=50)
    mine = [r for r in runs if r.data.tags.get("mlops.verb") in verbs]
    mine = [r for r in mine if "mlops.scheduler" not in r.data.tags]
    if not mine:
        return None, ""
    first = next((r for r in mine if r.data.tags["mlops.verb"] == verbs[0]), mine[-1])
    began = first.info.start_time
    after = [r for r in reversed(mine) if r.info.start_time >= began]
    told = [f"{r.data.tags['mlops.verb']}: {_outcome(r)}" for r in after]
    return datetime.fromtimestamp(began / 1000, UTC), ", ".join(told)


def _outcome(run: Any) -> str:
    tags = run.data.tags
    if run.info.status == "RUNNING":
        return "running"
    if run.info.status != "FINISHED":
        return str(tags.get("mlops.status", run.info.status.lower()))
    if "mlops.outcome" in tags:
        return str(tags["mlops.outcome"])
    if "mlops.passed" in tags:
        return "passed" if tags["mlops.passed"] == "true" else "broken"
    return "finished"
