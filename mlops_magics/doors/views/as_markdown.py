"""A card as Markdown, for the summary of a CI job, or as a file of its own."""

from __future__ import annotations

import re

from mlops_magics.doors.views.card import Bars, Card, Fold, Meter, Said, Spark, Table, show

_PICTURES = (Bars, Meter, Spark)


def render(card: Card, level: int = 2) -> str:
    """Heading, facts and tables; what is drawn stands in the tables as figures.

    Parameters
    ----------
    level : int
        That of the heading.
    """
    status = f" {card.status.sign} {card.status.word}" if card.status else ""
    parts = [f"{'#' * level} {f'{card.kind} {_safe(card.title)}{status}'.strip()}"]
    if card.lead:
        parts.append(_safe(card.lead))
    if card.facts:
        parts.append("\n".join(f"- {_safe(k)}: {_value(v)}" for k, v in card.facts.items()))
    if card.words:
        parts.append("\n".join(f"- {_safe(said)}" for said in card.words))
    parts += [_table(table) for table in card.tables if table.rows]
    for part in card.below:
        if isinstance(part, Fold):
            tables = "\n\n".join(_table(t) for t in part.parts if isinstance(t, Table) and t.rows)
            parts.append(
                f"<details><summary>{_safe(part.title)}</summary>\n\n{tables}\n\n</details>"
            )
    parts += [f"> {_safe(note)}" for note in card.notes]
    parts += [_safe(card.small)] if card.small else []
    parts += [render(section, level + 1).rstrip("\n") for section in card.sections]
    return "\n\n".join(parts) + "\n"


def _value(value: object) -> str:
    if not isinstance(value, Said):
        return _safe(show(value))
    if value.text:
        return _safe(value.text) + (f" *({_safe(value.source)})*" if value.source else "")
    return "*not recorded*" + (f": `{_code(value.command)}`" if value.command else "")


def _code(text: str) -> str:
    return " ".join(text.split()).replace("`", "'")


def _table(table: Table) -> str:
    places = [
        i
        for i in range(len(table.columns))
        if not any(isinstance(row[i], _PICTURES) for row in table.rows)
    ]
    lines = [
        f"| {' | '.join(_safe(table.columns[i]) or ' ' for i in places)} |",
        f"|{' --- |' * len(places)}",
        *(f"| {' | '.join(_safe(show(row[i])) for i in places)} |" for row in table.rows),
    ]
    title = f"**{_safe(table.title)}**\n\n" if table.title else ""
    notes = [
        f"- {_safe(next((c for c in row if isinstance(c, str) and c), ''))}: {_safe(note)}"
        for row, note in zip(table.rows, table.notes, strict=False)
        if note
    ]
    return title + "\n".join(lines) + ("\n\n" + "\n".join(notes) if notes else "")


def _safe(text: str) -> str:
    """Nothing from data becomes markup: neither HTML, nor a link, nor the end of a cell."""
    flat = " ".join(text.split())
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", flat).replace("<", "&lt;").replace(">", "&gt;")
