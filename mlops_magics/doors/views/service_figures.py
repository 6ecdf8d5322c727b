"""How a service did: its figures in tables, and over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mlops_magics.doors.views.card import Axis, Chart, Panel, Series, Table, percent, show

#: What has a table or a figure of its own.
_APART = ("over_time", "refused", "messages")


def tables(service: Mapping[str, Any]) -> list[Table]:
    """Its figures, the reasons of refusals, and the commonest messages of other errors."""
    rows: list[tuple[str, Any]] = []
    for name, value in service.items():
        if name in _APART:
            continue
        if name == "error_rate" and value is not None:
            value = percent(value)
        if isinstance(value, Mapping):
            unit = " (ms)" if name == "latency_ms" else ""
            title = name.removesuffix("_ms").replace("_", " ")
            rows += [(f"{title} {key}{unit}", one) for key, one in value.items()]
        else:
            rows.append((name.replace("_", " "), value))
    refused = [*(service.get("refused") or {}).items()]
    told = [*(service.get("messages") or {}).items()]
    return [
        Table(("service", "value"), rows),
        Table(("why inputs were refused", "requests"), refused),
        # The same without their rows, where there are only refusals.
        Table(("error", "requests"), told if service.get("server_errors") else []),
    ]


def over_time(service: Mapping[str, Any]) -> list[Panel]:
    """Requests and errors, and latency, each over time."""
    buckets: Sequence[Mapping[str, Any]] = service.get("over_time") or ()
    if len(buckets) < 2:
        return []
    begin = datetime.fromisoformat(str(buckets[0]["start"]))
    hours = int(buckets[0]["hours"])
    unit, length = ("hour", 1) if hours == 1 else ("day", 24)
    each = {1: "an hour", 24: "a day"}.get(hours, "a week")

    def points(name: str) -> list[tuple[float, float]]:
        return [(i * hours / length, b[name]) for i, b in enumerate(buckets) if b[name] is not None]

    def series(names: Mapping[str, str]) -> list[Series]:
        tips = {
            name: [
                f"{b['start'][:16].replace('T', ' ')} UTC: {show(b[name])} {label}"
                for b in buckets
                if b[name] is not None
            ]
            for name, label in names.items()
        }
        drawn = "both" if len(buckets) <= 31 else "line"
        return [Series(label, points(n), drawn, tips[n]) for n, label in names.items()]  # type: ignore[arg-type]

    axis = Axis(f"{unit}s since {begin:%Y-%m-%d %H:%M} UTC", low=0.0)
    kept = " (of the sample)" if "kept" in service else ""
    counts = {"requests": "requests", "errors": "errors", "refused": "refused inputs"}
    counted = Chart(f"Requests and errors {each}{kept}", axis, Axis("", low=0.0), series(counts))
    latency = {"p50": "p50", "p95": "p95"}
    waited = Chart(f"Latency by {each.split()[1]}", axis, Axis("ms", low=0.0), series(latency))
    return [Panel("", [counted, *([waited] if points("p50") else [])])]
