"""Views of runs side by side: the leaderboard with its plots, and what differs between two."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mlops_magics.doors.views.card import (
    Axis,
    Card,
    Chart,
    Panel,
    Parallel,
    Series,
    Status,
    Table,
    moment,
    seconds,
    show,
    size,
)
from mlops_magics.records import Comparison

Row = Mapping[str, Any]

#: How much a table and a panel hold; the record has all.
_METRICS, _PARAMS, _CHARTS, _AXES, _CATEGORIES, _LABELLED = 4, 6, 6, 7, 8, 5
_TONES: dict[str, Any] = {
    "passed": "good",
    "failed": "bad",
    "clean": "good",
    "stale": "warn",
    "reproduced": "good",
    "differs": "bad",
    "can't run": "warn",
}


def comparison(record: Comparison) -> Card:
    """The leaderboard, the parameters that differ, what each cost, and the plots."""
    shown = record.varying[:_PARAMS]
    tables = (_ranking(record), _parameters(record.rows, shown), _origins(record.rows))
    notes = list(record.warnings)
    if len(record.varying) > len(shown):
        more = len(record.varying) - len(shown)
        notes.append(f"{more} more parameters differ; `--json` has all.")
    left_out = [
        *([_count(record.trials, "trial") + " of searches"] if record.trials else []),
        *([_count(record.failed, "failed run")] if record.failed else []),
    ]
    sources = {(row.get("resources") or {}).get("energy_source") for row in record.rows}
    facts = {
        **({"left out": f"{' and '.join(left_out)}; --all shows them"} if left_out else {}),
        **({"energy": "; ".join(sorted(filter(None, sources)))} if any(sources) else {}),
    }
    return Card(
        "Comparison",
        ", ".join(record.names),
        None,
        _lead(record),
        facts,
        tables,
        notes,
        below=[p for p in (*_against(record), *_over_each_other(record)) if p.figures],
    )


def _count(number: int, noun: str) -> str:
    return f"{show(number)} {noun}{'' if number == 1 else 's'}"


def _lead(record: Comparison) -> str:
    if not record.rows:
        return "nothing to compare"
    first, last = record.offset + 1, record.offset + len(record.rows)
    total = show(record.total) if record.total is not None else "more"
    which = _count(len(record.rows), "run")
    if record.total is None or record.total > len(record.rows):
        which = f"{show(first)} to {show(last)} of {total} runs"
    if not record.by:
        return f"{which}, the newest first"
    return f"{which} by {record.by}, {'more' if record.greater_is_better else 'less'} is better"


# --- Tables ---------------------------------------------------------------------------------------


def _table(
    rows: Sequence[Row], columns: Sequence[tuple[str, Callable[[Row], Any]]], title: str
) -> Table:
    """The columns in which any row has something."""
    filled = [(name, [value(row) for row in rows]) for name, value in columns]
    used = [(n, values) for n, values in filled if any(v not in (None, "") for v in values)]
    cells = [
        tuple("–" if values[i] == "" else values[i] for _, values in used) for i in range(len(rows))
    ]
    return Table(tuple(n for n, _ in used), cells, title)


def _ranking(record: Comparison) -> Table:
    counts: dict[str, int] = {}
    for row in record.rows:
        for name in row.get("metrics", ()):
            counts[name] = counts.get(name, 0) + 1
    others = sorted((n for n in counts if n != record.by), key=lambda n: (-counts[n], n))
    metrics = [*([record.by] if record.by else []), *others[: _METRICS - 1]]
    return _table(
        record.rows,
        [
            ("rank", lambda row: row.get("rank")),
            ("model", _name),
            ("estimator", _estimator),
            *((_heading(m, record), _metric(m)) for m in metrics),
            ("verdict", _word("verdict")),
            ("cells", _word("trust")),
            ("reproduction", _word("reproduction")),
            ("status", lambda row: row["status"] if row.get("status") != "finished" else ""),
        ],
        "Leaderboard",
    )


def _heading(metric: str, record: Comparison) -> str:
    if metric != record.by:
        return metric
    return f"{metric} {'↑' if record.greater_is_better else '↓'}"


def _metric(name: str) -> Callable[[Row], Any]:
    def value(row: Row) -> Any:
        found = row.get("metrics", {}).get(name)
        if isinstance(found, float) and not math.isfinite(found):
            return "NaN" if math.isnan(found) else str(found).replace("inf", "∞")
        return found

    return value


def _word(field: str) -> Callable[[Row], Any]:
    def value(row: Row) -> Any:
        word = row.get(field) or ""
        return Status(word, _TONES.get(word, "plain")) if word else ""

    return value


def _name(row: Row) -> str:
    aliases = "".join(f" @{a}" for a in row.get("aliases", ()))
    if row.get("model"):
        return f"{row['model']}{aliases}"
    return f"{row.get('name', '')} (run {row.get('run_id', '')[:8]})".strip()


def _estimator(row: Row) -> str:
    """What it is; that it stands in a pipeline is seen by its parameters."""
    return str(row.get("estimator", "")).removesuffix(" in a Pipeline")


def _parameters(rows: Sequence[Row], names: Sequence[str]) -> Table:
    titles = _short(names)
    if not names:
        return Table((), ())
    return _table(
        rows,
        [
            ("rank", lambda row: row.get("rank")),
            ("model", _name),
            *((titles[n], _parameter(n)) for n in names),
        ],
        "Parameters that differ",
    )


def _parameter(name: str) -> Callable[[Row], Any]:
    def value(row: Row) -> Any:
        params = row.get("params", {})
        if name not in params:
            return ""
        return "None" if params[name] is None else params[name]

    return value


def _origins(rows: Sequence[Row]) -> Table:
    def used(key: str, form: Callable[[float], str]) -> Callable[[Row], str]:
        def value(row: Row) -> str:
            found = (row.get("resources") or {}).get(key)
            return form(found) if isinstance(found, int | float) else ""

        return value

    return _table(
        rows,
        [
            ("rank", lambda row: row.get("rank")),
            ("model", _name),
            ("data", _data),
            ("took", lambda row: "" if row.get("duration") is None else seconds(row["duration"])),
            ("CPU", used("cpu_s", seconds)),
            ("memory", used("peak_memory_bytes", size)),
            ("GPU memory", used("gpu_peak_memory_bytes", size)),
            ("energy", used("energy_wh", lambda wh: f"{wh * 1000:.3g} mWh")),
            ("CO₂", used("co2_g", lambda grams: f"{grams:.2g} g")),
            ("cost", _cost),
            ("size", lambda row: "" if row.get("size") is None else size(row["size"])),
            ("when (UTC)", lambda row: moment(row.get("started", ""))[:16]),
            ("who", lambda row: row.get("actor", "")),
        ],
        "Data, cost and origin",
    )


def _cost(row: Row) -> str:
    used = row.get("resources") or {}
    return f"{used['cost']:.2g} {used.get('currency', '')}".strip() if used.get("cost") else ""


def _data(row: Row) -> Any:
    digest = str(row.get("digest", "")).removeprefix("sha256:")[:8]
    text = " ".join(filter(None, (row.get("dataset", ""), digest)))
    return Status(f"{text}: other rows", "warn") if row.get("comparable") is False else text


def _short(names: Sequence[str]) -> dict[str, str]:
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


# --- Plots ----------------------------------------------------------------------------------------


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


def _against(record: Comparison) -> list[Panel]:
    """The metric against each parameter, and over all of them at once."""
    rows = [r for r in record.rows if math.isfinite(r.get("metrics", {}).get(record.by, math.nan))]
    if len(rows) < 2:
        return []
    metric = [float(r["metrics"][record.by]) for r in rows]
    titles = _short(record.varying)
    laid = [
        _axis("estimator", [_estimator(r) or None for r in rows]),
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


def _over_each_other(record: Comparison) -> list[Panel]:
    """ROC, precision and recall, calibration or residuals of the best."""
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
    residuals = (record.curves.get("residuals") or {}).items()
    errors = []
    if residuals:
        dots = [Series(label, _pairs(r["sample"]), "dots") for label, r in residuals]
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
    return [
        Panel("The best on unseen rows", shares),
        Panel("The best on unseen rows: residuals", errors),
    ]


def _lines(record: Comparison, kind: str) -> list[Series]:
    return [
        Series(label, _pairs(points), "both" if kind == "calibration" else "line")
        for label, points in record.curves[kind].items()
    ]


def _pairs(points: Any) -> list[tuple[float, float]]:
    """The first two of each, where there are more."""
    return [(float(point[0]), float(point[1])) for point in points]
