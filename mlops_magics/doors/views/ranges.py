"""Values with their intervals as inline SVG: a line each, over one axis, against a bound."""

from __future__ import annotations

from html import escape

from mlops_magics.doors.views.card import Ranges, show
from mlops_magics.doors.views.scales import scale

_LEFT, _RIGHT, _ROW, _TOP, _BOTTOM = 190, 20, 22, 8, 34
_WIDTH = 640
#: Letters that find room left of the axis.
_LETTERS = 28


def ranges(figure: Ranges) -> str:
    """One line a row: its label, its interval, a dot in the tone of its judgement."""
    marks = [v for _, value, interval, _ in figure.rows for v in (value, *(interval or ()))]
    if figure.bound is not None:
        marks.append(figure.bound)
    over = scale(figure.axis, [m for m in marks if m is not None], 6)
    low = _TOP + _ROW * len(figure.rows)

    def x(value: float) -> float:
        return _LEFT + over(value) * (_WIDTH - _LEFT - _RIGHT)

    parts = []
    if figure.bound is not None and figure.at_least is not None:
        start, end = (figure.bound, over.high) if figure.at_least else (over.low, figure.bound)
        parts.append(
            f'<rect class="right" x="{x(start):.1f}" y="{_TOP}" '
            f'width="{max(x(end) - x(start), 0):.1f}" height="{low - _TOP}"/>'
        )
    for value, text in over.ticks:
        parts.append(f'<path class="grid" d="M{x(value):.1f} {_TOP}V{low}"/>')
        parts.append(
            f'<text x="{x(value):.1f}" y="{low + 14}" text-anchor="middle">{escape(text)}</text>'
        )
    parts.append(f'<path class="axis" d="M{_LEFT} {low}H{_WIDTH - _RIGHT}"/>')
    if figure.bound is not None:
        parts.append(f'<path class="goal" d="M{x(figure.bound):.1f} {_TOP}V{low}"/>')
    spoken = []
    for i, (label, found, interval, status) in enumerate(figure.rows):
        y = _TOP + _ROW * (i + 0.5)
        cut = label if len(label) <= _LETTERS else f"{label[: _LETTERS - 1]}…"
        said = f"{label}: {show(found)}"
        if interval:
            said += f" ({show(interval[0])} … {show(interval[1])})"
        said += f", {status.word}"
        spoken.append(said)
        drawn = []
        if interval:
            drawn.append(f'<path class="span" d="M{x(interval[0]):.1f} {y}H{x(interval[1]):.1f}"/>')
        if found is not None:
            drawn.append(f'<circle class="dot" cx="{x(found):.1f}" cy="{y}" r="4.5"/>')
        parts.append(
            f"<g><title>{escape(said)}</title>"
            f'<text x="{_LEFT - 10}" y="{y + 4}" text-anchor="end">{escape(cut)} '
            f'<tspan class="{status.tone}">{status.sign}</tspan></text>{"".join(drawn)}</g>'
        )
    parts.append(
        f'<text class="label" x="{(_LEFT + _WIDTH - _RIGHT) / 2:.0f}" y="{low + 29}" '
        f'text-anchor="middle">{escape(figure.axis.label)}</text>'
    )
    height = low + _BOTTOM
    words = escape(f"{figure.title or figure.axis.label}: {'; '.join(spoken)}"[:600])
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="img" aria-label="{words}">{"".join(parts)}</svg>'
    )
