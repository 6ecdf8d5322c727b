"""Figures as inline SVG: lines, dots, and parallel coordinates, with one legend a panel.

No script and no library. Lines differ in colour and in dash, dots in colour and in shape, so that
colour is never the only sign; the colours have enough contrast on white and on black.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from mlops_magics.doors.views.card import (
    Axis,
    Chart,
    Figure,
    Panel,
    Parallel,
    Ranges,
    Series,
    Spans,
    show,
)
from mlops_magics.doors.views.scales import Scale, scale

WIDTH, HEIGHT = 300, 216
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 22, 36

#: Colour and dash of a line, and the shape of its dots: those of the first series first.
_COLOURS = ("#3b7dd8", "#c8570a", "#2a8f5a", "#a352c9", "#a07a00", "#0e8f9c", "#d1457b", "#777777")
_DASHES = ("none", "7 3", "2 3", "9 3 2 3", "5 5", "12 4", "3 2", "1 4")

_SHAPES = (
    "M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0z",
    "M-3.2 -3.2h6.4v6.4h-6.4z",
    "M0 -4.2l4 7h-8z",
    "M0 -4.6l4.4 4.6l-4.4 4.6l-4.4 -4.6z",
    "M-3.4 -3.4l6.8 6.8m0 -6.8l-6.8 6.8",
    "M0 -4.2v8.4m-4.2 -4.2h8.4",
    "M0 4.2l4 -7h-8z",
    "M-4.4 -2h8.8v4h-8.8z",
)
#: From so many dots on they are drawn smaller.
_MANY = 60

STYLE = (
    """
