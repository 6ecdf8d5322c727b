"""One goal and its figure: the answer in words, and in the goal's own unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlops_magics.goals import units
from mlops_magics.goals.figures import Figure
from mlops_magics.goals.goal import Goal
from mlops_magics.goals.samples import Undefined
from mlops_magics.records import GoalResult

#: The confidence at which a comparison with a champion or a baseline must hold (one-sided).
CONFIDENCE = 0.95

_PHRASES = {
    ">=": ("is at least", "is below"),
    ">": ("is above", "is not above"),
    "<=": ("is at most", "is above"),
    "<": ("is below", "is not below"),
}


@dataclass(frozen=True, kw_only=True)
class Judged:
    """An answer in base units.

    Attributes
    ----------
    slack : float
        How much better than asked what was judged is; negative when it failed.
    bound : float or None
        What the value was held against.
    p : float or None
        Of the test that it was judged by, if it was.
    place : str
        The group that decided.
    groups : tuple of mapping
        As `mlops_magics.records.GoalResult` has them.
    """

    passed: bool
    reason: str
    value: float | None = None
    interval: tuple[float, float] | None = None
    slack: float = 0.0
    bound: float | None = None
    rows: int | None = None
    p: float | None = None
    place: str = ""
    groups: tuple[Mapping[str, Any], ...] = ()


def result(goal: Goal, judged: Judged) -> GoalResult:
    """The public form: figures in the goal's own unit."""

    def shown(value: float | None) -> float | None:
        return None if value is None else float(units.from_base(value, goal.unit))

    return GoalResult(
        text=goal.text,
        value=shown(judged.value),
        passed=judged.passed,
        interval=_pair(judged.interval, goal),
        reason=judged.reason,
        metric=goal.metric,
        comparator=goal.comparator,
        unit=goal.unit,
        bound=shown(goal.bound if judged.bound is None else judged.bound)
        if judged.bound is not None or not goal.reference
        else None,
        rows=judged.rows,
        p=judged.p,
        groups=tuple(
            {
                **group,
                "value": shown(group["value"]),
                "interval": _pair(group["interval"], goal),
                "joint_interval": _pair(group["joint_interval"], goal),
            }
            for group in judged.groups
        ),
    )


def _pair(interval: tuple[float, float] | None, goal: Goal) -> tuple[float, float] | None:
    if interval is None or not np.isfinite(interval).all():
        return None
    low, high = (float(units.from_base(end, goal.unit)) for end in interval)
    return low, high


def not_measured(reason: str) -> Judged:
    """What cannot be measured counts as failed."""
    end = "" if reason.endswith((".", "?")) else "."
    return Judged(passed=False, reason=f"Not measured: {reason}{end}")


def alone(goal: Goal, found: Figure) -> Judged:
    """A value against a number: judged on the value or, with a level, on its one-sided bound.

    Raises
    ------
    Undefined
        If it is to be judged on its interval, and that can't be had.
    """
    value = units.show(found.value, goal.unit)
    told: dict[str, Any] = {
        "value": found.value,
        "interval": found.interval(),
        "bound": goal.bound,
        "rows": found.rows,
    }
    if goal.level is None:
        passed = goal.holds(found.value)
        reason = f"{value} {phrase(goal, passed)} {units.show(goal.bound, goal.unit)}."
        return Judged(passed=passed, reason=reason, slack=slack(goal, found.value), **told)
    bound = found.bound(goal.level, lower=goal.at_least)
    if not np.isfinite(bound):
        raise Undefined("its interval can't be had: the resamples leave it undefined")
    passed = goal.holds(bound)
    reason = (
        f"{value}, and with {percent(goal.level)} confidence {_side(goal)} "
        f"{units.show(bound, goal.unit)}, "
        f"which {phrase(goal, passed)} {units.show(goal.bound, goal.unit)}."
    )
    return Judged(passed=passed, reason=reason, slack=slack(goal, bound), p=_p(goal, found), **told)


def compared(goal: Goal, mine: Figure, its: Figure, against: str) -> Judged:
    """A value against another model's on the same rows.

    It is judged on the one-sided bound of the difference: ``>= champion - 0.005`` holds if with
    95 % confidence the difference is at least −0.005.

    Raises
    ------
    Undefined
        If the resamples leave the difference undefined.
    """
    difference = mine - its
    level = CONFIDENCE if goal.level is None else goal.level
    bound = difference.bound(level, lower=goal.at_least)
    if not np.isfinite(bound):
        raise Undefined("the difference can't be had: the resamples leave it undefined")
    passed = goal.holds(bound)
    shown = [units.show(f.value, goal.unit) for f in (mine, its)]
    reason = (
        f"{shown[0]} against {shown[1]} of {against}; with {percent(level)} confidence (paired "
        f"bootstrap, one-sided) the difference is {_side(goal)} {signed(bound, goal.unit)}, "
        f"which {phrase(goal, passed)} {signed(goal.bound, goal.unit)}."
    )
    if not passed and goal.holds(difference.value):
        reason += " These rows are too few to tell it from worse: judge on more, or allow more."
    return Judged(
        passed=passed,
        reason=reason,
        value=mine.value,
        interval=difference.interval(),
        slack=slack(goal, bound),
        bound=its.value + goal.bound,
        rows=mine.rows,
        p=_p(goal, difference),
    )


def _p(goal: Goal, figure: Figure) -> float:
    strictly = goal.comparator in ("<", ">")
    return figure.p(goal.bound, at_least=goal.at_least, strictly=strictly)


def _side(goal: Goal) -> str:
    return "at least" if goal.at_least else "at most"


def slack(goal: Goal, value: float, bound: float | None = None) -> float:
    """How much better than asked a value is."""
    limit = goal.bound if bound is None else bound
    return value - limit if goal.at_least else limit - value


def phrase(goal: Goal, passed: bool) -> str:
    """``is at least``, ``is below``…"""
    return _PHRASES[goal.comparator][0 if passed else 1]


def percent(share: float) -> str:
    """0.95 as ``95 %``."""
    return f"{100 * share:.4g} %"


def signed(value: float, unit: str) -> str:
    """A difference, with its sign."""
    shown = units.show(value, unit)
    return f"+{shown}" if value > 0 else shown
