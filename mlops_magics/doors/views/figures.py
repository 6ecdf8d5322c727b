"""The figures of a comparison: the metric against parameters, and curves over each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mlops_magics.doors.views.card import Axis, Chart, Panel, Parallel, Series, show
from mlops_magics.records import Comparison, Verdict

Row = Mapping[str, Any]

#: How much the figures hold: charts, upright axes, categories of an axis, lines with a label.
_CHARTS, _AXES, _CATEGORIES, _LABELLED = 6, 7, 8, 5
#: Of residuals every so many is drawn, and of so many models, to tell them apart.
_EVERY, _SCATTERED = 3, 3


def estimator(row: Row) -> str:
    """What it is; that it stands in a pipeline is seen by its parameters."""
    return str(row.get("estimator", "")).removesuffix(" in a Pipeline")


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Parameter → its last part, or as many parts as tell it from the others."""
    parts = {name: name.split("__") for name in names}
    found = {}
    for name, own in parts.items():
        for count in range(1, len(own) + 1):
            tail = own[-count:]
            if not any(p[-count:] == tail for n, p in parts.items() if n != name):
                break
        found[name] = "__".join(tail)
    return found


def _axis(label: str, values: Sequence[Any]) -> tuple[Axis, list[float | None]] | None:
    """An axis for these values and their places on it; ``None`` where they have none.

    Numbers have a scale, logarithmic from two powers of ten on; anything else is a category.
    """
    given = [v for v in values if v is not None]
    numbers = [
        float(v)
        for v in given
        if isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)
    ]
    if len(numbers) == len(given) and numbers:
        wide = min(numbers) > 0 and max(numbers) / min(numbers) >= 100
        return Axis(label, log=wide), [None if v is None else float(v) for v in values]
    names = sorted({show(v) for v in given})
    if not 1 < len(names) <= _CATEGORIES:
        return None
    places = [None if v is None else float(names.index(show(v))) for v in values]
    return Axis(label, names=names), places


def against(record: Comparison) -> list[Panel]:
    """The metric against each parameter, and over all of them at once."""
    rows = [r for r in record.rows if math.isfinite(r.get("metrics", {}).get(record.by, math.nan))]
    if len(rows) < 2:
        return []
    metric = [float(r["metrics"][record.by]) for r in rows]
    titles = short_names(record.varying)
    laid = [
        _axis("estimator", [estimator(r) or None for r in rows]),
        *(_axis(titles[name], [r["params"].get(name) for r in rows]) for name in record.varying),
    ]
    axes = [found for found in laid if found and len({*found[1]} - {None}) > 1]
    charts = [_dots(rows, axis, places, record.by, metric) for axis, places in axes[:_CHARTS]]
    panels = [Panel(f"{record.by} against each parameter", charts)]
    # An axis that few lines reach tells little beside the others.
    common = [a for a in axes if sum(p is not None for p in a[1]) * 2 > len(rows)]
    if len(common) > 1:
        own: list[float | None] = [*metric]
        drawn = [*common[: _AXES - 1], (Axis(record.by), own)]
        lines = [
            (str(r.get("label", "")) if i < _LABELLED else "", [places[i] for _, places in drawn])
            for i, r in enumerate(rows)
        ]
        parallel = Parallel("", [axis for axis, _ in drawn], lines)
        panels.append(Panel("Parameters and metric together", [parallel]))
    return panels


def _dots(
    rows: Sequence[Row],
    axis: Axis,
    places: Sequence[float | None],
    by: str,
    metric: Sequence[float],
) -> Chart:
    points, tips = [], []
    for row, x, y in zip(rows, places, metric, strict=True):
        if x is not None:
            points.append((x, y))
            value = axis.names[int(x)] if axis.names else show(x)
            tips.append(f"{row.get('label', '')}: {axis.label} {value}, {by} {show(y)}")
    return Chart("", axis, Axis(by), [Series("", points, "dots", tips)])


def over_each_other(
    record: Comparison | Verdict, title: str = "The best on unseen rows"
) -> list[Panel]:
    """ROC, precision and recall, calibration or residuals of the models."""
    diagonal = ((0.0, 0.0), (1.0, 1.0))
    shares = [
        Chart(title, Axis(x, 0, 1), Axis(y, 0, 1), _lines(record, kind), guide)
        for kind, title, x, y, guide in (
            ("roc", "ROC", "false positive rate", "true positive rate", diagonal),
            ("precision_recall", "Precision and recall", "recall", "precision", ()),
            ("calibration", "Calibration", "predicted probability", "observed share", diagonal),
        )
        if record.curves.get(kind)
    ]
    residuals = [*(record.curves.get("residuals") or {}).items()]
    errors = []
    if residuals:
        dots = [
            Series(label, _pairs(r["sample"])[::_EVERY], "dots")
            for label, r in residuals[:_SCATTERED]
        ]
        steps = [
            Series(label, [(value, share) for share, value in _pairs(r["quantiles"])])
            for label, r in residuals
        ]
        reach = [x for s in dots for x, _ in s.points]
        level = ((min(reach), 0.0), (max(reach), 0.0))
        off = "truth − predicted"
        errors = [
            Chart("Residuals", Axis("predicted"), Axis(off), dots, level),
            Chart("Their distribution", Axis(off), Axis("share of rows", 0, 1), steps),
        ]
    return [Panel(title, shares), Panel(f"{title}: residuals", errors)]


def _lines(record: Comparison | Verdict, kind: str) -> list[Series]:
    return [
        Series(label, _pairs(points), "both" if kind == "calibration" else "line")
        for label, points in record.curves[kind].items()
    ]


def _pairs(points: Any) -> list[tuple[float, float]]:
    """The first two of each, where there are more."""
    return [(float(point[0]), float(point[1])) for point in points]