.mlops .figures{display:flex;flex-wrap:wrap;gap:6px 20px}
.mlops figure{margin:4px 0;padding:0;max-width:100%}
.mlops figcaption{font-size:12px;opacity:.8;padding:0}
.mlops svg.chart{max-width:100%;height:auto;overflow:visible}
.mlops svg.chart text{fill:currentColor;font-size:11px;stroke:none}
.mlops svg.chart .label{opacity:.75}
.mlops svg.chart .grid{stroke:currentColor;opacity:.12;fill:none}
.mlops svg.chart .axis{stroke:currentColor;opacity:.45;fill:none}
.mlops svg.chart .guide{stroke:currentColor;opacity:.45;fill:none;stroke-dasharray:2 3}
.mlops svg.chart .behind{stroke:currentColor;opacity:.2;fill:none}
.mlops svg .line{fill:none;stroke-width:1.8;stroke-linejoin:round}
.mlops svg .mark{stroke-width:1.5;fill-opacity:.55}
.mlops ul.legend{list-style:none;display:flex;flex-wrap:wrap;gap:0 18px;padding:0;margin:2px 0;
font-size:12px}
.mlops ul.legend li{display:flex;align-items:center;gap:6px;margin:0}
""".replace("\n", "")
    + "".join(
        f".mlops svg .s{i}{{stroke:{colour};fill:{colour}}}"
        f".mlops svg .line.s{i}{{fill:none;stroke-dasharray:{dash}}}"
        for i, (colour, dash) in enumerate(zip(_COLOURS, _DASHES, strict=True))
    )
)


def figure(figure: Figure, styles: dict[str, int]) -> str:
    """One figure; `styles` gives the series their colours."""
    if isinstance(figure, Ranges):
        from mlops_magics.doors.views import ranges

        return ranges.ranges(figure)
    if isinstance(figure, Spans):
        from mlops_magics.doors.views import spans

        return spans.spans(figure)
    return chart(figure, styles) if isinstance(figure, Chart) else parallel(figure, styles)


def labels_of(figure: Figure) -> list[str]:
    """What a legend explains of it."""
    if isinstance(figure, Ranges | Spans):
        return []  # each line has its own label beside it
    if isinstance(figure, Chart):
        return [series.label for series in figure.series]
    return [label for label, _ in figure.rows]


def panel(panel: Panel) -> str:
    """The figures side by side, then what their lines and dots stand for."""
    labels: list[str] = []
    for shown in panel.figures:
        labels += [n for n in labels_of(shown) if n not in labels]
    styles = {label: i % len(_COLOURS) for i, label in enumerate(filter(None, labels))}
    drawn = "".join(
        f"<figure>{f'<figcaption>{escape(f.title)}</figcaption>' if f.title else ''}"
        f"{figure(f, styles)}</figure>"
        for f in panel.figures
    )
    marked = any(s.drawn != "line" for f in panel.figures if isinstance(f, Chart) for s in f.series)
    keys = "".join(
        f'<li><svg width="34" height="12" viewBox="0 0 34 12" aria-hidden="true">'
        f'<path class="line s{style}" d="M1 6h32"/>'
        f"{_mark(17, 6, style) if marked else ''}</svg>{escape(label)}</li>"
        for label, style in styles.items()
    )
    legend = f'<ul class="legend">{keys}</ul>' if len(styles) > 1 else ""
    return f'<h4>{escape(panel.title)}</h4><div class="figures">{drawn}</div>{legend}'


def chart(figure: Chart, styles: dict[str, int] | None = None) -> str:
    """Lines or dots over two axes."""
    styles = styles or {}
    everything = [p for s in figure.series for p in s.points] + list(figure.guide)
    x = scale(figure.x, [p[0] for p in everything])
    y = scale(figure.y, [p[1] for p in everything])
    parts = [_frame(figure.x, figure.y, x, y)]
    if figure.guide:
        parts.append(f'<path class="guide" d="{_path(figure.guide, x, y)}"/>')
    parts += [_upright(_across(x(value)), name) for value, name in figure.marks]
    parts += [_series(series, x, y, styles.get(series.label, 0)) for series in figure.series]
    return _svg(WIDTH, HEIGHT, _spoken(figure), "".join(parts))


def _upright(at: float, name: str) -> str:
    """A line from top to bottom, its name on the side where there is room."""
    end, beside = ("end", at - 4) if at > WIDTH / 2 else ("start", at + 4)
    return (
        f'<path class="goal" d="M{at:.1f} {_down(1):.1f}V{_down(0):.1f}"/>'
        f'<text x="{beside:.1f}" y="{_down(1) - 3:.1f}" text-anchor="{end}">{escape(name)}</text>'
    )


def _svg(width: float, height: float, spoken: str, inner: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" aria-label="{escape(spoken)}">{inner}</svg>'
    )


def _spoken(figure: Chart) -> str:
    """The figure in words: where each series begins and ends."""
    ends = "; ".join(
        f"{s.label or figure.y.label}: from ({show(float(s.points[0][0]))}, "
        f"{show(float(s.points[0][1]))}) to ({show(float(s.points[-1][0]))}, "
        f"{show(float(s.points[-1][1]))})"
        for s in figure.series
        if s.points
    )
    ends += "".join(f"; {name} at {show(float(value))}" for value, name in figure.marks)
    title = f"{figure.title}, " if figure.title else ""
    return f"{title}{figure.y.label} over {figure.x.label}. {ends}"[:600]


def _across(share: float) -> float:
    return _LEFT + share * (WIDTH - _LEFT - _RIGHT)


def _down(share: float) -> float:
    return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)


def _frame(x_axis: Axis, y_axis: Axis, x: Scale, y: Scale) -> str:
    left, right, low, high = _across(0), _across(1), _down(0), _down(1)
    parts = [
        f'<path class="axis" d="M{left} {high:.1f}V{low:.1f}H{right}"/>',
        f'<text class="label" x="0" y="10">{escape(y_axis.label)}</text>',
        f'<text class="label" x="{(left + right) / 2:.0f}" y="{HEIGHT - 4}" '
        f'text-anchor="middle">{escape(x_axis.label)}</text>',
    ]
    shown = _fitting(x.ticks, (right - left) / 6.2)
    for value, text in x.ticks:
        at = _across(x(value))
        parts.append(f'<path class="grid" d="M{at:.1f} {low:.1f}V{high:.1f}"/>')
        if text in shown:
            parts.append(
                f'<text x="{at:.1f}" y="{low + 14:.1f}" text-anchor="middle">'
                f"{escape(shown[text])}</text>"
            )
    for value, text in y.ticks:
        at = _down(y(value))
        parts.append(f'<path class="grid" d="M{left} {at:.1f}H{right}"/>')
        parts.append(
            f'<text x="{left - 5}" y="{at + 3.5:.1f}" text-anchor="end">'
            f"{escape(_cut(text, 7))}</text>"
        )
    return "".join(parts)


def _fitting(ticks: Sequence[tuple[float, str]], letters: float) -> dict[str, str]:
    """Those tick labels that find room in a width of so many letters, shortened if need be."""
    each = max(3, int(letters / max(len(ticks), 1)) - 1)
    longest = max((len(t) for _, t in ticks), default=0)
    every = 1
    if longest > each and not any(t[0].isalpha() for _, t in ticks if t):
        # Numbers are left out, never cut.
        every, each = math.ceil((longest + 1) * len(ticks) / letters), longest
    return {text: _cut(text, each) for _, text in ticks[::every]}


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def _path(points: Sequence[tuple[float, float]], x: Scale, y: Scale) -> str:
    placed = [
        f"{_across(x(a)):.1f} {_down(y(b)):.1f}" for a, b in points if x.holds(a) and y.holds(b)
    ]
    return f"M{'L'.join(placed)}" if placed else ""


def _series(series: Series, x: Scale, y: Scale, style: int) -> str:
    parts = []
    if series.drawn != "dots" and (path := _path(series.points, x, y)):
        parts.append(f'<path class="line s{style}" d="{path}"/>')
    if series.drawn != "line" or len(series.points) == 1:
        tips = series.tips or [
            f"{series.label} {show(float(a))}, {show(float(b))}".strip() for a, b in series.points
        ]
        scale = 0.6 if len(series.points) >= _MANY else 1
        parts += [
            _mark(_across(x(a)), _down(y(b)), style, tip, scale)
            for (a, b), tip in zip(series.points, tips, strict=False)
            if x.holds(a) and y.holds(b)
        ]
    return "".join(parts)


def _mark(x: float, y: float, style: int, tip: str = "", scale: float = 1) -> str:
    """A dot in the shape of its series."""
    title = f"<title>{escape(tip)}</title>" if tip else ""
    grown = f" scale({scale})" if scale != 1 else ""
    return (
        f'<path class="mark s{style}" transform="translate({x:.1f} {y:.1f}){grown}" '
        f'd="{_SHAPES[style]}">{title}</path>'
    )


def parallel(figure: Parallel, styles: dict[str, int] | None = None) -> str:
    """One line a row through an upright axis for each of its values."""
    styles = styles or {}
    scales = [
        scale(axis, [v for _, row in figure.rows if (v := row[i]) is not None])
        for i, axis in enumerate(figure.axes)
    ]
    gap = 128.0
    width = 60 + gap * (len(figure.axes) - 1) + 70
    places = [44 + gap * i for i in range(len(figure.axes))]
    parts, words = [], []
    for i, (axis, at) in enumerate(zip(figure.axes, places, strict=True)):
        parts.append(f'<path class="axis" d="M{at} {_down(0):.1f}V{_down(1):.1f}"/>')
        words.append(
            f'<text class="label" x="{at}" y="10" text-anchor="middle">'
            f"{escape(_cut(axis.label, 19))}<title>{escape(axis.label)}</title></text>"
        )
        for value, text in scales[i].ticks:
            y = _down(scales[i](value))
            parts.append(f'<path class="axis" d="M{at - 3} {y:.1f}h6"/>')
            words.append(f'<text x="{at + 6}" y="{y + 3.5:.1f}">{escape(_cut(text, 16))}</text>')
    behind = [row for row in figure.rows if not row[0]]
    named = [row for row in figure.rows if row[0]]
    # The best is drawn last, so that it lies on top.
    for label, values in [*behind, *reversed(named)]:
        placed = [
            (at, _down(s(v))) if v is not None and s.holds(v) else None
            for at, s, v in zip(places, scales, values, strict=True)
        ]
        kind = f"line s{styles.get(label, 0)}" if label else "behind"
        told = ", ".join(
            f"{a.label} {a.names[int(v)] if a.names else show(float(v))}"
            for a, v in zip(figure.axes, values, strict=True)
            if v is not None
        )
        tip = f"<title>{escape(f'{label} {told}'.strip())}</title>"
        parts.append(f'<path class="{kind}" d="{_broken(placed)}">{tip}</path>')
    names = ", ".join(a.label for a in figure.axes)
    spoken = f"{figure.title}: {len(figure.rows)} rows over {names}".removeprefix(": ")
    return _svg(width, HEIGHT - _BOTTOM + 8, spoken, "".join([*parts, *words]))


def _broken(placed: Sequence[tuple[float, float] | None]) -> str:
    """A path that is interrupted where there is no value; a lone one is a short dash."""
    found, pen = [], "M"
    for i, place in enumerate(placed):
        if place is None:
            pen = "M"
            continue
        x, y = place
        found.append(f"{pen}{x:.1f} {y:.1f}")
        following = placed[i + 1] if i + 1 < len(placed) else None
        if pen == "M" and following is None:
            found.append("h8")
        pen = "L"
    return "".join(found)
