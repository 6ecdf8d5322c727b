"""Bars that lie, as inline SVG: a line each over one axis, with intervals and upright marks."""

from __future__ import annotations

from html import escape

from mlops_magics.doors.views.card import Span, Spans, show
from mlops_magics.doors.views.scales import scale

_LEFT, _RIGHT, _ROW, _TOP, _BOTTOM = 190, 20, 22, 8, 34
_WIDTH, _BAR = 640, 12
#: Room above the lines for the names of marks.
_NAMES = 16
#: Letters that find room left of the axis, and the width of one.
_LETTERS, _LETTER = 28, 6.2


def spans(figure: Spans) -> str:
    """One line a row: its label, its bar, its interval, and a note at its end."""
    top = _TOP + (_NAMES if figure.marks else 0)
    reach = [v for row in figure.rows for v in (row.start, row.end, *(row.interval or ()))]
    over = scale(figure.axis, [*reach, *(value for value, _ in figure.marks)], 6)
    low = top + _ROW * len(figure.rows)
    # Notes stand right of the bars, where they are to find room too.
    longest = max((len(row.note) for row in figure.rows), default=0) * _LETTER + 8

    def x(value: float) -> float:
        return _LEFT + over(value) * (_WIDTH - _LEFT - _RIGHT - longest)

    parts = []
    for value, text in over.ticks:
        parts.append(f'<path class="grid" d="M{x(value):.1f} {top}V{low}"/>')
        parts.append(
            f'<text x="{x(value):.1f}" y="{low + 14}" text-anchor="middle">{escape(text)}</text>'
        )
    parts.append(f'<path class="axis" d="M{_LEFT} {low}H{x(over.high):.1f}"/>')
    parts += _marks(figure, [x(value) for value, _ in figure.marks], top, low)
    said = []
    for i, row in enumerate(figure.rows):
        said.append(_words(row))
        marks = [x(value) for value, _ in figure.marks]
        parts.append(_row(row, top + _ROW * (i + 0.5), x, marks, figure.signed, said[-1]))
    parts.append(
        f'<text class="label" x="{(_LEFT + x(over.high)) / 2:.0f}" y="{low + 29}" '
        f'text-anchor="middle">{escape(figure.axis.label)}</text>'
    )
    height = low + _BOTTOM
    words = escape(f"{figure.title or figure.axis.label}: {'; '.join(said)}"[:600])
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="img" aria-label="{words}">{"".join(parts)}</svg>'
    )


def _marks(figure: Spans, places: list[float], top: float, low: float) -> list[str]:
    """Upright lines; of two, the left one's name ends at its line, the right one's begins there."""
    parts = []
    for (_, name), at in zip(figure.marks, places, strict=True):
        right = at >= sum(places) / len(places) and at < _WIDTH * 0.7
        parts.append(
            f'<path class="goal" opacity=".45" d="M{at:.1f} {top - 4}V{low}"/>'
            f'<text class="label" x="{at:.1f}" y="{top - 8}" '
            f'text-anchor="{"start" if right else "end"}">{escape(name)}</text>'
        )
    return parts


def _row(row: Span, y: float, x: object, marks: list[float], signed: bool, said: str) -> str:
    assert callable(x)
    left, right = sorted((x(row.start), x(row.end)))
    kind = "up" if signed and row.end > row.start else "bar"
    cut = row.label if len(row.label) <= _LETTERS else f"{row.label[: _LETTERS - 1]}…"
    drawn = (
        f'<rect class="{kind}" x="{left:.1f}" y="{y - _BAR / 2:.1f}" '
        f'width="{max(right - left, 1):.1f}" height="{_BAR}"/>'
    )
    end = right
    if row.interval:
        a, b = x(row.interval[0]), x(row.interval[1])
        drawn += (
            f'<path class="reach" d="M{a:.1f} {y}H{b:.1f}M{a:.1f} {y - 3}v6M{b:.1f} {y - 3}v6"/>'
        )
        end = max(end, b)
    end += 6
    for at in sorted(marks):  # a note stands beside the lines, not under one
        if end - 4 < at < end + len(row.note) * _LETTER:
            end = at + 5
    return (
        f'<g><title>{escape(said)}</title><text x="{_LEFT - 10}" y="{y + 4}" text-anchor="end">'
        f'{escape(cut)}</text>{drawn}<text x="{end:.1f}" y="{y + 4}">{escape(row.note)}</text>'
        "</g>"
    )


def _words(row: Span) -> str:
    said = f"{row.label}: {row.note or show(row.end)}"
    if row.interval:
        said += f" ({show(row.interval[0])} … {show(row.interval[1])})"
    return said
