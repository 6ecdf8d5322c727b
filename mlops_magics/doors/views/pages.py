"""A record as a page of its own, and its figures as files: what stays beside a run as evidence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from mlops_magics.doors.views import as_html, charts, registry
from mlops_magics.doors.views.card import Diff, Figure, Fold, Panel, Table
from mlops_magics.records import Record

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>:root{{color-scheme:light dark}}body{{margin:24px auto;max-width:1060px;padding:0 12px;
background:Canvas;color:CanvasText}}@media print{{.mlops{{border:0;max-width:none}}}}</style>
</head>
<body>
{body}
</body>
</html>
"""
#: The card's style without its frame, for a figure that stands alone.
_STYLE = (
    "svg{color-scheme:light dark;background:Canvas;color:CanvasText;font:13px system-ui,sans-serif}"
)


def page(record: Record) -> str:
    """The record's card as a whole page."""
    card = registry.card(record)
    status = f": {card.status.word}" if card.status else ""
    return _PAGE.format(
        title=escape(f"{card.kind} {card.title}{status}"), body=as_html.render(card)
    )


def pictures(record: Record) -> dict[str, str]:
    """Name → SVG with its own style, title and legend."""
    found: dict[str, str] = {}
    for title, figure in _figures(registry.card(record).below):
        name = _slug(title) or "figure"
        while name in found:
            name += "-"
        found[name] = alone(title, figure)
    return found


def _figures(parts: object, above: str = "") -> Iterator[tuple[str, Figure]]:
    for part in parts if isinstance(parts, list | tuple) else ():
        if isinstance(part, Fold):
            yield from _figures(part.parts, part.title)
        elif isinstance(part, Panel):
            for figure in part.figures:
                yield figure.title or above or part.title, figure
        else:
            assert isinstance(part, Diff | Table)


def alone(title: str, figure: Figure) -> str:
    """A figure as an SVG document."""
    labels = list(dict.fromkeys(filter(None, charts.labels_of(figure))))
    styles = {label: i for i, label in enumerate(labels)}
    drawn = charts.figure(figure, styles)
    size = re.search(r'viewBox="0 0 (\d+) (\d+)"', drawn)
    width, height = (int(size[1]), int(size[2])) if size else (charts.WIDTH, charts.HEIGHT)
    legend = "".join(
        f'<g transform="translate(12 {height + 44 + 18 * i})"><path class="line s{style % 8}" '
        f'd="M0 0h32"/><text x="40" y="4">{escape(label)}</text></g>'
        for i, (label, style) in enumerate(styles.items())
    )
    room = 18 * len(labels) + (10 if labels else 0)
    style = (as_html.STYLE + charts.STYLE).replace(".mlops svg", "svg").replace(".mlops ", "")
    kept = "".join(rule for rule in re.findall(r"[^{}]+\{[^{}]*\}", style) if _for_svg(rule))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width + 24} {height + 40 + room}" '
        f'width="{width + 24}" height="{height + 40 + room}"><style>{_STYLE}{kept}</style>'
        f'<text x="12" y="20" font-weight="600" fill="currentColor">{escape(title)}</text>'
        f'<svg x="12" y="30" width="{width}" height="{height}">{drawn}</svg>'
        f'<g class="chart" fill="currentColor">{legend}</g></svg>\n'
    )


def _for_svg(rule: str) -> bool:
    return rule.startswith(("svg", ".good", ".bad", ".warn"))


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60]
