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


def names_over_time(windows: Sequence[Mapping[str, Any]], kind: str) -> list[str]:
    """The metrics that were ``estimated``, or ``measured``, of any window."""
    return list(dict.fromkeys(name for w in windows for name in _of(w, kind)))


def of_window(
    window: Mapping[str, Any], estimated: Sequence[str], measured: Sequence[str]
) -> list[str]:
    """What was estimated of one window, with its interval; what was measured of it."""
    guessed, real = _of(window, "estimated"), _of(window, "measured")
    return [
        *(_estimate(guessed[name]) if name in guessed else "–" for name in estimated),
        *(show(real[name]) if name in real else "–" for name in measured),
    ]


def _of(window: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = window.get(kind) or {}
    return found.get("metrics", {}) if kind == "measured" else found


def _estimate(found: Mapping[str, Any]) -> str:
    return f"{show(found['value'])} ({_range(found['interval'])})"


def over_time(record: Monitoring, places: Sequence[str]) -> list[Panel]:
    """Each metric of each window: as estimated, between the ends of its intervals; as measured."""
    before = (record.performance.get("estimated") or {}).get("reference") or {}
    numbered = list(enumerate(record.windows))
    known = names_over_time(record.windows, "measured")
    charts = []
    for name in names_over_time(record.windows, "estimated"):
        found = [(float(i), _of(w, "estimated").get(name)) for i, w in numbered]
        guessed = [(i, e) for i, e in found if e]
        low = [(i, float(e["interval"][0])) for i, e in guessed]
        high = [(i, float(e["interval"][1])) for i, e in guessed]
        real = [(float(i), _of(w, "measured").get(name)) for i, w in numbered]
        series = [
            Series("estimated", [(i, float(e["value"])) for i, e in guessed], "both"),
            Series("95 % interval", [*low, *reversed(high), *low[:1]]),
        ]
        if name in known:
            points = [(i, float(value)) for i, value in real if value is not None]
            series.append(Series("measured", points, "dots"))
        ends = (-0.5, len(places) - 0.5)
        guide = [(end, float(before[name])) for end in ends] if name in before else []
        x = Axis("window (UTC)", names=places)
        axis = Axis("" if name in known else "estimated")
        charts.append(Chart(_name(name), x, axis, series, guide))
    also = ", and as it was measured" if known else ""
    title = f"Estimated performance over time{also}; dotted: measured on rows held out"
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
