"""Small pictures as inline SVG: no script, no library, sharp in print, right in light and dark."""

from __future__ import annotations

import math
from html import escape

from mlops_magics.doors.views.card import Bars, Meter, Spark, show

WIDTH, HEIGHT = 168, 44


def bars(picture: Bars) -> str:
    """Reference as an outline, current as filled bars, on one scale."""
    count = max(len(picture.labels), 1)
    top = max([*picture.reference, *picture.current, 1e-9])
    step = WIDTH / count
    parts = []
    for i, label in enumerate(picture.labels):
        was, now = picture.reference[i], picture.current[i]
        title = f"<title>{escape(label)}: {was:.1%} in training, {now:.1%} now</title>"
        x = i * step
        parts.append(
            f'<g>{title}<rect class="now" x="{x + 1:.1f}" y="{HEIGHT * (1 - now / top):.1f}" '
            f'width="{max(step - 2, 1):.1f}" height="{HEIGHT * now / top:.1f}"/>'
            f'<path class="was" d="M{x + 0.5:.1f} {HEIGHT * (1 - was / top):.1f}'
            f'h{step - 1:.1f}"/></g>'
        )
    summary = escape(
        "; ".join(
            f"{label}: {was:.0%} → {now:.0%}"
            for label, was, now in zip(
                picture.labels, picture.reference, picture.current, strict=False
            )
        )[:300]
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT + 1}" width="{WIDTH}" height="{HEIGHT + 1}" role="img" '
        f'aria-label="share of rows, training → now: {summary}">'
        f'<path class="base" d="M0 {HEIGHT + 0.5}h{WIDTH}"/>{"".join(parts)}</svg>'
    )


def meter(picture: Meter) -> str:
    """A dot for the value, a line for its interval, a mark for the threshold."""
    marks = [picture.value, *(picture.interval or ()), picture.low, picture.high]
    if picture.threshold is not None:
        marks.append(picture.threshold)
    low, high = min(marks), max(marks)
    span = (high - low) or 1.0

    def x(value: float) -> float:
        return float(6 + (WIDTH - 12) * (value - low) / span)

    parts = [f'<path class="base" d="M6 12h{WIDTH - 12}"/>']
    if picture.threshold is not None and picture.at_least is not None:
        start, end = (picture.threshold, high) if picture.at_least else (low, picture.threshold)
        parts.append(
            f'<rect class="right" x="{x(start):.1f}" y="4" '
            f'width="{x(end) - x(start):.1f}" height="16"/>'
        )
    if picture.threshold is not None:
        parts.append(f'<path class="goal" d="M{x(picture.threshold):.1f} 3v18"/>')
    if picture.interval:
        left, right = (x(v) for v in picture.interval)
        parts.append(f'<path class="span" d="M{left:.1f} 12H{right:.1f}"/>')
    parts.append(f'<circle class="dot" cx="{x(picture.value):.1f}" cy="12" r="4.5"/>')
    words = f"value {show(picture.value)}"
    if picture.threshold is not None:
        words += f", threshold {show(picture.threshold)}"
    return (
        f'<svg viewBox="0 0 {WIDTH} 24" width="{WIDTH}" height="24" role="img" '
        f'aria-label="{escape(words)}">{"".join(parts)}</svg>'
    )


def spark(picture: Spark) -> str:
    """A line through the values, and a dot on the last one."""
    places = [(i, v) for i, v in enumerate(picture.values) if math.isfinite(v)]
    if not places:
        return "–"
    values = [v for _, v in places]
    low, high = min(values), max(values)
    right = max(len(picture.values) - 1, 1)
    points = [
        (
            4 + (WIDTH - 8) * i / right,
            4 + (HEIGHT - 20) * (high - v) / (high - low) if high > low else (HEIGHT - 12) / 2,
        )
        for i, v in places
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x, y = points[-1]
    words = escape(
        f"from {show(values[0])} to {show(values[-1])}, between {show(low)} and {show(high)}"
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT - 12}" width="{WIDTH}" height="{HEIGHT - 12}" '
        f'role="img" aria-label="{words}"><polyline class="course" points="{line}"/>'
        f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3"/></svg>'
    )
