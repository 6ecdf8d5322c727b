"""Goals and a subject → what was measured for each, and whether it passed.

Rules:

- What cannot be measured counts as failed, and the reason says why.
- A goal beside ``champion`` holds if it does with 95 % confidence (one-sided, by paired bootstrap
  on the same rows): ``>= champion - 0.005`` is a test of not being worse by more than 0.005.
- Where there is no champion yet, there is nothing to be worse than: such a goal passes, provided
  that the model itself could be measured.
- ``with 95%`` judges the bound of the interval in place of the value.
- ``by`` asks it of every group; see `mlops_magics.goals.groups`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mlops_magics.errors import MlopsError
from mlops_magics.goals import answers, groups, metrics, statistics, units
from mlops_magics.goals.answers import Bootstrap, Judged, not_measured
from mlops_magics.goals.goal import EVERY, Goal
from mlops_magics.goals.measurements import Measurement
from mlops_magics.goals.samples import Sample, Undefined
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
    resamples: int = statistics.RESAMPLES,
) -> tuple[GoalResult, ...]:
    """Judge a subject against goals.

    Parameters
    ----------
    champion, baseline : Subject, optional
        Answers to the same rows. A champion that exists but can't be measured is given with its
        `problem`; ``None`` means that there is none.
    allow_small : bool
        Judge groups of under 30 rows too, and leave out empty ones.
    seed : int
        Of the resamples; the same seed gives the same verdict.
    """
    against = {"champion": champion, "baseline": baseline}
    bootstrap = Bootstrap(resamples=resamples, seed=seed)
    return tuple(
        answers.result(
            goal, _judge(goal, subject, against.get(goal.reference), allow_small, bootstrap)
        )
        for goal in goals
    )


def _judge(
    goal: Goal, subject: Subject, reference: Subject | None, allow_small: bool, bootstrap: Bootstrap
) -> Judged:
    metric = metrics.find(goal.metric)
    try:
        if reference is None and goal.reference == "champion":
            return _without_champion(goal, subject, metric)
        if reference is None and goal.reference:
            raise Undefined("there is no training data to make a baseline from")
        if isinstance(metric, Measurement) or _is_fact(goal, subject):
            return _fact(goal, metric, subject, reference)
        mine, its = subject.answers(), None if reference is None else _of(reference)
        against = _called(goal, reference)
        if goal.by is None:
            return answers.on_rows(goal, mine, its, bootstrap, against)
        if subject.features is None:
            raise Undefined(f"the column {goal.by!r} is not known for these rows")
        return groups.judge(
            goal,
            mine,
            its,
            subject.features,
            allow_small=allow_small,
            bootstrap=bootstrap,
            against=against,
        )
    except Undefined as error:
        return not_measured(str(error))
    except MlopsError:
        raise
    except Exception as error:  # a plugin's metric is someone else's code
        return not_measured(f"{metric.name} raised {type(error).__name__}: {error}")


def _is_fact(goal: Goal, subject: Subject) -> bool:
    """Whether a metric of labels was measured before, as a monitoring record has it."""
    plain = not (goal.reference or goal.by or goal.level or goal.params)
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


def _called(goal: Goal, reference: Subject | None) -> str:
    return f"the {goal.reference} {reference.name}".strip() if reference else ""


def _of(reference: Subject) -> Sample:
    try:
        return reference.answers()
    except Undefined as error:
        raise Undefined(f"{reference.name} can't be compared with: {error}") from error


def _without_champion(goal: Goal, subject: Subject, metric: metrics.Metric) -> Judged:
    """There is none: passes if the model itself can be measured."""
    if isinstance(metric, Measurement):
        value: float | None = metric.measured(subject, goal.column, dict(goal.params))[0]
    else:
        rows = subject.answers()
        value = None if goal.by else metric.value(rows, **dict(goal.params))
    return Judged(passed=True, value=value, reason="There is no champion yet to compare with.")


def _fact(
    goal: Goal, metric: metrics.Metric, subject: Subject, reference: Subject | None
) -> Judged:
    if goal.column == EVERY:
        return _every_column(goal, metric, subject)
    value, how = _measured(goal, metric, subject)
    bound = goal.bound
    beside = ""
    if reference is not None:
        its, _ = _measured(goal, metric, reference)
        bound = its + goal.bound
        beside = f", {units.show(its, goal.unit)} being {_called(goal, reference)}'s"
    passed = goal.holds(value, bound)
    reason = (
        f"{units.show(value, goal.unit)}{f' ({how})' if how else ''} "
        f"{answers.phrase(goal, passed)} {units.show(bound, goal.unit)}{beside}."
    )
    return Judged(
        passed=passed, reason=reason, value=value, slack=answers.slack(goal, value, bound)
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
        slack=answers.slack(goal, value),
    )
