"""Goals by group: every group judged, or how far the groups lie apart.

All groups must pass. No correction for their number is needed for that: a claim that every one
of several parts holds, each tested at the same level, holds at that level (the
intersection-union test of Berger, 1982).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mlops_magics.goals import answers, metrics, partition, spreads
from mlops_magics.goals.answers import Judged
from mlops_magics.goals.bench import Bench
from mlops_magics.goals.figures import LEVEL
from mlops_magics.goals.goal import Goal
from mlops_magics.goals.parties import Party
from mlops_magics.goals.partition import Group, Split
from mlops_magics.goals.samples import Undefined


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
    parts = partition.parts(goal, metric, subject, allow_small)
    way = spreads.judge if spreads.are_asked(goal, metric) else _every
    judged = way(goal, metric, subject, reference, parts, bench)
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
    parts = partition.parts(goal, metric, subject, allow_small)
    params = dict(goal.params)

    def of(one: metrics.Metric, group: Group) -> float:
        return one.value(other.answers(one, params).take(group.rows), **params)

    if place:
        return of(metric, next(g for g in parts.groups if g.label == place))
    each = [[of(one, g) for g in parts.groups] for one in spreads.parts_of(metric)]
    return spreads.value(goal, metric, each)


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
        return answers.not_measured(partition.listed(unmeasured) or "there are no groups")
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
        reason=reason + partition.and_not_measured(unmeasured),
        # That every group holds is as doubtful as the most doubtful one.
        p=max(ps) if ps and not unmeasured else None,
        place=worst,
        groups=(
            *(_row(label, j, joint[label]) for label, j in found.items()),
            *(partition.missing(label, why) for label, why in unmeasured.items()),
        ),
    )


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


def _groups(found: dict[str, Judged]) -> str:
    return f"{len(found)} groups" if len(found) > 1 else "the one group"
