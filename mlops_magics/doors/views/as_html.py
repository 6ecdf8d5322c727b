"""A card as self-contained HTML: no script, light and dark, everything from data escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from mlops_magics.doors.views import charts, svg
from mlops_magics.doors.views.card import (
    Bars,
    Card,
    Diff,
    Fold,
    Meter,
    Panel,
    Said,
    Spark,
    Status,
    Table,
    show,
)

#: A word of more letters may break where its column is narrow.
_LONGEST = 24

# Colours are taken from the text around, so the card fits any theme; the two tones have enough
# contrast on white and on black.
STYLE = """
.mlops{font:14px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;max-width:1000px;
border:1px solid color-mix(in srgb,currentColor 22%,transparent);border-radius:8px;
padding:14px 18px;margin:6px 0;overflow-x:auto}
.mlops header{display:flex;gap:10px;align-items:baseline;flex-wrap:wrap}
.mlops .kind{opacity:.65;font-size:12px;letter-spacing:.04em;text-transform:uppercase}
.mlops .title{font-size:17px;font-weight:600}
.mlops .big .title{font-size:30px}.mlops .big .pill{font-size:22px;padding:2px 18px}
.mlops .big+p{font-size:15px}
.mlops .pill{border:1px solid currentColor;border-radius:99px;padding:0 9px;font-size:12px;
font-weight:600;white-space:nowrap}
.mlops .good{color:#1a8a4a}.mlops .bad{color:#d13438}.mlops .warn{color:#b06f00}
.mlops p{margin:6px 0}
.mlops dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;margin:10px 0}
.mlops dt{opacity:.65}.mlops dd{margin:0;overflow-wrap:anywhere}
.mlops table{border-collapse:collapse;margin:10px 0;font-size:13px;background:none;border:0;
color:inherit}
.mlops caption{text-align:left;font-weight:600;padding:4px 0;caption-side:top;color:inherit}
.mlops th,.mlops td{text-align:left!important;padding:4px 14px 4px 0!important;
border:0;border-bottom:1px solid color-mix(in srgb,currentColor 14%,transparent);
vertical-align:middle;background:none;max-width:420px;overflow-wrap:anywhere;white-space:normal}
.mlops thead th{opacity:.65;font-weight:500}
.mlops td.n,.mlops th.n{text-align:right!important;font-variant-numeric:tabular-nums;
white-space:nowrap}
.mlops thead th,.mlops td.w{overflow-wrap:normal}
.mlops tr.noted td{border-bottom:0;padding-bottom:0!important;overflow-wrap:normal}
.mlops tr.why td{max-width:none;opacity:.8;padding-top:0!important;padding-bottom:8px!important}
.mlops ul{margin:8px 0;padding-left:18px}.mlops li{margin:2px 0}
.mlops .note{border-left:3px solid #b06f00;padding-left:10px;margin:6px 0}
.mlops .small{opacity:.65;font-size:12px;overflow-wrap:anywhere}
.mlops svg{display:block}.mlops svg .now{fill:#4c83d6;opacity:.75}
.mlops svg .was{stroke:currentColor;stroke-width:2;fill:none}
.mlops svg .base{stroke:currentColor;opacity:.3;fill:none}
.mlops svg .span{stroke:#4c83d6;stroke-width:4;fill:none;opacity:.6}
.mlops svg .bar{fill:#4c83d6;stroke:none}.mlops svg .up{fill:#c8570a;stroke:none}
.mlops svg .reach{stroke:currentColor;stroke-width:1.5;fill:none;opacity:.8}
.mlops svg .right{fill:#1a8a4a;opacity:.14}
.mlops details{margin:6px 0}.mlops summary{cursor:pointer;font-size:13px}
.mlops svg .goal{stroke:currentColor;stroke-width:2;stroke-dasharray:3 2;fill:none}
.mlops svg .course{stroke:#4c83d6;stroke-width:1.5;fill:none}
.mlops svg .dot{fill:#4c83d6;stroke:currentColor;stroke-width:1}
.mlops h4{margin:14px 0 2px;font-size:13px;font-weight:600}
.mlops pre{margin:4px 0;font:12px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;
overflow-x:auto;padding:6px 0;background:none;color:inherit;
border:1px solid color-mix(in srgb,currentColor 14%,transparent);border-radius:4px}
.mlops pre span{display:block;padding:0 10px;min-width:max-content}
.mlops pre .add{background:color-mix(in srgb,#1a8a4a 20%,transparent)}
.mlops pre .cut{background:color-mix(in srgb,#d13438 20%,transparent)}
.mlops pre .at{opacity:.55}
.mlops nav{display:flex;flex-wrap:wrap;gap:2px 16px;margin:14px 0 0;padding:8px 0;font-size:13px;
border-block:1px solid color-mix(in srgb,currentColor 14%,transparent)}
.mlops nav a{color:inherit;text-underline-offset:3px}
.mlops section{margin-top:28px}
.mlops h2{font-size:19px;font-weight:600;margin:0 0 8px;padding:0 0 4px;border:0;
border-bottom:1px solid color-mix(in srgb,currentColor 22%,transparent)}
.mlops section dl{grid-template-columns:minmax(130px,190px) 1fr;gap:5px 16px}
.mlops .said{white-space:pre-line}.mlops .by{display:block;opacity:.65;font-size:12px}
.mlops section td{max-width:520px;overflow-wrap:break-word}
.mlops .unknown{font-style:italic;opacity:.8}
.mlops code{font:12px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;background:none;
color:inherit;padding:0;overflow-wrap:anywhere}
@media print{.mlops nav{display:none}.mlops tr,.mlops figure,.mlops h2{break-inside:avoid}
.mlops h2{break-after:avoid}}
""".replace("\n", "")


def render(card: Card) -> str:
    """The card as one ``<div>`` with its own style."""
    return f'<div class="mlops"><style>{STYLE}{charts.STYLE}</style>{body(card)}</div>'


def body(card: Card) -> str:
    """The card without its style, for a page that has it already."""
    return f"{_header(card)}{_inside(card)}{_sections(card.sections)}"


def _header(card: Card) -> str:
    pill = f" {_status(card.status)}" if card.status else ""
    size = ' class="big"' if card.big else ""
    return (
        f'<header{size}><span class="kind">{escape(card.kind)}</span>'
        f'<span class="title">{escape(card.title)}</span>{pill}</header>'
    )


def _sections(sections: Sequence[Card]) -> str:
    """Each under a heading of its own, after what leads to them."""
    if not sections:
        return ""
    names = {f"section-{i}": section for i, section in enumerate(sections, 1)}
    links = "".join(f'<a href="#{name}">{escape(s.title)}</a>' for name, s in names.items())
    return f"<nav>{links}</nav>" + "".join(
        f'<section id="{name}"><h2>{escape(s.title)}</h2>{_inside(s)}</section>'
        for name, s in names.items()
    )


def _inside(card: Card) -> str:
    parts = []
    if card.lead:
        parts.append(f"<p>{escape(card.lead)}</p>")
    if card.facts:
        rows = "".join(f"<dt>{escape(k)}</dt><dd>{_cell(v)}</dd>" for k, v in card.facts.items())
        parts.append(f"<dl>{rows}</dl>")
    if card.words:
        parts.append(f"<ul>{''.join(f'<li>{escape(said)}</li>' for said in card.words)}</ul>")
    parts += [_table(table) for table in card.tables if table.rows]
    parts += [_below(part) for part in card.below]
    parts += [f'<p class="note">{escape(note)}</p>' for note in card.notes]
    if card.small:
        parts.append(f'<p class="small">{escape(card.small)}</p>')
    return "".join(parts)


def _below(part: Panel | Diff | Fold | Table) -> str:
    if isinstance(part, Table):
        return _table(part)
    if isinstance(part, Diff):
        return _diff(part)
    if isinstance(part, Panel):
        return charts.panel(part)
    pill = f"{_status(part.status)} " if part.status else ""
    return (
        f"<details{' open' if part.opened else ''}><summary>{pill}{escape(part.title)}</summary>"
        f"{''.join(map(_below, part.parts))}</details>"
    )


def _table(table: Table) -> str:
    numeric = [
        all(isinstance(row[i], int | float) or row[i] is None for row in table.rows)
        for i in range(len(table.columns))
    ]
    classes = [
        ' class="n"' if n else ' class="w"' if _has_short_words(table, i) else ""
        for i, n in enumerate(numeric)
    ]
    head = "".join(
        f'<th scope="col"{c}>{escape(name)}</th>'
        for name, c in zip(table.columns, classes, strict=True)
    )
    notes = [*table.notes, *[""] * (len(table.rows) - len(table.notes))]
    rows = "".join(
        ('<tr class="noted">' if note else "<tr>")
        + "".join(f"<td{c}>{_cell(v)}</td>" for v, c in zip(row, classes, strict=True))
        + "</tr>"
        + (_row_note(note, len(table.columns)) if note else "")
        for row, note in zip(table.rows, notes, strict=True)
    )
    caption = f"<caption>{escape(table.title)}</caption>" if table.title else ""
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _has_short_words(table: Table, column: int) -> bool:
    """Whether no word of a column is so long that it may have to break."""
    texts = [row[column] for row in table.rows if isinstance(row[column], str)]
    return all(len(word) <= _LONGEST for text in texts for word in text.split())


def _row_note(note: str, columns: int) -> str:
    return f'<tr class="why"><td></td><td colspan="{columns - 1}">{escape(note)}</td></tr>'


def _cell(value: Any) -> str:
    if isinstance(value, Status):
        return _status(value)
    if isinstance(value, Bars):
        return svg.bars(value)
    if isinstance(value, Meter):
        return svg.meter(value)
    if isinstance(value, Spark):
        return svg.spark(value)
    if isinstance(value, Said):
        return _said(value)
    return escape(show(value))


def _said(said: Said) -> str:
    if said.text:
        by = f'<span class="by">{escape(said.source)}</span>' if said.source else ""
        return f'<span class="said">{escape(said.text)}</span>{by}'
    told = f": <code>{escape(said.command)}</code>" if said.command else ""
    return f'<span class="unknown">not recorded</span>{told}'


def _diff(diff: Diff) -> str:
    kinds = {"+": ' class="add"', "-": ' class="cut"', "@": ' class="at"'}
    lines = "".join(
        f"<span{kinds.get(line[:1], '')}>{escape(line) or ' '}</span>"
        for line in diff.text.splitlines()
    )
    return f"<h4>{escape(diff.title)}</h4><pre>{lines}</pre>"


def _status(status: Status) -> str:
    return f'<span class="pill {status.tone}">{status.sign} {escape(status.word)}</span>'
