"""Goals and a subject → what was measured for each, and whether it passed.

Rules:

- What cannot be measured counts as failed, and the reason says why.
- A goal beside ``champion`` holds if it does with 95 % confidence (one-sided, by paired bootstrap
  on the same rows): ``>= champion - 0.005`` is a test of not being worse by more than 0.005. Where
  both answer alike the difference is exactly 0, so ``>= champion`` holds and ``> champion`` fails.
- Where there is no champion yet, there is nothing to be worse than: such a goal passes, provided
  that the model itself could be measured.
- ``with 95%`` judges the bound of the interval in place of the value.
- ``by`` asks it of every group; see `mlops_magics.goals.groups`.
- ``under`` asks the model again, with inputs that were disturbed; ``drop`` is what it loses by it.

A verdict passes if all goals hold. However many of them are tests, each at 5 %, the risk that it
passes although one of them does not hold stays at 5 % (the intersection-union test of Berger,
1982): nothing is corrected for that. Who picks a single goal out of many and says that *this* one
holds needs its adjusted p (Holm over the tests of the verdict), which stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mlops_magics.errors import MlopsError
from mlops_magics.goals import answers, groups, metrics, units
from mlops_magics.goals.answers import Judged, not_measured
from mlops_magics.goals.bench import Bench
from mlops_magics.goals.figures import holm
from mlops_magics.goals.goal import EVERY, Goal
from mlops_magics.goals.measurements import Measurement
from mlops_magics.goals.parties import Party
from mlops_magics.goals.resampling import LOOPED, RESAMPLES
from mlops_magics.goals.samples import Undefined
from mlops_magics.goals.subject import Subject
from mlops_magics.records import GoalResult


def judge(
    goals: Iterable[Goal],
    subject: Subject,
    champion: Subject | None = None,
    baseline: Subject | None = None,
    *,
    allow_small: bool = False,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> tuple[GoalResult, ...]:
    """Judge a subject against goals.

    Parameters
    ----------
    champion, baseline : Subject, optional
        Answers to the same rows. A champion that exists but can't be measured is given with its
        `problem`; ``None`` means that there is none. Their figures stand beside every goal on
        labels, whether it names them or not.
    allow_small : bool
        Judge groups of under 30 rows too, and leave out empty ones.
    seed : int
        Of the resamples; the same seed gives the same verdict.
    """
    bench = Bench(resamples, seed)
    others = {
        role: Party(role, its)
        for role, its in (("champion", champion), ("baseline", baseline))
        if its is not None
    }
    results = [_result(goal, Party("", subject), others, allow_small, bench) for goal in goals]
    tested = [i for i, r in enumerate(results) if r.p is not None and np.isfinite(r.p)]
    adjusted = holm([float(results[i].p or 0.0) for i in tested])
    for i, p in zip(tested, adjusted, strict=True):
        results[i] = replace(results[i], adjusted_p=p)
    return tuple(results)


def multiplicity(results: Sequence[GoalResult]) -> str:
    """How the number of tests was accounted for, in a sentence or two; empty without tests."""
    tests = sum(r.adjusted_p is not None for r in results)
    parts = []
    if tests:
        counted = "One goal was" if tests == 1 else f"{tests} goals were"
        parts.append(f"{counted} judged by a test.")
    if tests > 1:
        parts.append(
            "The verdict passes only if all hold, so its own risk of passing wrongly is that of "
            "one test and needs no correction; for a claim about a single one of them read its "
            f"adjusted p (Holm, {tests} tests)."
        )
    if most := max((len(r.groups) for r in results), default=0):
        parts.append(
            f"With up to {most} groups the worst one looks worse than it is: the joint intervals "
            "(Bonferroni) hold for all groups at once."
        )
    return " ".join(parts)


def _result(
    goal: Goal, subject: Party, others: Mapping[str, Party], allow_small: bool, bench: Bench
) -> GoalResult:
    metric = metrics.find(goal.metric)
    judged = _judge(goal, metric, subject, others.get(goal.reference), allow_small, bench)
    found = answers.result(goal, judged)
    if not metric.has_interval:
        plain = tuple({**g, "interval": None, "joint_interval": None} for g in found.groups)
        found = replace(found, interval=None, groups=plain)
    beside = {
        role: _beside(goal, metric, subject, party, judged, allow_small)
        for role, party in others.items()
    }
    return replace(found, champion=beside.get("champion"), baseline=beside.get("baseline"))


def _judge(
    goal: Goal,
    metric: metrics.Metric,
    subject: Party,
    reference: Party | None,
    allow_small: bool,
    bench: Bench,
) -> Judged:
    try:
        if reference is None and goal.reference == "champion":
            return _without_champion(goal, metric, subject)
        if reference is None and goal.reference:
            raise Undefined("there is no training data to make a baseline from")
        if isinstance(metric, Measurement) or _is_fact(goal, subject.subject):
            return _fact(goal, metric, subject.subject, reference)
        if goal.by is not None:
            return groups.judge(goal, metric, subject, reference, allow_small, bench)
        mine = subject.figure(goal, metric, bench)
        if reference is None:
            judged = answers.alone(goal, mine)
        else:
            its = reference.figure(goal, metric, bench)
            judged = answers.compared(goal, mine, its, reference.called)
        if len(mine.drawn) < min(LOOPED, bench.resamples):
            note = f" Its interval rests on {len(mine.drawn)} resamples, as it takes its time."
            judged = replace(judged, reason=judged.reason + note)
        return judged
    except Undefined as error:
        return not_measured(str(error))
    except MlopsError:
        raise
    except Exception as error:  # a plugin's metric is someone else's code
        first = (str(error).splitlines() or [""])[0]
        return not_measured(f"{metric.name} raised {type(error).__name__}: {first}")


def _beside(
    goal: Goal,
    metric: metrics.Metric,
    subject: Party,
    other: Party,
    judged: Judged,
    allow_small: bool,
) -> float | None:
    """The other's figure for the same goal on the same rows, in the goal's unit, if it has one."""
    if not metric.has_reference:
        return None
    try:
        if isinstance(metric, Measurement):
            value = other.subject.fact(metric.key(goal.column), metric.name)
        elif goal.under is not None or judged.value is None or other.subject.sample is None:
            return None
        elif goal.by is not None:
            value = groups.value(goal, metric, subject, other, judged.place, allow_small)
        else:
            params = dict(goal.params)
            value = metric.value(other.answers(metric, params), **params)
    except Exception:  # it stands beside; what is judged says what is wrong
        return None
    return float(units.from_base(value, goal.unit)) if np.isfinite(value) else None


def _is_fact(goal: Goal, subject: Subject) -> bool:
    """Whether a metric of labels was measured before, as a monitoring record has it."""
    plain = not (goal.reference or goal.by or goal.level or goal.params or goal.under)
    return subject.sample is None and plain and goal.metric in subject.facts


def _measured(goal: Goal, metric: metrics.Metric, subject: Subject) -> tuple[float, str]:
    """A fact and how it came about.

    Raises
    ------
    Undefined
        If it is not known.
    """
    if isinstance(metric, Measurement):
        return metric.measured(subject, goal.column, dict(goal.params))
    return subject.fact(metric.name, metric.name), ""


def _without_champion(goal: Goal, metric: metrics.Metric, subject: Party) -> Judged:
    """There is none: passes if the model itself can be measured."""
    rows = None
    if isinstance(metric, Measurement):
        value: float | None = _measured(goal, metric, subject.subject)[0]
    else:
        params = dict(goal.params)
        asked = subject.answers(metric, params)
        rows = asked.rows
        value = None if goal.by or goal.under else metric.value(asked, **params)
    reason = "There is no champion yet to compare with."
    return Judged(passed=True, value=value, rows=rows, reason=reason)


def _fact(goal: Goal, metric: metrics.Metric, subject: Subject, reference: Party | None) -> Judged:
    if goal.column == EVERY:
        return _every_column(goal, metric, subject)
    value, how = _measured(goal, metric, subject)
    bound = goal.bound
    beside = ""
    if reference is not None:
        its, _ = _measured(goal, metric, reference.subject)
        bound = its + goal.bound
        beside = f", {units.show(its, goal.unit)} being {reference.called}'s"
    passed = goal.holds(value, bound)
    reason = (
        f"{units.show(value, goal.unit)}{f' ({how})' if how else ''} "
        f"{answers.phrase(goal, passed)} {units.show(bound, goal.unit)}{beside}."
    )
    key = metric.key(goal.column) if isinstance(metric, Measurement) else metric.name
    return Judged(
        passed=passed,
        reason=reason,
        value=value,
        interval=subject.intervals.get(key),
        bound=bound,
        slack=answers.slack(goal, value, bound),
    )


def _every_column(goal: Goal, metric: metrics.Metric, subject: Subject) -> Judged:
    prefix = f"{metric.name}("
    keys = [k for k in (*subject.facts, *subject.unknown) if k.startswith(prefix)]
    if not keys:
        raise Undefined(subject.unknown.get(metric.name, f"{metric.name} of no column is known"))
    if all(key not in subject.facts for key in keys):
        raise Undefined(subject.unknown[keys[0]])  # no rows, or too few: the same for all
    each = {
        key.removeprefix(prefix).removesuffix(")"): _one(goal, metric, key, subject) for key in keys
    }
    failed = [name for name, judged in each.items() if not judged.passed]
    worst = min(each, key=lambda name: (each[name].value is not None, each[name].slack))
    summary = (
        f"{len(failed)} of {len(each)} columns fail; the worst is"
        if failed
        else f"Holds in all {len(each)} columns; the most in"
    )
    reason = f"{summary} {worst}: {each[worst].reason}"
    return replace(each[worst], passed=not failed, reason=reason)


def _one(goal: Goal, metric: metrics.Metric, key: str, subject: Subject) -> Judged:
    try:
        value = subject.fact(key, metric.name)
    except Undefined as error:
        return not_measured(str(error))
    passed = goal.holds(value)
    shown, bound = units.show(value, goal.unit), units.show(goal.bound, goal.unit)
    return Judged(
        passed=passed,
        reason=f"{shown} {answers.phrase(goal, passed)} {bound}.",
        value=value,
        bound=goal.bound,
        slack=answers.slack(goal, value),
    )
