"""The view of a verdict: the answer, the data, each goal with its evidence, the curves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mlops_magics.doors.views import figures
from mlops_magics.doors.views.card import (
    Axis,
    Card,
    Fold,
    Meter,
    Panel,
    Ranges,
    Status,
    Table,
    moment,
    short,
    show,
)
from mlops_magics.records import DataCheck, GoalResult, Verdict

_CHECKS = {
    "passed": Status("passed", "good"),
    "warned": Status("warned", "warn"),
    "failed": Status("failed", "bad"),
    "waived": Status("waived", "warn"),
}
#: The picture of a goal reaches so far beyond its outermost mark, as a share of their distance.
_ROOM = 0.15
#: So much of what was not met is told in a paragraph; the tables have all.
_TOLD = 3


def passed(yes: bool) -> Status:
    """How a goal, or all of them, came out."""
    return Status("passed", "good") if yes else Status("failed", "bad")


def verdict(record: Verdict) -> Card:
    """The verdict first, then the data, then each goal with its figure, interval and reason."""
    curves = figures.over_each_other(record, "On these rows")
    return Card(
        "Verdict",
        record.model,
        passed(record.passed),
        f"{lead(record)}. {why(record)}".rstrip(),
        facts(record),
        (checks(record.checks), goals(record.goals, "Goals" if record.checks else "")),
        record.warnings,
        f"run {record.run_id}" if record.run_id else "",
        below=[*groups(record.goals), *(panel for panel in curves if panel.figures)],
    )


def facts(record: Verdict) -> dict[str, Any]:
    """What the verdict rests on."""
    return {
        "data": f"{record.dataset or 'given'}, {show(record.rows)} unseen rows",
        **({"compared with": _compared(record)} if record.against else {}),
        **({"gates": record.gates} if record.gates else {}),
        **({"judged": moment(record.at)} if record.at else {}),
        **({"data content": short(record.dataset_digest)} if record.dataset_digest else {}),
        **({"model content": short(record.model_digest)} if record.model_digest else {}),
        **({"machine": record.machine} if record.machine else {}),
        **({"tests": record.multiplicity} if record.multiplicity else {}),
    }


def why(record: Verdict) -> str:
    """What was not met, in a paragraph; empty for a verdict that is passed."""
    missed = [f"{g.text}: {g.reason}" for g in record.goals if not g.passed]
    held = [f"{c.name}: {c.found}" for c in record.checks if c.status == "failed"]
    shown = [*missed, *held]
    more = f" And {len(shown) - _TOLD} more." if shown[_TOLD:] else ""
    return f"Not met: {'; '.join(s.rstrip('.') for s in shown[:_TOLD])}.{more}" if shown else ""


def lead(record: Verdict) -> str:
    """The verdict in one sentence."""
    count = len(record.goals)
    missed = sum(not g.passed for g in record.goals)
    said = (
        f"{count - missed} of {count} goals met"
        if missed
        else f"{f'all {count} goals' if count != 1 else 'the one goal is'} met"
    )
    held = [c.name for c in record.checks if c.status == "failed"]
    if held:
        many = "checks of the data failed" if len(held) > 1 else "check of the data failed"
        said += f"; {len(held)} {many}: {', '.join(held)}"
    waived = [f"{c.name} (by {c.waived_by})" for c in record.checks if c.status == "waived"]
    return said + (f"; waived: {', '.join(waived)}" if waived else "")


def _compared(record: Verdict) -> str:
    name = f"{record.vs} " if record.vs and record.vs != record.against else ""
    return f"{name}{record.against}"


def checks(found: Iterable[DataCheck]) -> Table:
    """Each check of the data, and what to do about it."""
    rows = [
        (
            _CHECKS[c.status],
            c.name,
            c.found + (f" (waived by {c.waived_by})" if c.waived_by else ""),
            c.remedy,
        )
        for c in found
    ]
    return _without_empty(("", "data", "found", "what to do"), rows, "Data checks")


def goals(results: Sequence[GoalResult], title: str = "") -> Table:
    """Each goal with its figure, interval, bound, picture and reason."""
    rows = [
        (
            passed(g.passed),
            g.text + ("  (gate)" if g.gate else ""),
            _figure(g.value, g.unit),
            _interval(g),
            _bound(g),
            _picture(g),
            _figure(g.champion, g.unit),
            _figure(g.baseline, g.unit),
        )
        for g in results
    ]
    columns = ("", "goal", "measured", "95 % interval", "bound", "", "champion", "baseline")
    found = _without_empty(columns, rows, title)
    return replace(found, notes=[g.reason for g in results])


def _without_empty(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str) -> Table:
    """The columns in which any row has something."""
    used = [i for i in range(len(columns)) if any(row[i] not in ("", None, "–") for row in rows)]
    return Table([columns[i] for i in used], [[row[i] for i in used] for row in rows], title)


def _figure(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{show(value)}\u00a0{unit}".rstrip()


def _is_difference(goal: GoalResult) -> bool:
    """Whether it was judged on its distance from a reference, of which the interval is."""
    return _reference(goal) is not None


def _reference(goal: GoalResult) -> float | None:
    for word, value in (("champion", goal.champion), ("baseline", goal.baseline)):
        if f" {word}" in goal.text.partition("#")[0]:
            return value
    return None


def _interval(goal: GoalResult) -> str:
    if not goal.interval:
        return "–"
    sign = "Δ " if _is_difference(goal) else ""
    # Where it is too long for its column it breaks after the dots, not within a number.
    low, high = (show(round(end)) if abs(end) >= 1e5 else show(end) for end in goal.interval)
    return f"{sign}{low} …".replace(" ", "\u00a0") + f" {high}"


def _bound(goal: GoalResult) -> str:
    if goal.bound is None:
        return "–"
    return f"{goal.comparator}\u00a0{_figure(goal.bound, goal.unit)}".strip()


def _picture(goal: GoalResult) -> Any:
    """Value, interval and bound on a scale of their own; of a comparison, the difference."""
    if goal.value is None or goal.bound is None:
        return ""
    zero = _reference(goal) or 0.0
    value, bound = goal.value - zero, goal.bound - zero
    marks = [value, bound, *(goal.interval or ())]
    room = (max(marks) - min(marks)) * _ROOM or abs(bound) * _ROOM or 1.0
    return Meter(
        value,
        bound,
        goal.interval,
        min(marks) - room,
        max(marks) + room,
        goal.comparator.startswith(">"),
    )


def groups(results: Iterable[GoalResult]) -> list[Fold]:
    """What goals ``by`` a column found in each group."""
    folds = []
    for goal in results:
        if not goal.groups:
            continue
        rows = [
            (
                str(g.get("group", "")),
                g.get("value"),
                _pair(g.get("interval")),
                _of_group(g),
            )
            for g in goal.groups
        ]
        plain = _reference(goal) is None and " gap " not in goal.text and " ratio " not in goal.text
        unit = f" ({goal.unit})" if goal.unit else ""
        drawn = Ranges(
            "",
            Axis(f"{goal.metric or goal.text}{unit}"),
            rows,
            goal.bound if plain else None,
            goal.comparator.startswith(">") if plain and goal.comparator else None,
        )
        table = Table(
            ("", "group", "rows", "value", "95 % interval", "why"),
            [
                (
                    status,
                    label,
                    g.get("rows"),
                    _figure(value, goal.unit),
                    f"{show(pair[0])} … {show(pair[1])}" if pair else "–",
                    g.get("reason", ""),
                )
                for (label, value, pair, status), g in zip(rows, goal.groups, strict=True)
            ],
        )
        title = f"{goal.text}: each of {len(rows)} groups"
        pictures = [Panel("", [drawn])] if any(r[1] is not None for r in rows) else []
        folds.append(Fold(title, [*pictures, table], passed(goal.passed), not goal.passed))
    return folds


def _of_group(group: Mapping[str, Any]) -> Status:
    """How one group came out; of those that are held against each other only all are judged."""
    if group.get("value") is None:
        return Status("not measured", "bad")
    return passed(group["passed"]) if group.get("passed") is not None else Status("measured")


def _pair(interval: Any) -> tuple[float, float] | None:
    if not interval or any(v is None for v in interval):
        return None
    low, high = interval
    return float(low), float(high)
