"""A card as text for a terminal."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from mlops_magics.doors.views.card import Bars, Card, Diff, Fold, Meter, Spark, Status, Table, show

_BLOCKS = " ▁▂▃▄▅▆▇█"


def render(card: Card, width: int = 110) -> str:
    """The card in plain text, without colour codes; its sections below it."""
    return "\n\n".join([_alone(card, width), *(render(s, width) for s in card.sections)])


def _alone(card: Card, width: int) -> str:
    out = io.StringIO()
    # Inside a kernel, rich would also display what it prints.
    console = Console(
        file=out,
        width=width,
        color_system=None,
        highlight=False,
        markup=False,
        force_jupyter=False,
    )
    status = f"  {card.status.sign} {card.status.word}" if card.status else ""
    console.print(f"{card.kind} {card.title}{status}".strip())
    if card.lead:
        console.print(f"  {card.lead}")
    if card.facts:
        label_width = max(len(label) for label in card.facts)
        for label, value in card.facts.items():
            console.print(Text.assemble(f"  {label:<{label_width}}  ", show(value)), soft_wrap=True)
    for said in card.words:
        console.print(Text(f"  · {said}"), soft_wrap=True)
    for table in card.tables:
        if table.rows:
            _print_table(console, table)
    for part in card.below:
        if isinstance(part, Diff):  # a figure has its numbers in the tables
            console.print(Text(f"\n  {part.title}"), soft_wrap=True)
            for line in part.text.splitlines():
                console.print(Text(f"    {line}"), soft_wrap=True)
        elif isinstance(part, Fold):
            sign = f"{part.status.sign} " if part.status else ""
            console.print(Text(f"\n  {sign}{part.title}"), soft_wrap=True)
            for inside in part.parts:
                if isinstance(inside, Table) and inside.rows:
                    _print_table(console, inside)
    for note in card.notes:
        console.print(Text(f"  ! {note}"), soft_wrap=True)
    if card.small:
        console.print(Text(f"  {card.small}"), soft_wrap=True)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _print_table(console: Console, table: Table) -> None:
    drawn = RichTable(box=box.SIMPLE_HEAD, title=table.title or None, title_justify="left")
    # A meter only draws the figures that stand beside it.
    places = [
        place
        for place in range(len(table.columns))
        if not any(isinstance(row[place], Meter) for row in table.rows)
    ]
    for place in places:
        numeric = all(
            isinstance(row[place], int | float) or row[place] is None for row in table.rows
        )
        justify: Literal["right", "left"] = "right" if numeric else "left"
        drawn.add_column(table.columns[place], justify=justify, overflow="fold")
    for row in table.rows:
        drawn.add_row(*(Text(_cell(row[place])) for place in places))
    console.print(drawn)
    for row, note in zip(table.rows, table.notes, strict=False):
        sign = next((f"{cell.sign} " for cell in row if isinstance(cell, Status)), "")
        name = next((cell for cell in row if isinstance(cell, str) and cell), "")
        if note:
            console.print(Text(f"  {sign}{name}\n      {note}"), soft_wrap=True)
    if any(table.notes):
        console.print()


def _cell(value: object) -> str:
    if isinstance(value, Bars):
        return f"{_spark(value.reference)} → {_spark(value.current)}"
    if isinstance(value, Spark):
        return _course(value.values)
    return show(value)


def _course(values: Sequence[float]) -> str:
    """Thirty places at most, from the lowest block to the highest."""
    finite = [v for v in values if math.isfinite(v)]
    if not finite:
        return "–"
    low, span = min(finite), (max(finite) - min(finite)) or 1.0
    count = min(len(finite), 30)
    places = [finite[round(i * (len(finite) - 1) / max(count - 1, 1))] for i in range(count)]
    return "".join(_BLOCKS[1 + round((v - low) / span * (len(_BLOCKS) - 2))] for v in places)


def _spark(shares: Sequence[float]) -> str:
    top = max(shares, default=0) or 1
    return "".join(_BLOCKS[round(share / top * (len(_BLOCKS) - 1))] for share in shares[:12])
