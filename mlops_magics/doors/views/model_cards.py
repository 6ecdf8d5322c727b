"""The view of a model card: its facts by section, with the tables and figures of its records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mlops_magics.doors.views import cards, explanations, figures, used, verdicts
from mlops_magics.doors.views.card import (
    Card,
    Diff,
    Fold,
    Panel,
    Said,
    Status,
    Table,
    moment,
    show,
    size,
)
from mlops_magics.records import CardFact, CardSection, CardTable, ModelCard

#: How the model stands → the tone of the word.
_TONES: dict[str, Any] = {"passed": "good", "failed": "bad", "can't be relied on": "bad"}
_FORMS: dict[str, Callable[[Any], str]] = {"bytes": size, "moment": moment, "used": used.line}
#: So many columns of the data are shown at once.
_COLUMNS = 40
#: A column of more values than these may tell of single people: its values are not listed.
_LISTED = 50


def model_card(record: ModelCard) -> Card:
    """What it is, how it stands, and a section for each field of the usual templates."""
    stands = {"passed": "verdict passed", "failed": "verdict failed", "stale": "verdict stale"}
    word = stands.get(record.standing, record.standing)
    notes = []
    if not record.intact:
        notes.append(
            "Files or history are not as they were recorded: see Integrity and history before "
            "anything here is relied on."
        )
    if record.unsaid:
        notes.append(f"Nobody has recorded: {', '.join(record.unsaid)}.")
    return Card(
        "Model card",
        record.model,
        Status(word, _TONES.get(record.standing, "warn")),
        record.lead,
        notes=[*notes, *record.warnings],
        small=f"Made {moment(record.at)} from what is on record, and from nothing else. What is "
        "not recorded is said to be so, with the command that records it.",
        big=True,
        sections=[_section(record, section) for section in record.sections],
    )


def _section(record: ModelCard, section: CardSection) -> Card:
    """The facts, then the tables, then what the record of that name has to show."""
    more = _MORE.get(section.name)
    tables = [_table(t) for t in section.tables if t.rows and not t.long]
    folds = [Fold(t.title, [replace(_table(t), title="")]) for t in section.tables if t.long]
    shown = more(record) if more else Card("", "")
    return Card(
        "",
        section.name,
        lead=shown.lead,
        words=shown.words,
        facts={**shown.facts, **{fact.name: _fact(fact) for fact in section.facts}},
        tables=[*shown.tables, *tables],
        notes=section.notes,
        small=_sources(section),
        below=[*shown.below, *(f for f in folds if f.parts and _has_rows(f))],
    )


def _has_rows(fold: Fold) -> bool:
    return any(part.rows for part in fold.parts if isinstance(part, Table))


def _fact(fact: CardFact) -> Said:
    if fact.trouble:
        known = f"{fact.value}; " if fact.value else ""
        return Said(f"{known}can't be read: {fact.trouble}", fact.source if fact.said else "")
    if not fact.known:
        return Said(command=fact.command)
    form = _FORMS.get(fact.form, show)
    return Said(form(fact.value), fact.source if fact.said else "")


def _sources(section: CardSection) -> str:
    """Where the facts are recorded of which it does not stand beside them."""
    found = [f.source for f in section.facts if f.source and not f.said and (f.known or f.trouble)]
    found += [t.source for t in section.tables if t.source and t.rows]
    unique = list(dict.fromkeys(found))
    return f"Recorded in: {'; '.join(unique)}." if unique else ""


def _table(table: CardTable) -> Table:
    timed = {i for i, name in enumerate(table.columns) if name in ("when", "registered")}
    rows = [
        [moment(v) if i in timed and isinstance(v, str) else v for i, v in enumerate(row)]
        for row in table.rows
    ]
    return Table(table.columns, rows, table.title)


def _evaluation(record: ModelCard) -> Card:
    verdict = record.verdict
    if verdict is None:
        return Card("", "")
    panels: list[Panel | Diff | Fold] = [
        p for p in figures.over_each_other(verdict, "On these rows") if p.figures
    ]
    tables = (verdicts.goals(verdict.goals, "Goals"), verdicts.checks(verdict.checks))
    return Card("", "", tables=tables, below=panels)


def _groups(record: ModelCard) -> Card:
    folds = verdicts.groups(record.verdict.goals) if record.verdict else []
    return Card("", "", below=[replace(fold, opened=True) for fold in folds])


def _columns(record: ModelCard) -> Card:
    dataset = record.dataset
    if dataset is None:
        return Card("", "")
    table = cards.columns(dataset, "Columns; their distribution and values in the training rows")
    many = {c.name for c in dataset.schema if c.type == "string" and c.distinct > _LISTED}
    rows = [[*row[:-1], "not listed" if row[0] in many else row[-1]] for row in table.rows]
    first, rest = rows[:_COLUMNS], rows[_COLUMNS:]
    more = [Fold(f"{len(rest)} more columns", [Table(table.columns, rest)])] if rest else []
    return Card("", "", tables=(Table(table.columns, first, table.title),), below=more)


def _explanation(record: ModelCard) -> Card:
    found = record.explanation
    return explanations.explanation(found) if found is not None else Card("", "")


#: What a section shows of the record that it rests on.
_MORE: dict[str, Callable[[ModelCard], Card]] = {
    "Evaluation": _evaluation,
    "Metrics by group": _groups,
    "Training data": _columns,
    "Explanation": _explanation,
}
