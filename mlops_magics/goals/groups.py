"""Goals by group: every group judged, or how far the groups lie apart.

All groups must pass. No correction for their number is needed for that: a claim that every one
of several parts holds, each tested at the same level, holds at that level (the
intersection-union test of Berger, 1982). ``gap`` is the largest value less the smallest, ``ratio``
the smallest divided by the largest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from mlops_magics.errors import did_you_mean
from mlops_magics.goals import answers, metrics, units
from mlops_magics.goals.answers import Judged
from mlops_magics.goals.bench import Bench
from mlops_magics.goals.fairness import Disparity
from mlops_magics.goals.figures import LEVEL, Figure, combined
from mlops_magics.goals.goal import Goal
from mlops_magics.goals.parties import Party
from mlops_magics.goals.samples import Array, Floats, Undefined

#: A group of fewer rows says too little to be judged.
SMALLEST = 30
#: A column with more values than this names no groups.
MOST = 50


@dataclass(frozen=True)
class Group:
    """The rows that share a value; ``label`` as it is shown."""

    label: str
    rows: Array


@dataclass(frozen=True)
class Split:
    """The groups of a column: those to be judged, and why the others are not.

    Attributes
    ----------
    unmeasured : mapping
        Label → reason; a goal fails for these.
    empty : tuple of str
        Left out, as the user allowed.
    """

    groups: tuple[Group, ...]
    unmeasured: dict[str, str]
    empty: tuple[str, ...]


def split(features: pd.DataFrame, column: str) -> list[Group]:
    """The groups of a column, in order of their value; a missing value is a group too.

    A category that the column declares and no row has is an empty group.

    Raises
    ------
    Undefined
        If there is no such column, or it has too many values.
    """
    if column not in features.columns:
        raise Undefined(
            f"there is no column {column!r} to group by. "
            f"{did_you_mean(column, map(str, features.columns))}"
        )
    values = features[column]
    declared = values.cat.categories if isinstance(values.dtype, pd.CategoricalDtype) else None
    codes, kinds = pd.factorize(values, sort=declared is not None or _sortable(values))
    if len(kinds) > MOST:
        raise Undefined(
            f"{column} has {len(kinds)} different values, which are too many groups "
            f"({MOST} at most): make a column of ranges first"
        )
    groups = [Group(f"{column} = {k}", np.flatnonzero(codes == i)) for i, k in enumerate(kinds)]
    if declared is not None:
        unused = [k for k in declared if k not in set(kinds)]
        groups += [Group(f"{column} = {k}", np.array([], dtype=int)) for k in unused]
    if (codes == -1).any():
        groups.append(Group(f"{column} missing", np.flatnonzero(codes == -1)))
    return groups


def _sortable(values: pd.Series) -> bool:
    return pd.api.types.infer_dtype(values, skipna=True) not in ("mixed", "mixed-integer")


def _split(goal: Goal, metric: metrics.Metric, subject: Party, allow_small: bool) -> Split:
    features = subject.subject.features
    if features is None:
        raise Undefined(f"the column {goal.by!r} is not known for these rows")
    groups = split(features, goal.by or "")
    fewest = 1 if allow_small or metric.of_any_size else SMALLEST
    small = [g for g in groups if len(g.rows) < fewest]
    return Split(
        tuple(g for g in groups if len(g.rows) >= fewest),
        {g.label: _too_small(g) for g in small if not allow_small},
        tuple(g.label for g in small if allow_small),
    )


def _too_small(group: Group) -> str:
    if not len(group.rows):
        return "no rows"
    count = "1 row" if len(group.rows) == 1 else f"{len(group.rows)} rows"
    return f"{count}, too small (under {SMALLEST})"


def judge(
    goal: Goal,
    metric: metrics.Metric,
    subject: Party,
    reference: Party | None,
    allow_small: bool,
    bench: Bench,
) -> Judged:
    """Judge a goal that has ``by``.

    Raises
    ------
    Undefined
        If it can't be measured at all.
    """
    parts = _split(goal, metric, subject, allow_small)
    apart = isinstance(metric, Disparity) or goal.spread in ("gap", "ratio")
    judged = (_apart if apart else _every)(goal, metric, subject, reference, parts, bench)
    if parts.empty:
        note = f" Left out, being empty: {', '.join(parts.empty)}."
        judged = replace(judged, reason=judged.reason + note)
    return judged


def value(
    goal: Goal,
    metric: metrics.Metric,
    subject: Party,
    other: Party,
    place: str,
    allow_small: bool,
) -> float:
    """What another model has for the same goal: in the group `place`, or between the groups.

    Raises
    ------
    Undefined
        If it has no value.
    """
    parts = _split(goal, metric, subject, allow_small)
    params = dict(goal.params)

    def of(one: metrics.Metric, group: Group) -> float:
        return one.value(other.answers(one, params).take(group.rows), **params)

    if place:
        return of(metric, next(g for g in parts.groups if g.label == place))
    spreads = [
        _spread(goal, metric)(np.array([[of(one, g)] for g in parts.groups]))[0]
        for one in _metrics(metric)
    ]
    return float(_widest(goal, metric)(np.array(spreads)[:, np.newaxis])[0])


def _every(
    goal: Goal,
    metric: metrics.Metric,
    subject: Party,
    reference: Party | None,
    parts: Split,
    bench: Bench,
) -> Judged:
    found: dict[str, Judged] = {}
    joint: dict[str, tuple[float, float]] = {}
    unmeasured = dict(parts.unmeasured)
    level = 1 - (1 - LEVEL) / max(len(parts.groups), 1)  # Bonferroni
    for group in parts.groups:
        try:
            mine = subject.figure(goal, metric, bench, group.label, group.rows)
            if reference is None:
                found[group.label] = answers.alone(goal, mine)
                joint[group.label] = mine.interval(level)
            else:
                its = reference.figure(goal, metric, bench, group.label, group.rows)
                found[group.label] = answers.compared(goal, mine, its, reference.called)
                joint[group.label] = (mine - its).interval(level)
        except Undefined as error:
            unmeasured[group.label] = str(error)
    if not found:
        return answers.not_measured(_list(unmeasured) or "there are no groups")
    worst = min(found, key=lambda label: found[label].slack)
    failed = [label for label, j in found.items() if not j.passed]
    count = found[worst].rows
    what = f"{worst} ({count} row{'s' if count != 1 else ''}): {found[worst].reason}"
    if failed:
        reason = f"{len(failed)} of {len(found)} groups fail; the worst is {what}"
    else:
        reason = f"Holds in {'each of ' if len(found) > 1 else ''}{_groups(found)}; least in {what}"
    ps = [j.p for j in found.values() if j.p is not None]
    return replace(
        found[worst],
        passed=not failed and not unmeasured,
        reason=reason + _and_not_measured(unmeasured),
        # That every group holds is as doubtful as the most doubtful one.
        p=max(ps) if ps and not unmeasured else None,
        place=worst,
        groups=(
            *(_row(label, j, joint[label]) for label, j in found.items()),
            *(_missing(label, why) for label, why in unmeasured.items()),
        ),
    )


def _apart(
    goal: Goal,
    metric: metrics.Metric,
    subject: Party,
    reference: Party | None,
    parts: Split,
    bench: Bench,
) -> Judged:
    unmeasured = dict(parts.unmeasured)
    each: dict[str, list[Figure]] = {}
    its: dict[str, list[Figure]] = {}
    for group in parts.groups:
        at = (bench, group.label, group.rows)
        try:
            each[group.label] = [subject.figure(goal, m, *at) for m in _metrics(metric)]
            if reference is not None:
                its[group.label] = [reference.figure(goal, m, *at) for m in _metrics(metric)]
        except Undefined as error:
            each.pop(group.label, None)
            unmeasured[group.label] = str(error)
    if len(each) < 2:
        what = _list(unmeasured) if unmeasured else f"{goal.by} has one value only"
        return answers.not_measured(f"a {_word(goal, metric)} needs two groups; {what}")
    mine, decisive = _between(goal, metric, each)
    if reference is None:
        judged = answers.alone(goal, mine)
        ratio = _word(goal, metric) == "ratio"
        judged = replace(judged, interval=_within(judged.interval, ratio))
    else:
        judged = answers.compared(goal, mine, _between(goal, metric, its)[0], reference.called)
    values = {label: figures[decisive].value for label, figures in each.items()}
    highest, lowest = max(values, key=values.__getitem__), min(values, key=values.__getitem__)
    high, low = (units.show(values[label], goal.unit) for label in (highest, lowest))
    of = _metrics(metric)[decisive].name
    named = f" {of}:" if isinstance(metric, Disparity) else ""
    level = 1 - (1 - LEVEL) / len(each)
    return replace(
        judged,
        passed=judged.passed and not unmeasured,
        reason=f"{judged.reason}{named} Highest in {highest} ({high}), lowest in {lowest} ({low})."
        + _and_not_measured(unmeasured),
        p=judged.p if not unmeasured else None,
        groups=(
            *(
                {
                    "group": label,
                    "metric": m.name,
                    "rows": figure.rows,
                    "value": figure.value,
                    "interval": figure.interval(),
                    "joint_interval": figure.interval(level),
                    "passed": None,
                    "reason": "",
                }
                for label, figures in each.items()
                for m, figure in zip(_metrics(metric), figures, strict=True)
            ),
            *(_missing(label, why) for label, why in unmeasured.items()),
        ),
    )


def _between(
    goal: Goal, metric: metrics.Metric, each: dict[str, list[Figure]]
) -> tuple[Figure, int]:
    """How far the groups lie apart, and in which of the metrics the most.

    Its resamples are of the two groups that lie furthest apart in the data, and of these alone.
    The largest of all in every resample would always be larger than the truth; correcting that
    as a bias would push the upper bound below the truth too often.
    """
    ratio = _word(goal, metric) == "ratio"
    spreads = [
        _furthest([figures[i] for figures in each.values()], ratio)
        for i in range(len(_metrics(metric)))
    ]
    values = [s.value for s in spreads]
    if not np.isfinite(values).all():
        raise Undefined("the ratio of nothing to nothing has no value: it is 0 in every group")
    decisive = int(np.argmin(values) if ratio else np.argmax(values))
    rows = sum(f[0].rows for f in each.values())
    return replace(spreads[decisive], rows=rows), decisive


def _furthest(figures: list[Figure], ratio: bool) -> Figure:
    """The highest less the lowest, or the lowest divided by the highest."""
    values = [f.value for f in figures]
    highest = int(np.argmax(values))
    lowest = len(values) - 1 - int(np.argmin(values[::-1]))  # another one, where all are equal
    return combined(_quotient if ratio else np.subtract.reduce, [figures[highest], figures[lowest]])


def _quotient(pair: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(pair[0] == 0, np.nan, pair[1] / pair[0])


def _within(interval: tuple[float, float] | None, ratio: bool) -> tuple[float, float] | None:
    """As far as a gap, which is never below 0, or a ratio, never above 1, can reach."""
    if interval is None:
        return None
    low, high = interval
    return (low, min(high, 1.0)) if ratio else (max(low, 0.0), high)


def _metrics(metric: metrics.Metric) -> tuple[metrics.Metric, ...]:
    if isinstance(metric, Disparity):
        return tuple(metrics.find(name) for name in metric.of)
    return (metric,)


def _word(goal: Goal, metric: metrics.Metric) -> str:
    return metric.spread if isinstance(metric, Disparity) else goal.spread


def _spread(goal: Goal, metric: metrics.Metric) -> Callable[[Floats], Floats]:
    return _ratio if _word(goal, metric) == "ratio" else _gap


def _widest(goal: Goal, metric: metrics.Metric) -> Callable[[Floats], Floats]:
    lowest = _word(goal, metric) == "ratio"
    return lambda values: values.min(axis=0) if lowest else values.max(axis=0)


def _gap(values: Floats) -> Floats:
    return np.asarray(np.ptp(values, axis=0))


def _ratio(values: Floats) -> Floats:
    highest = values.max(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(highest == 0, np.nan, values.min(axis=0) / highest)


def _row(label: str, judged: Judged, joint: tuple[float, float]) -> dict[str, Any]:
    return {
        "group": label,
        "rows": judged.rows,
        "value": judged.value,
        "interval": judged.interval,
        "joint_interval": joint,
        "passed": judged.passed,
        "reason": judged.reason,
    }


def _missing(label: str, why: str) -> dict[str, Any]:
    return {
        "group": label,
        "rows": None,
        "value": None,
        "interval": None,
        "joint_interval": None,
        "passed": False,
        "reason": f"Not measured: {why}.",
    }


def _groups(found: dict[str, Judged]) -> str:
    return f"{len(found)} groups" if len(found) > 1 else "the one group"


def _list(unmeasured: dict[str, str]) -> str:
    return "; ".join(f"{label} ({reason})" for label, reason in unmeasured.items())


def _and_not_measured(unmeasured: dict[str, str]) -> str:
    return f" Not measured, so failed: {_list(unmeasured)}." if unmeasured else ""
