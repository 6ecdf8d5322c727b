"""A verdict part by part, for a report that says something between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mlops_magics.doors.views import as_html, as_text, figures, verdicts
from mlops_magics.doors.views.card import Axis, Card, Panel, Ranges, Status, Table, show
from mlops_magics.errors import UnknownName
from mlops_magics.records import Verdict


@dataclass(frozen=True)
class Part:
    """A card that a notebook displays."""

    card: Card

    def __str__(self) -> str:
        return as_text.render(self.card)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return as_html.render(self.card)


def part(record: Verdict, name: str) -> Part:
    """One part of a verdict.

    Raises
    ------
    UnknownName
        If there is no part of that name.
    """
    if name not in _PARTS:
        raise UnknownName("part of a verdict", name, _PARTS)
    return Part(_PARTS[name](record))


def _answer(record: Verdict) -> Card:
    return Card(
        "Verdict",
        record.model,
        verdicts.passed(record.passed),
        f"{_sentence(verdicts.lead(record))} {verdicts.why(record)}".rstrip(),
        verdicts.facts(record),
        notes=record.warnings,
        small=f"run {record.run_id}" if record.run_id else "",
        big=True,
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _goals(record: Verdict) -> Card:
    met = sum(g.passed for g in record.goals)
    title = f"{met} of {len(record.goals)} met"
    return Card("Goals", title, tables=(verdicts.goals(record.goals),))


def _data(record: Verdict) -> Card:
    wrong = sum(c.status in ("failed", "waived") for c in record.checks)
    title = f"{show(record.rows)} rows of {record.dataset or 'given data'}"
    lead = "" if record.checks else "Nothing was checked."
    status = Status("well", "good") if record.checks and not wrong else None
    return Card("Data", title, status, lead, tables=(verdicts.checks(record.checks),))


def _models(record: Verdict) -> Card:
    """Each metric of the goals once: the model's figure, the champion's and the baseline's."""
    rows, drawn = [], []
    seen: set[tuple[str, float | None]] = set()
    for goal in record.goals:
        beside = goal.champion is not None or goal.baseline is not None
        if not beside or (goal.metric, goal.value) in seen:
            continue
        seen.add((goal.metric, goal.value))
        unit = f" ({goal.unit})" if goal.unit else ""
        rows.append((f"{goal.metric}{unit}", goal.value, goal.champion, goal.baseline))
        drawn.append(
            Ranges(
                f"{goal.metric}{unit}",
                Axis(""),
                [
                    (label, value, None, Status("", "plain"))
                    for label, value in (
                        (record.model, goal.value),
                        (f"champion {record.against or ''}".strip(), goal.champion),
                        ("knows nothing", goal.baseline),
                    )
                    if value is not None
                ],
            )
        )
    lead = (
        "The baseline knows how frequent each outcome was in training, and nothing of the features."
        if rows
        else "No figure of the goals has one beside it."
    )
    table = Table(("metric", record.model, "champion", "baseline"), rows)
    panels = [Panel("", drawn)] if drawn else []
    return Card("Models", record.against or "no champion", None, lead, {}, (table,), below=panels)


def _groups(record: Verdict) -> Card:
    folds = [replace(fold, opened=True) for fold in verdicts.groups(record.goals)]
    lead = "" if folds else "No goal was asked by group."
    title = f"{len(folds)} goal{'s' if folds[1:] else ''}" if folds else ""
    return Card("Groups", title, None, lead, below=folds)


def _curves(record: Verdict) -> Card:
    panels = [p for p in figures.over_each_other(record, "On these rows") if p.figures]
    lead = "" if panels else "There are no curves of these answers."
    return Card("Curves", record.model, None, lead, below=panels)


_PARTS: dict[str, Callable[[Verdict], Card]] = {
    "answer": _answer,
    "goals": _goals,
    "data": _data,
    "models": _models,
    "groups": _groups,
    "curves": _curves,
}
