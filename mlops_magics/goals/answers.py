"""One goal on one set of rows: the figure, how sure it is, and the answer in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlops_magics.goals import metrics, statistics, units
from mlops_magics.goals.goal import Goal
from mlops_magics.goals.samples import Floats, Sample, Undefined
from mlops_magics.goals.statistics import Interval, Seed
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
    """

    passed: bool
    reason: str
    value: float | None = None
    interval: tuple[float, float] | None = None
    slack: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """How many resamples, and from which stream of random numbers."""

    resamples: int = statistics.RESAMPLES
    seed: Seed = 0


def result(goal: Goal, judged: Judged) -> GoalResult:
    """The public form: figures in the goal's own unit."""
    low_high = judged.interval
    if low_high is not None and not np.isfinite(low_high).all():
        low_high = None
    return GoalResult(
        text=goal.text,
        value=None if judged.value is None else float(units.from_base(judged.value, goal.unit)),
        passed=judged.passed,
        interval=None
        if low_high is None
        else (units.from_base(low_high[0], goal.unit), units.from_base(low_high[1], goal.unit)),
        reason=judged.reason,
    )


def not_measured(reason: str) -> Judged:
    """What cannot be measured counts as failed."""
    end = "" if reason.endswith((".", "?")) else "."
    return Judged(passed=False, reason=f"Not measured: {reason}{end}")


def on_rows(
    goal: Goal, rows: Sample, reference: Sample | None, bootstrap: Bootstrap, against: str = ""
) -> Judged:
    """Judge a goal on these rows, alone or against a reference on the same rows.

    Alone it is judged on the value, or with a level on the one-sided bound of its interval.
    Against a reference it is judged on the one-sided bound of the difference (by paired
    bootstrap): ``>= champion - 0.005`` holds if with 95 % confidence the difference is at least
    −0.005.

    Raises
    ------
    Undefined
        If the metric has no value on these rows.
    """
    metric, params = metrics.find(goal.metric), dict(goal.params)
    samples = [rows] if reference is None else [rows, reference]
    values = [metric.value(s, **params) for s in samples]
    drawn = statistics.replicates(
        [metric.statistic(s, **params) for s in samples],
        rows.rows,
        rows.strata,
        resamples=bootstrap.resamples,
        seed=bootstrap.seed,
    )
    return figure(goal, values, drawn, against)


def figure(goal: Goal, values: list[float], drawn: Floats, against: str) -> Judged:
    """Judge a value, or the difference of two, from its replicates."""
    if len(values) == 1:
        alone = statistics.interval(values[0], drawn[0])
        return _alone(goal, alone)
    difference = statistics.comparison(values[0] - values[1], drawn[0] - drawn[1])
    return _compared(goal, values, difference, against)


def _alone(goal: Goal, found: Interval) -> Judged:
    value = units.show(found.value, goal.unit)
    interval = (found.low, found.high)
    if goal.level is None:
        passed = goal.holds(found.value)
        reason = f"{value} {phrase(goal, passed)} {units.show(goal.bound, goal.unit)}."
        return Judged(
            passed=passed,
            reason=reason,
            value=found.value,
            interval=interval,
            slack=slack(goal, found.value),
        )
    bound = found.bound(goal.level, lower=goal.at_least)
    if not np.isfinite(bound):
        raise Undefined("its interval can't be had: the resamples leave it undefined")
    passed = goal.holds(bound)
    side = "at least" if goal.at_least else "at most"
    shown = units.show(bound, goal.unit)
    reason = (
        f"{value}, and with {percent(goal.level)} confidence {side} {shown}, "
        f"which {phrase(goal, passed)} {units.show(goal.bound, goal.unit)}."
    )
    return Judged(
        passed=passed,
        reason=reason,
        value=found.value,
        interval=interval,
        slack=slack(goal, bound),
    )


def _compared(
    goal: Goal, values: list[float], difference: statistics.Comparison, against: str
) -> Judged:
    level = CONFIDENCE if goal.level is None else goal.level
    bound = difference.bound(level, lower=goal.at_least)
    if not np.isfinite(bound):
        raise Undefined("the difference can't be had: the resamples leave it undefined")
    passed = goal.holds(bound)
    mine, its = (units.show(v, goal.unit) for v in values)
    side = "at least" if goal.at_least else "at most"
    reason = (
        f"{mine} against {its} of {against}; with {percent(level)} confidence (paired bootstrap, "
        f"one-sided) the difference is {side} {signed(bound, goal.unit)}, "
        f"which {phrase(goal, passed)} {signed(goal.bound, goal.unit)}."
    )
    if not passed and goal.holds(difference.value):
        reason += " These rows are too few to tell it from worse: judge on more, or allow more."
    return Judged(
        passed=passed,
        reason=reason,
        value=values[0],
        interval=(difference.low, difference.high),
        slack=slack(goal, bound),
    )


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
