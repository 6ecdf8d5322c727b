"""How far groups lie apart: the gap of their figures, or their ratio.

``gap`` is the largest value less the smallest, ``ratio`` the smallest divided by the largest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mlops_magics.goals import answers, metrics, partition, units
from mlops_magics.goals.answers import Judged
from mlops_magics.goals.bench import Bench
from mlops_magics.goals.fairness import Disparity
from mlops_magics.goals.figures import LEVEL, Figure, combined
from mlops_magics.goals.goal import Goal
from mlops_magics.goals.parties import Party
from mlops_magics.goals.partition import Split
from mlops_magics.goals.samples import Floats, Undefined


def are_asked(goal: Goal, metric: metrics.Metric) -> bool:
    """Whether a goal is about what lies between groups."""
    return isinstance(metric, Disparity) or goal.spread in ("gap", "ratio")


def judge(
    goal: Goal,
    metric: metrics.Metric,
    subject: Party,
    reference: Party | None,
    parts: Split,
    bench: Bench,
) -> Judged:
    """Judge how far the groups lie apart."""
    unmeasured = dict(parts.unmeasured)
    each: dict[str, list[Figure]] = {}
    its: dict[str, list[Figure]] = {}
    for group in parts.groups:
        at = (bench, group.label, group.rows)
        try:
            each[group.label] = [subject.figure(goal, m, *at) for m in parts_of(metric)]
            if reference is not None:
                its[group.label] = [reference.figure(goal, m, *at) for m in parts_of(metric)]
        except Undefined as error:
            each.pop(group.label, None)
            unmeasured[group.label] = str(error)
    if len(each) < 2:
        what = partition.listed(unmeasured) if unmeasured else f"{goal.by} has one value only"
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
    of = parts_of(metric)[decisive].name
    named = f" {of}:" if isinstance(metric, Disparity) else ""
    level = 1 - (1 - LEVEL) / len(each)
    return replace(
        judged,
        passed=judged.passed and not unmeasured,
        reason=f"{judged.reason}{named} Highest in {highest} ({high}), lowest in {lowest} ({low})."
        + partition.and_not_measured(unmeasured),
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
                for m, figure in zip(parts_of(metric), figures, strict=True)
            ),
            *(partition.missing(label, why) for label, why in unmeasured.items()),
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
        for i in range(len(parts_of(metric)))
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


def parts_of(metric: metrics.Metric) -> tuple[metrics.Metric, ...]:
    """The metrics whose values are compared between the groups."""
    if isinstance(metric, Disparity):
        return tuple(metrics.find(name) for name in metric.of)
    return (metric,)


def _word(goal: Goal, metric: metrics.Metric) -> str:
    return metric.spread if isinstance(metric, Disparity) else goal.spread


def value(goal: Goal, metric: metrics.Metric, each: Sequence[Sequence[float]]) -> float:
    """The gap or ratio of plain values: of each metric in `parts_of`, those of the groups."""
    lowest = _word(goal, metric) == "ratio"
    spreads = [(_ratio if lowest else np.ptp)(np.array(values)) for values in each]
    return float(min(spreads) if lowest else max(spreads))


def _ratio(values: Floats) -> float:
    return float(values.min() / values.max()) if values.max() else float("nan")
