"""The view of an explanation: what matters, how the answer goes with it, and why of single rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mlops_magics.doors.views.card import (
    Axis,
    Card,
    Chart,
    Fold,
    Panel,
    Series,
    Span,
    Spans,
    Table,
    moment,
    percent,
    short,
    show,
)
from mlops_magics.records import Explanation

#: Columns in a picture, and in the row of a group.
_DRAWN, _NAMED = 15, 3
#: Letters of all categories that find room below an upright chart, and left of a line.
_UPRIGHT, _LABEL = 34, 28
#: Room above and below the curves, as a share of their height.
_ROOM = 0.06


def explanation(record: Explanation) -> Card:
    """In words first, then as pictures, with all figures to unfold."""
    return Card(
        "Explanation",
        record.model,
        None,
        f"Explains {record.about}." if record.about else "",
        facts(record),
        (),
        record.warnings,
        f"run {record.run_id}" if record.run_id else "",
        words=record.words,
        below=[*pictures(record), *tables(record)],
    )


def facts(record: Explanation) -> dict[str, Any]:
    """What the explanation rests on."""
    rests, method = record.reference, record.method
    rows = f"{rests.get('source') or 'given'}, {show(rests.get('rows'))} rows"
    chosen = f", drawn with seed {rests.get('seed')}" if rests.get("sampled") else ""
    return {
        **({"on average": _number(record.average)} if record.average is not None else {}),
        **({record.metric: _number(record.score)} if record.metric else {}),
        "data": f"{rows}{chosen}",
        **{k: method[k] for k in ("importance", "dependence") if method.get(k)},
        **(
            {"contributions": f"{method['contributions']}, in {record.unit}"}
            if method.get("contributions")
            else {}
        ),
        **({"explained": moment(record.at)} if record.at else {}),
        **({"data content": short(str(rests["digest"]))} if rests.get("digest") else {}),
        **({"model content": short(record.model_digest)} if record.model_digest else {}),
    }


def pictures(record: Explanation) -> list[Panel]:
    """Importance, partial dependence, and a waterfall for each row."""
    rows = [_waterfall(row) for row in record.rows]
    panels = [
        Panel("What matters", [_importance(record)] if record.importances else []),
        Panel(f"How {record.about or 'the answer'} goes with them", _dependence(record)),
        Panel("Why these rows" if len(record.rows) > 1 else "Why this row", rows),
    ]
    return [panel for panel in panels if panel.figures]


def tables(record: Explanation) -> list[Fold]:
    """All figures."""
    folds = [Fold("Every column", [_columns(record)])] if record.importances else []
    folds += [Fold(f"Row {row.get('row', '')}", [_row(row)]) for row in record.rows]
    if record.groups:
        groups = _groups(record)
        folds.append(
            Fold(f"By {record.by}: each of {len(groups.rows)} groups", [groups], None, True)
        )
    return folds


def _loss(record: Explanation) -> str:
    return f"loss of {record.metric}" if record.metric else f"mean change of {record.about}"


def _importance(record: Explanation) -> Spans:
    drawn = [
        Span(
            str(one.get("feature", "")),
            0.0,
            _number(one.get("permutation")),
            show(_rounded(one.get("permutation"))),
            _pair(one.get("interval")),
        )
        for one in record.importances[:_DRAWN]
    ]
    return Spans("Importance", Axis(f"{_loss(record)} when the column is shuffled"), drawn)


def _columns(record: Explanation) -> Table:
    rows = [
        (
            str(one.get("feature", "")),
            _rounded(one.get("permutation")),
            _interval(one.get("interval")),
            _rounded(one.get("shap")),
            "one value only" if one.get("constant") else str(one.get("direction", "")),
        )
        for one in record.importances
    ]
    mean = f"mean contribution ({record.unit})" if record.unit else "mean contribution"
    return Table(("column", _loss(record), "95 % interval", mean, "direction"), rows)


def _dependence(record: Explanation) -> list[Chart | Spans]:
    """All over the same height, so that they can be compared."""
    reach = [
        value
        for found in record.dependence.values()
        if isinstance(found, Mapping)
        for value in map(_number, found.get("average") or ())
        if math.isfinite(value)
    ]
    if not reach:
        return []
    room = (max(reach) - min(reach)) * _ROOM or abs(max(reach)) * _ROOM or 1.0
    y = Axis(_short(record.about), min(reach) - room, max(reach) + room)
    return [
        _levels(str(name), found, record)
        if found.get("kind") == "category" and len(_names(found)) > _UPRIGHT
        else _curve(str(name), found, y)
        for name, found in record.dependence.items()
    ]


def _names(found: Mapping[str, Any]) -> str:
    """All that stands below an axis of categories."""
    return "  ".join(_value(value) for value in found["values"])


def _levels(name: str, found: Mapping[str, Any], record: Explanation) -> Spans:
    """Many categories, or long ones: a line each, away from the average answer."""
    average = _number(record.average)
    drawn = [
        Span(_value(value), average, _number(level), show(_rounded(level)))
        for value, level in zip(found["values"], found["average"], strict=True)
    ]
    mark = (average, f"average {show(_rounded(average))}")
    return Spans(name, Axis(_short(record.about)), drawn, [mark], signed=True)


def _short(about: str) -> str:
    return about.removeprefix("the ")


def _curve(name: str, found: Mapping[str, Any], y: Axis) -> Chart:
    places = list(
        zip(found["values"], map(_number, found["average"]), found["shares"], strict=True)
    )
    tips = {
        i: f"{name} {_value(value)}: {show(average)}, {percent(_number(share))} of the rows"
        for i, (value, average, share) in enumerate(places)
    }
    if found.get("kind") != "number":
        x = Axis(name, names=[_value(value) for value, _, _ in places])
        points = [(float(i), average) for i, (_, average, _) in enumerate(places)]
        drawn: Any = "dots" if found.get("kind") == "category" else "both"
        return Chart(name, x, y, [Series("", points, drawn, list(tips.values()))])
    present = [i for i, (value, _, _) in enumerate(places) if value is not None]
    points = [(_number(places[i][0]), places[i][1]) for i in present]
    series = [Series("with a value", points, "both", [tips[i] for i in present])]
    if len(present) < len(places) and points:
        ends = (points[0][0], points[-1][0])
        series.append(Series("value missing", [(end, places[-1][1]) for end in ends]))
    return Chart(name, Axis(name), y, series)


def _waterfall(row: Mapping[str, Any]) -> Spans:
    """From the base to the prediction, the largest step first."""
    steps = [c for c in row.get("contributions", ()) if _number(c.get("contribution"))]
    at = _number(row.get("base"))
    base, prediction = at, _number(row.get("prediction"))
    drawn = []
    for one in steps[:_DRAWN]:
        to = at + _number(one.get("contribution"))
        drawn.append(Span(_labelled(one), at, to, _signed(to - at)))
        at = to
    if steps[_DRAWN:]:
        drawn.append(
            Span(f"the other {len(steps) - _DRAWN}", at, prediction, _signed(prediction - at))
        )
    return Spans(
        f"Row {row.get('row', '')}: {_short(str(row.get('about', '')))} "
        f"{show(_rounded(row.get('answer')))}",
        Axis(str(row.get("unit", ""))),
        drawn,
        ((base, f"base {show(_rounded(base))}"), (prediction, f"row {show(_rounded(prediction))}")),
        signed=True,
    )


def _labelled(one: Mapping[str, Any]) -> str:
    """A column and its value, of which the column gives way."""
    name, value = str(one.get("feature", "")), _value(one.get("value"))
    value = value if len(value) <= _LABEL // 2 else f"{value[: _LABEL // 2 - 1]}…"
    room = _LABEL - len(value) - 3
    return f"{name if len(name) <= room else f'{name[: room - 1]}…'} = {value}"


def _row(row: Mapping[str, Any]) -> Table:
    steps: Sequence[Mapping[str, Any]] = row.get("contributions") or ()
    sampled = any("error" in one for one in steps)
    unit = f"contribution ({row.get('unit', '')})"
    columns = ("column", "value", unit, *(("standard error",) if sampled else ()))
    rows = [
        (
            str(one.get("feature", "")),
            _value(one.get("value")),
            _signed(_number(one.get("contribution"))),
            *((_rounded(one.get("error")),) if sampled else ()),
        )
        for one in steps
    ]
    return Table(columns, rows)


def _groups(record: Explanation) -> Table:
    rows = []
    for label, found in record.groups.items():
        told: Mapping[str, Any] = found if isinstance(found, Mapping) else {"reason": found}
        top = [
            f"{one.get('feature')} ({show(_rounded(one.get('permutation')))})"
            for one in (told.get("importances") or ())[:_NAMED]
        ]
        rows.append(
            (
                str(label),
                told.get("rows"),
                _rounded(told.get("average")),
                _rounded(told.get("score")),
                ", ".join(top) or f"not measured: {told.get('reason', '')}",
            )
        )
    score = record.metric or "score"
    return Table(("group", "rows", "average answer", score, "matters most"), rows)


def _value(value: Any) -> str:
    if value is None:
        return "missing"
    if isinstance(value, float) and (value.is_integer() or 1e5 <= abs(value) < math.inf):
        value = round(value)
    return show(value)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _rounded(value: Any) -> float | None:
    """Three digits, of which a picture has room for no more."""
    return float(f"{value:.3g}") if isinstance(value, int | float) else None


def _signed(value: float) -> str:
    return f"{'−' if value < 0 else '+'}{show(_rounded(abs(value)))}"


def _pair(interval: Any) -> tuple[float, float] | None:
    if not interval or any(v is None for v in interval):
        return None
    low, high = interval
    return _number(low), _number(high)


def _interval(interval: Any) -> str:
    pair = _pair(interval)
    return f"{show(_rounded(pair[0]))} … {show(_rounded(pair[1]))}" if pair else "–"
