"""How records look: facts → a card → text for terminals and HTML for notebooks.

A view is one function, record → `Card`, in `cards` or `reports`; both forms are made from it, so
they never tell different things. The HTML needs no script, works in light and dark, and escapes
everything that came from data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_magics import records
from mlops_magics.records import Record

if TYPE_CHECKING:
    from mlops_magics.doors.views.verdict_parts import Part
    from mlops_magics.records import Monitoring, Verdict


def text(record: Record) -> str:
    """A record for a terminal."""
    from mlops_magics.doors.views import as_text, registry

    return as_text.render(registry.card(record))


def html(record: Record) -> str:
    """A record for a notebook or a page: self-contained HTML."""
    from mlops_magics.doors.views import as_html, registry

    return as_html.render(registry.card(record))


def markdown(record: Record) -> str:
    """A record as Markdown, for a page that others make."""
    from mlops_magics.doors.views import as_markdown, registry

    return as_markdown.render(registry.card(record))


def part(record: Verdict | Monitoring, name: str) -> Part:
    """One part of a verdict or of a monitoring record, for a report that speaks between them.

    Parameters
    ----------
    name : str
        Of a verdict ``answer``, ``goals``, ``data``, ``models``, ``groups`` or ``curves``; of a
        monitoring record ``answer``, ``drift``, ``features``, ``distributions``, ``multivariate``,
        ``windows``, ``segments``, ``missing``, ``predictions``, ``service`` or ``performance``.

    Raises
    ------
    UnknownName
        If there is no such part.
    """
    from mlops_magics.doors.views import monitoring_parts, verdict_parts

    if isinstance(record, records.Monitoring):
        return monitoring_parts.part(record, name)
    return verdict_parts.part(record, name)


def page(record: Record) -> str:
    """A record as a page of its own: no script, nothing is loaded from elsewhere."""
    from mlops_magics.doors.views import pages

    return pages.page(record)


def document(record: Record) -> str:
    """A record as a Markdown file of its own, with what other tools read of it at its head."""
    from mlops_magics.doors.views import as_markdown, front_matter, registry

    return front_matter.of(record) + as_markdown.render(registry.card(record), level=1)


def pictures(record: Record) -> dict[str, str]:
    """The figures of a record, each an SVG file of its own: name → content."""
    from mlops_magics.doors.views import pages

    return pages.pictures(record)
