"""Views of performance that was estimated: never without that word, nor without what it assumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlops_magics.doors.views.card import Axis, Chart, Panel, Ranges, Series, Status, Table, show
from mlops_magics.records import Monitoring


def words(performance: Mapping[str, Any]) -> list[str]:
    """How it was estimated and what that assumes, or why it was not."""
    estimated = performance.get("estimated") or {}
    if not estimated:
        return []
    if "metrics" not in estimated:
        return [f"Performance was not estimated: {estimated.get('reason', '')}."]
    calibrated = estimated.get("calibrated")
    fitted = "" if calibrated is None else ", calibrated" if calibrated else ", already calibrated"
    return [
        f"Estimated, not measured: {estimated['method']}{fitted}, from "
        f"{show(estimated['reference_rows'])} rows held out ({estimated['reference_source']}). "
        f"{estimated['assumption']}"
    ]


def tables(performance: Mapping[str, Any]) -> list[Table]:
    """Each metric estimated, with its interval; and beside what was measured by now."""
    estimated = performance.get("estimated") or {}
    figures = estimated.get("metrics") or {}
    before = estimated.get("reference") or {}
    found = [
        Table(
            ("estimated", "value", "95 % interval", "measured on rows held out"),
            [
                (_name(name), e["value"], _range(e["interval"]), before.get(name))
                for name, e in figures.items()
            ],
            f"Estimated performance of {show(estimated.get('rows'))} rows",
        )
    ]
    labelled = estimated.get("labelled")
    if labelled:
        found.append(
            Table(
                ("", "metric", "measured", "estimated", "95 % interval", "difference"),
                [
                    (
                        _agreement(e),
                        _name(name),
                        e["measured"],
                        e["estimated"],
                        _range(e["interval"]),
                        e["difference"],
                    )
                    for name, e in labelled["metrics"].items()
                ],
                f"Measured and estimated of the {show(labelled['rows'])} rows with a label",
            )
        )
    return found


def figures(performance: Mapping[str, Any]) -> list[Panel]:
    """Those that lie between 0 and 1, each with its interval."""
    estimated = performance.get("estimated") or {}
    rows = [
        (_name(name), float(e["value"]), (float(low), float(high)), Status("estimated"))
        for name, e in (estimated.get("metrics") or {}).items()
        for low, high in [e["interval"]]
        if low >= 0 and high <= 1
    ]
    title = f"Estimated, with 95 % intervals, of {show(estimated.get('rows'))} rows"
    return [Panel(title, [Ranges("", Axis("", 0, 1), rows)])] if rows else []


def names_over_time(windows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The metrics that were estimated of any window."""
    return list(dict.fromkeys(name for w in windows for name in w.get("estimated") or ()))


def of_window(window: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """What was estimated of one window, with its interval."""
    found = [(window.get("estimated") or {}).get(name) for name in names]
    return [f"{show(e['value'])} ({_range(e['interval'])})" if e else "–" for e in found]


def over_time(record: Monitoring, places: Sequence[str]) -> list[Panel]:
    """Each metric as it was estimated of each window, between the ends of its intervals."""
    before = (record.performance.get("estimated") or {}).get("reference") or {}
    charts = []
    for name in names_over_time(record.windows):
        found = [
            (float(i), w["estimated"][name])
            for i, w in enumerate(record.windows)
            if name in (w.get("estimated") or ())
        ]
        low = [(i, float(e["interval"][0])) for i, e in found]
        high = [(i, float(e["interval"][1])) for i, e in found]
        series = [
            Series("estimated", [(i, float(e["value"])) for i, e in found], "both"),
            Series("95 % interval", [*low, *reversed(high), *low[:1]]),
        ]
        known = before.get(name)
        ends = (-0.5, len(places) - 0.5)
        guide = [] if known is None else [(end, float(known)) for end in ends]
        x = Axis("window (UTC)", names=places)
        charts.append(Chart(_name(name), x, Axis("estimated"), series, guide))
    title = "Estimated performance over time; dotted: measured on rows held out"
    return [Panel(title, charts)] if charts else []


def warnings(performance: Mapping[str, Any]) -> list[str]:
    """What to mind about the estimates."""
    return [str(w) for w in (performance.get("estimated") or {}).get("warnings", ())]


def _agreement(found: Mapping[str, Any]) -> Status:
    low, high = found["interval"]
    if found["far"]:
        return Status("disagrees", "bad")
    if low <= found["measured"] <= high:
        return Status("agrees", "good")
    return Status("just outside", "warn")


def _name(name: str) -> str:
    return name.replace("_", " ")


def _range(interval: Any) -> str:
    low, high = interval
    return f"{show(float(low))} to {show(float(high))}"
