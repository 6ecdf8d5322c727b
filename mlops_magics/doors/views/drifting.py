"""What monitoring shows beside its features: drift over time, by segment, of all at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mlops_magics.doors.views import estimates
from mlops_magics.doors.views.card import (
    Axis,
    Chart,
    Fold,
    Panel,
    Ranges,
    Series,
    Span,
    Spans,
    Status,
    Table,
    percent,
)
from mlops_magics.records import Monitoring

#: So many features have a picture, and so many lines stand in one.
_PICTURES, _LINES = 6, 5
#: Letters of dates that find room below a chart.
_LETTERS = 36
_DAY = 86_400


def words(record: Monitoring) -> list[str]:
    """What is to be said in sentences: of all columns together, and of when each changed."""
    together = record.multivariate.get("reason")
    return [*([str(together)] if together else []), *(str(c["reason"]) for c in record.changes)]


def tables(record: Monitoring) -> list[Table]:
    """The columns that drive it, and the segments."""
    drivers = [
        (d["feature"], d["lost"], percent(float(d["share"])))
        for d in record.multivariate.get("drivers") or ()
    ]
    heads = ("feature", "AUC lost without it", "share")
    return [Table(heads, drivers, "What tells the rows apart"), segments(record)]


def segments(record: Monitoring) -> Table:
    """Each segment beside the same of training."""
    rows = [
        (
            _judged(s),
            s["segment"],
            s["rows"],
            percent(float(s["share"])),
            percent(float(s["reference_share"])),
            _greatest(s["drift"]),
        )
        for s in record.segments
    ]
    return Table(
        ("", "segment", "rows", "share now", "in training", "PSI − chance, greatest"),
        rows,
        "Segments",
        [_why(s) for s in record.segments],
    )


def together(record: Monitoring) -> list[Panel]:
    """How well the rows are told from training's, and the columns that do it, as figures."""
    auc = record.multivariate.get("auc")
    if auc is None:
        return []
    status = Status("drift", "bad") if record.multivariate["drifted"] else Status("stable", "good")
    low, high = record.multivariate["interval"]
    whole = [("all columns together", float(auc), (float(low), float(high)), status)]
    lost = [
        Span(d["feature"], 0.0, float(d["lost"]), f"{d['lost']:.3f} ({percent(float(d['share']))})")
        for d in record.multivariate.get("drivers") or ()
    ]
    axis = Axis("AUC of the classifier; 0.5 is no difference, 1 is all of it", 0.4, 1.0)
    panels = [Panel("", [Ranges("", axis, whole)])]
    if lost:
        bars = Spans("", Axis("AUC lost without the column (its share)", low=0.0), lost)
        panels.append(Panel("What tells the rows apart", [bars]))
    return panels


def below(record: Monitoring) -> list[Panel | Fold]:
    """Drift over the windows in pictures, the day of a change marked; the windows themselves."""
    if not record.windows:
        return []
    names = _labels(record.windows)
    guessed = estimates.names_over_time(record.windows)
    told = [
        (
            _judged(w),
            _moment(w["begin"], record.windows),
            w["rows"],
            _greatest(w["drift"]),
            *estimates.of_window(w, guessed),
            w["reason"] or ", ".join(w["drifted"][:6]),
        )
        for w in record.windows
    ]
    extra = (f"estimated {name.replace('_', ' ')}" for name in guessed)
    columns = ("", "from (UTC)", "rows", "PSI − chance, greatest", *extra, "drifted")
    return [
        Panel("Drift over time", _charts(record, names)),
        *estimates.over_time(record, names),
        Fold("Windows", [Table(columns, told)]),
    ]


def _charts(record: Monitoring, names: Sequence[str]) -> list[Chart]:
    begins = [w["begin"] for w in record.windows]
    changed = [c for c in record.changes if c["at"] in begins][:_PICTURES]
    if changed:
        return [
            _chart(
                record,
                names,
                [str(c["feature"])],
                str(c["feature"]),
                [(begins.index(c["at"]) - 0.5, _moment(str(c["at"]), record.windows))],
            )
            for c in changed
        ]
    most: dict[str, float] = {}
    for window in record.windows:
        for name, drift in window["drift"].items():
            most[name] = max(most.get(name, 0.0), drift or 0.0)
    shown = sorted(most, key=lambda n: -most[n])[:_LINES]
    return [_chart(record, names, shown, "", [])] if shown else []


def _chart(
    record: Monitoring,
    names: Sequence[str],
    features: Sequence[str],
    title: str,
    marks: Sequence[tuple[float, str]],
) -> Chart:
    from mlops_magics.drift.report import Rule  # with pandas: only where there are windows

    series = []
    for feature in features:
        points = [
            (float(i), float(w["drift"][feature]))
            for i, w in enumerate(record.windows)
            if w["drift"].get(feature) is not None
        ]
        series.append(Series(feature, points, "both"))
    tallest = max((y for s in series for _, y in s.points), default=0.0)
    large = Rule().large
    guide = ((-0.5, large), (len(names) - 0.5, large))
    y = Axis("PSI − chance", low=0.0, high=None if tallest > large else large * 1.5)
    return Chart(title, Axis("window (UTC)", names=names), y, series, guide, marks)


def _labels(windows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The begin of as many windows as find room; the others have an empty one."""
    said = [_moment(w["begin"], windows) for w in windows]
    every = math.ceil(len(said) * (max(map(len, said)) + 1) / _LETTERS)
    return [text if i % every == 0 else "" for i, text in enumerate(said)]


def _moment(text: str, windows: Sequence[Mapping[str, Any]]) -> str:
    """A begin, to the day where windows begin with one, the year where there are several."""
    try:
        at, first, last = (
            datetime.fromisoformat(t) for t in (text, windows[0]["begin"], windows[-1]["begin"])
        )
        length = datetime.fromisoformat(windows[0]["end"]) - first
    except ValueError:
        return text
    year = "%Y-" if first.year != last.year else ""
    return at.strftime(f"{year}%m-%d" + ("" if length.total_seconds() % _DAY == 0 else " %H:%M"))


def _judged(part: Mapping[str, Any]) -> Status:
    if part["reason"]:
        return Status("not judged")
    return Status("drift", "bad") if part["drifted"] else Status("stable", "good")


def _greatest(drift: Mapping[str, Any]) -> str:
    known = {name: value for name, value in drift.items() if value is not None}
    if not known:
        return "–"
    name = max(known, key=lambda n: float(known[n]))
    return f"{float(known[name]):.3f} {name}"


def _why(segment: Mapping[str, Any]) -> str:
    if segment["reason"]:
        return str(segment["reason"])
    return " ".join(f"{name}: {why}" for name, why in (segment.get("why") or {}).items())
