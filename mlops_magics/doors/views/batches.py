"""How several notebooks that were run together are shown: one line each."""

from __future__ import annotations

from collections import Counter
from typing import Any

from mlops_magics.doors.views.card import Card, Status, Table, seconds
from mlops_magics.doors.views.cards import TONES
from mlops_magics.doors.views.executions import where
from mlops_magics.records import Execution, Executions


def executions(record: Executions) -> Card:
    """What became of each, with its own parameters and where it stopped."""
    runs = record.runs
    varied = list(dict.fromkeys(name for run in runs for name in run.varied))
    sources = list(dict.fromkeys(run.notebook for run in runs))
    several = len(sources) > 1
    apart = any(run.place for run in runs)
    columns = [
        "run",
        *(["notebook"] if several else []),
        *varied,
        "status",
        "took",
        *(["worker", "attempt"] if apart else []),
        "made",
    ]
    rows = [
        [
            str(number),
            *([_name(run.notebook)] if several else []),
            *(run.varied.get(name, "") for name in varied),
            Status(run.status, TONES.get(run.status, "plain")),
            seconds(run.duration) if run.duration else "",
            *([run.place, run.attempt if run.output else ""] if apart else []),
            ", ".join(dict.fromkeys(str(s["model"]) for s in run.steps if s.get("model"))),
        ]
        for number, run in enumerate(runs, 1)
    ]
    counts = Counter(run.status for run in runs)
    tone: Any = "good" if set(counts) == {"finished"} else "bad"
    facts = {
        "output": record.folder,
        "engine": f"{record.engine}, {record.jobs} at a time",
        "took": seconds(record.duration),
    }
    return Card(
        "Executions",
        _name(sources[0]) if len(sources) == 1 else f"{len(sources)} notebooks",
        Status(" · ".join(f"{count} {status}" for status, count in counts.items()), tone),
        "",
        facts,
        (Table(columns, rows, notes=[_why(run) for run in runs]),),
        [*record.warnings, *(f"run {n}: {w}" for n, r in enumerate(runs, 1) for w in r.warnings)],
    )


def _name(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


def _why(run: Execution) -> str:
    """Where and why it stopped."""
    if run.status == "finished":
        return ""
    return where(run.failed_cell) if run.failed_cell else run.reason
