"""What a goal means: whether its metric exists, and whether the rest of the line fits it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, cast

from mlops_magics.errors import WrongUsage, did_you_mean
from mlops_magics.goals import metrics, robustness, units
from mlops_magics.goals.goal import Comparator, Goal, Spread

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
    head, spread, comparator, bound, *clauses = cast("list[Any]", tree.children)
    metric = _metric(head.children[0])
    column, params = _arguments(metric, head)
    metric = metric.about(column)
    limit, unit, reference = _bound(metric, bound)
    by, level, under = _clauses(metric, clauses)
    _check_spread(metric, spread, by, under)
    if metric.needs_groups and by is None:
        raise Unreadable(
            tree.meta.end_column or 1,
            f"{metric.name} is between groups: add by COLUMN, as in by Home.",
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
        spread=cast("Spread", str(spread or "")),
        under=under,
        level=level,
        line=number,
    )


def _metric(name: Token) -> metrics.Metric:
    try:
        return metrics.find(str(name))
    except WrongUsage as error:
        raise Unreadable(_column(name), str(error).strip()) from None


def _check_spread(metric: metrics.Metric, spread: Token | None, by: str | None, under: Any) -> None:
    if spread is None:
        return
    if metric.needs_groups:
        raise Unreadable(_column(spread), f"{metric.name} is a {_kind(metric)} by itself.")
    if metric.needs == "measurement" or not metric.has_interval:
        raise Unreadable(_column(spread), f"{metric.name} has no {spread}.")
    if spread == "drop" and under is None:
        raise Unreadable(
            spread.end_column or 1,
            "a drop is what is lost by disturbed inputs: add under noise 10% or under missing 20%.",
        )
    if spread != "drop" and by is None:
        raise Unreadable(
            spread.end_column or 1,
            f"a {spread} is between groups: add by COLUMN, as in "
            f"{metric.name} {spread} {'<= 0.10' if spread == 'gap' else '>= 0.8'} by Home.",
        )


def _kind(metric: metrics.Metric) -> str:
    return str(getattr(metric, "spread", "gap"))


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
            if wrong := metric.wrong_column(column):
                raise Unreadable(_column(first), wrong)
        elif str(first) in params:
            raise Unreadable(_column(first), f"{first} is given twice.")
        else:
            params[str(first)] = _value(argument.children[1])
            if wrong := metric.wrong_parameter(str(first), params[str(first)]):
                raise Unreadable(_column(first), wrong)
    if metric.takes_column and column is None:
        raise Unreadable(name.end_column, metric.missing_column())
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


def _clauses(
    metric: metrics.Metric, clauses: list[Tree[Token]]
) -> tuple[str | None, float | None, tuple[str, float] | None]:
    by: str | None = None
    level: float | None = None
    under: tuple[str, float] | None = None
    for clause in clauses:
        keyword, *rest = cast("list[Any]", clause.children)
        given = {"BY": by, "WITH": level, "UNDER": under}[keyword.type]
        if given is not None:
            one = ": one column groups" if keyword.type == "BY" else ""
            raise Unreadable(_column(keyword), f"{keyword} stands here twice{one}.")
        if keyword.type == "BY":
            by = _by(metric, keyword, rest[0])
        elif keyword.type == "WITH":
            level = _level(metric, keyword, rest[0])
        else:
            under = _under(metric, keyword, *rest)
    return by, level, under


def _by(metric: metrics.Metric, keyword: Token, value: Token) -> str:
    if metric.needs == "measurement":
        more = (
            f"; `monitor --by {_name(value)}` judges each group" if metric.name == "drift" else ""
        )
        said = f"{metric.name} is not measured by group: leave out by{more}."
        raise Unreadable(_column(keyword), said)
    return _name(value)


def _level(metric: metrics.Metric, keyword: Token, value: Token) -> float:
    if metric.needs == "measurement" or not metric.has_interval:
        why = "is judged on its value" if metric.name == "estimated" else "has no interval"
        raise Unreadable(_column(keyword), f"{metric.name} {why}: leave out with.")
    level = float(value) / 100
    if not 0.5 < level < 1:
        raise Unreadable(_column(value), "a confidence lies between 50% and 100%, as in with 95%.")
    return level


def _under(
    metric: metrics.Metric, keyword: Token, kind: Token, amount: Token, percent: Token | None
) -> tuple[str, float]:
    if metric.needs == "measurement" or not metric.has_interval:
        raise Unreadable(
            _column(keyword), f"{metric.name} does not depend on the answers: leave out under."
        )
    if str(kind) not in robustness.KINDS:
        raise Unreadable(
            _column(kind),
            f"nothing is known of {str(kind)!r}. {did_you_mean(str(kind), robustness.KINDS)}",
        )
    share = float(amount) * (0.01 if percent is not None else 1.0)
    if not share > 0 or (kind == "missing" and share > 1):
        most = " up to 100%" if kind == "missing" else ""
        raise Unreadable(
            _column(amount), f"{kind} is a share above 0%{most}, as in under {kind} 10%."
        )
    return str(kind), share


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
