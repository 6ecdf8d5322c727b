"""Goals by group: every group judged, or the gap between them.

All groups must pass. No correction for their number is needed for that: a claim that every one
of several parts holds, each tested at the same level, holds at that level (the
intersection-union test of Berger, 1982). The gap is the largest value less the smallest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mlops_magics.errors import did_you_mean
from mlops_magics.goals import answers, metrics, statistics, units
from mlops_magics.goals.answers import Bootstrap, Judged
from mlops_magics.goals.goal import Goal
from mlops_magics.goals.samples import Array, Sample, Undefined

#: A group of fewer rows says too little to be judged.
SMALLEST = 30
#: A column with more values than this names no groups.
MOST = 50


@dataclass(frozen=True)
class Group:
    """The rows that share a value; ``label`` as it is shown."""

    label: str
    rows: Array


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


def judge(
    goal: Goal,
    rows: Sample,
    reference: Sample | None,
    features: pd.DataFrame,
    *,
    allow_small: bool,
    bootstrap: Bootstrap,
    against: str,
) -> Judged:
    """Judge a goal that has ``by``."""
    groups = split(features, goal.by or "")
    small = [g for g in groups if len(g.rows) < (1 if allow_small else SMALLEST)]
    large = [g for g in groups if g not in small]
    unmeasured = {g.label: _too_small(g) for g in small if not (allow_small and not len(g.rows))}
    left_out = [g.label for g in small if allow_small]
    decide = _gap if goal.spread == "gap" else _every
    judged = decide(goal, rows, reference, large, unmeasured, bootstrap, against)
    if left_out:
        note = f" Left out, being empty: {', '.join(left_out)}."
        judged = Judged(**{**vars(judged), "reason": judged.reason + note})
    return judged


def _too_small(group: Group) -> str:
    if not len(group.rows):
        return "no rows"
    count = "1 row" if len(group.rows) == 1 else f"{len(group.rows)} rows"
    return f"{count}, too small (under {SMALLEST})"


def _every(
    goal: Goal,
    rows: Sample,
    reference: Sample | None,
    groups: list[Group],
    unmeasured: dict[str, str],
    bootstrap: Bootstrap,
    against: str,
) -> Judged:
    found: dict[str, Judged] = {}
    for group, stream in _streams(groups, bootstrap):
        mine = rows.take(group.rows)
        its = None if reference is None else reference.take(group.rows)
        try:
            found[group.label] = answers.on_rows(goal, mine, its, stream, against)
        except Undefined as error:
            unmeasured[group.label] = str(error)
    if not found:
        return answers.not_measured(_list(unmeasured) or "there are no groups")
    sizes = {g.label: len(g.rows) for g in groups}
    worst = min(found, key=lambda label: found[label].slack)
    failed = [label for label, j in found.items() if not j.passed]
    what = f"{worst} ({sizes[worst]} rows): {found[worst].reason}"
    if failed:
        reason = f"{len(failed)} of {len(found)} groups fail; the worst is {what}"
    else:
        reason = f"Holds in {'each of ' if len(found) > 1 else ''}{_groups(found)}; least in {what}"
    if unmeasured:
        reason += f" Not measured, so failed: {_list(unmeasured)}."
    return Judged(
        passed=not failed and not unmeasured,
        reason=reason,
        value=found[worst].value,
        interval=found[worst].interval,
        slack=found[worst].slack,
    )


def _gap(
    goal: Goal,
    rows: Sample,
    reference: Sample | None,
    groups: list[Group],
    unmeasured: dict[str, str],
    bootstrap: Bootstrap,
    against: str,
) -> Judged:
    metric, params = metrics.find(goal.metric), dict(goal.params)
    samples = [rows] if reference is None else [rows, reference]
    values: dict[str, list[float]] = {}
    drawn = []
    for group, stream in _streams(groups, bootstrap):
        parts = [s.take(group.rows) for s in samples]
        try:
            values[group.label] = [metric.value(p, **params) for p in parts]
        except Undefined as error:
            values.pop(group.label, None)
            unmeasured[group.label] = str(error)
            continue
        drawn.append(
            statistics.replicates(
                [metric.statistic(p, **params) for p in parts],
                len(group.rows),
                parts[0].strata,
                resamples=stream.resamples,
                seed=stream.seed,
            )
        )
    if len(values) < 2:
        what = f"{_list(unmeasured)}" if unmeasured else f"{goal.by} has one value only"
        return answers.not_measured(f"a gap needs two groups; {what}")
    gaps = np.ptp(np.stack(drawn), axis=0)
    judged = answers.figure(goal, list(np.ptp(list(values.values()), axis=0)), gaps, against)
    highest = max(values, key=lambda label: values[label][0])
    lowest = min(values, key=lambda label: values[label][0])
    high, low = (units.show(values[label][0], goal.unit) for label in (highest, lowest))
    reason = f"{judged.reason} Highest in {highest} ({high}), lowest in {lowest} ({low})."
    if unmeasured:
        reason += f" Not measured, so failed: {_list(unmeasured)}."
    passed = judged.passed and not unmeasured
    return Judged(**{**vars(judged), "passed": passed, "reason": reason})


def _streams(groups: list[Group], bootstrap: Bootstrap) -> Iterator[tuple[Group, Bootstrap]]:
    """Each group with random numbers of its own: groups are drawn independently."""
    base = [bootstrap.seed] if isinstance(bootstrap.seed, int) else list(bootstrap.seed)
    for at, group in enumerate(groups):
        yield group, Bootstrap(resamples=bootstrap.resamples, seed=[*base, at])


def _groups(found: dict[str, Judged]) -> str:
    return f"{len(found)} groups" if len(found) > 1 else "the one group"


def _list(unmeasured: dict[str, str]) -> str:
    return "; ".join(f"{label} ({reason})" for label, reason in unmeasured.items())
