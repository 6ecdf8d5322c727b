"""The view of a search: its best trials, which parameters mattered, and how it got better."""

from __future__ import annotations

import itertools
from typing import Any

from mlops_magics.doors.views.card import (
    Axis,
    Card,
    Chart,
    Panel,
    Series,
    Status,
    Table,
    percent,
    seconds,
    show,
)
from mlops_magics.records import Tuning

#: How many trials the table holds, and how many parameters; the record has all.
_TRIALS, _PARAMS = 10, 8

_TONES: dict[str, Any] = {
    "finished": "good",
    "interrupted": "warn",
    "failed": "bad",
    "complete": "good",
    "pruned": "plain",
}


def tuning(record: Tuning) -> Card:
    """The leaderboard of the trials, the importance of the parameters, and the best so far."""
    best = record.best
    lead = (
        f"best {record.metric} {show(best.get('value'))}, trial {best.get('number')}: "
        f"{show(best.get('params'))}"
        if best
        else "no trial was completed"
    )
    facts = {
        **({"model": f"{record.model} (@candidate)"} if record.model else {}),
        "sought": f"{record.metric}, {'more' if record.direction == 'maximize' else 'less'} is "
        "better",
        **(
            {"validation rows": f"{record.validation}, from the training rows"}
            if record.validation
            else {}
        ),
        "trials": show(record.trials) or "none",
        "took": f"{seconds(record.duration)} on {record.engine}",
        "kept in": record.study,
    }
    metrics = Table(
        ("metric of the best model on unseen rows", "value"),
        [(k, float(v)) for k, v in record.metrics.items()],
    )
    importance = Table(
        ("parameter", "share of the variance"),
        [(k, percent(v)) for k, v in record.importance.items()],
        "What mattered",
    )
    return Card(
        "Tuning",
        record.name,
        Status(record.status, _TONES.get(record.status, "plain")),
        lead,
        facts,
        (_leaderboard(record), importance, metrics),
        record.warnings,
        f"run {record.run_id}",
        below=_history(record),
    )


def _leaderboard(record: Tuning) -> Table:
    shown = record.rows[:_TRIALS]
    names = list(dict.fromkeys(n for row in shown for n in row["params"]))[:_PARAMS]
    reasons = any(row.get("reason") for row in shown)
    more = len(record.rows) - len(shown)
    return Table(
        ("trial", "state", record.metric, *names, "took", *(["reason"] if reasons else [])),
        [
            (
                row["number"],
                Status(row["state"], _TONES.get(row["state"], "plain")),
                row["value"],
                *(row["params"].get(name) for name in names),
                seconds(row["duration"]),
                *([row.get("reason") or "–"] if reasons else []),
            )
            for row in shown
        ],
        f"Best trials{f' ({more} more are in the record)' if more > 0 else ''}",
    )


def _history(record: Tuning) -> list[Panel]:
    """Each trial's value, and the best so far as a line, in the order of the trials."""
    points = sorted(
        (float(row["number"]), float(row["value"]))
        for row in record.rows
        if row["value"] is not None
    )
    if len(points) < 2:
        return []
    better = max if record.direction == "maximize" else min
    best = list(itertools.accumulate((value for _, value in points), better))
    so_far = [(number, value) for (number, _), value in zip(points, best, strict=True)]
    chart = Chart(
        "",
        Axis("trial"),
        Axis(record.metric),
        [Series("best so far", so_far), Series("trial", points, "dots")],
    )
    return [Panel("Course of the search", [chart])]
