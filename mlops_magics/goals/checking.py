"""What a goal means: whether its metric exists, and whether the rest of the line fits it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, cast

from mlops_magics.errors import UnknownName, did_you_mean
from mlops_magics.goals import metrics, units
from mlops_magics.goals.goal import Comparator, Goal

if TYPE_CHECKING:
    from lark import Token, Tree

_REFUSED = {
    "=": "==",
    "==": "==",
    "!=": "!=",
    "≠": "!=",
    "<>": "!=",
}
_MEANT = {"=>": ">=", "=<": "<=", "≥": ">=", "≤": "<="}


class Unreadable(Exception):  # never leaves this room: it becomes a `Problem`
    """One line that can't be a goal; `column` counts from 1."""

    def __init__(self, column: int, message: str) -> None:
        super().__init__(message)
        self.column = column
        self.message = message


def build(tree: Tree[Token], line: str, number: int) -> Goal:
    """The goal that a parsed line states.

    Raises
    ------
    Unreadable
        If it can't mean anything; says where and why.
    """
    head, gap, comparator, bound, *clauses = cast("list[Any]", tree.children)
    metric = _metric(head.children[0])
    column, params = _arguments(metric, head)
    limit, unit, reference = _bound(metric, bound)
    by, level = _clauses(metric, clauses)
    if gap is not None and by is None:
        raise Unreadable(
            gap.end_column,
            f"a gap is between groups: add by COLUMN, as in {metric.name} gap <= 0.10 by Home.",
        )
    start, end = tree.meta.start_pos, tree.meta.end_pos
    return Goal(
        text=line[start:end],
        metric=metric.name,
        comparator=_comparator(comparator),
        bound=limit,
        unit=unit,
        reference=reference,
        column=column,
        params=params,
        by=by,
        spread="" if gap is None else "gap",
        level=level,
        line=number,
    )


def _metric(name: Token) -> metrics.Metric:
    try:
        return metrics.find(str(name))
    except UnknownName as error:
        raise Unreadable(_column(name), str(error).strip()) from None


def _comparator(token: Token) -> Comparator:
    text = str(token)
    if text in _REFUSED:
        raise Unreadable(
            _column(token),
            f"{_REFUSED[text]} is no goal: a measured figure hardly ever equals another exactly. "
            "Use >=, >, <= or <.",
        )
    if text in _MEANT:
        raise Unreadable(_column(token), f"{text} is written {_MEANT[text]} here.")
    return cast("Comparator", text)


def _arguments(
    metric: metrics.Metric, head: Tree[Token]
) -> tuple[str | None, tuple[tuple[str, float | str], ...]]:
    name, *given = cast("list[Any]", head.children)
    column: str | None = None
    params: dict[str, float | str] = {}
    for argument in given:
        if argument is None:
            continue
        first = argument.children[0]
        if argument.data == "column":
            if not metric.takes_column:
                raise Unreadable(_column(first), f"{metric.name} takes no column.")
            if column is not None:
                raise Unreadable(_column(first), f"{metric.name} takes one column.")
            column = _name(first)
        elif str(first) in params:
            raise Unreadable(_column(first), f"{first} is given twice.")
        else:
            params[str(first)] = _value(argument.children[1])
            wrong = metric.wrong_parameter(str(first), params[str(first)])
            if wrong:
                raise Unreadable(_column(first), wrong)
    if metric.takes_column and column is None:
        raise Unreadable(
            name.end_column,
            f"{metric.name} is of a column: {metric.name}(Income), or "
            f"{metric.name}(*) for every one.",
        )
    missing = metric.missing_parameter(params)
    if missing:
        raise Unreadable(name.end_column, missing)
    return column, tuple(params.items())


def _bound(metric: metrics.Metric, bound: Tree[Token]) -> tuple[float, str, str]:
    children = cast("list[Any]", bound.children)
    if bound.data == "threshold":
        number, unit = children
        return (
            units.to_base(_value(number), _unit(metric, unit, number.meta.end_column)),
            str(unit or ""),
            "",
        )
    reference, sign, number, unit = children
    if not metric.has_reference:
        raise Unreadable(
            _column(reference),
            f"{metric.name} can't be compared with a {reference}: give a number.",
        )
    if sign is None:
        # The answer needs a unit that people read.
        return 0.0, metric.natural_unit, str(reference)
    offset = float(number) * (-1.0 if sign == "-" else 1.0)
    return (
        units.to_base(offset, _unit(metric, unit, number.end_column)),
        str(unit or ""),
        str(reference),
    )


def _unit(metric: metrics.Metric, unit: Token | None, end: int) -> str:
    fitting = units.of_kind(metric.unit)
    if unit is None:
        if metric.unit in ("time", "bytes"):
            raise Unreadable(
                end, f"{metric.name} needs a unit here: {', '.join(fitting[:-1])} or {fitting[-1]}."
            )
        return ""
    if str(unit) not in units.UNITS and not fitting:
        raise Unreadable(
            _column(unit),
            f"{str(unit)!r} can't stand here: {metric.name} is a plain number, which by COLUMN "
            "or with 95% may follow.",
        )
    if str(unit) not in units.UNITS:
        raise Unreadable(
            _column(unit),
            f"{str(unit)!r} is no unit. {did_you_mean(str(unit), fitting)}",
        )
    if str(unit) not in fitting:
        takes = " or ".join(fitting) or "a plain number"
        raise Unreadable(
            _column(unit), f"{metric.name} is not measured in {unit}: it takes {takes}."
        )
    return str(unit)


def _clauses(metric: metrics.Metric, clauses: list[Tree[Token]]) -> tuple[str | None, float | None]:
    by: str | None = None
    level: float | None = None
    for clause in clauses:
        keyword, value = cast("list[Token]", clause.children)[:2]
        if keyword.type == "BY":
            if by is not None:
                raise Unreadable(_column(keyword), "by stands here twice: one column groups.")
            if metric.needs == "measurement":
                raise Unreadable(
                    _column(keyword), f"{metric.name} is not measured by group: leave out by."
                )
            by = _name(value)
        else:
            if level is not None:
                raise Unreadable(_column(keyword), "with stands here twice.")
            if metric.needs == "measurement":
                raise Unreadable(
                    _column(keyword), f"{metric.name} has no interval: leave out with."
                )
            level = float(value) / 100
            if not 0.5 < level < 1:
                raise Unreadable(
                    _column(value), "a confidence lies between 50% and 100%, as in with 95%."
                )
    return by, level


def _name(token: Token) -> str:
    # A quoted name is read as Python reads it, so that a quote may stand inside.
    return str(ast.literal_eval(str(token))) if token.type == "STRING" else str(token)


def _value(part: Any) -> Any:
    if hasattr(part, "data"):
        sign, number = part.children
        return float(number) * (-1.0 if sign == "-" else 1.0)
    return _name(part)


def _column(token: Token) -> int:
    return token.column or 1
