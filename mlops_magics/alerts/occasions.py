"""When someone is told: once of a change, and again only after a while."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

BREACH, STILL, RECOVERED = "breach", "still", "recovered"

#: Of one sink: ``at``, when it was told last, and ``what`` it knows to be broken.
Known = Mapping[str, Any]


def due(known: Known | None, broken: Collection[str], now: str, remind: timedelta | None) -> str:
    """What one sink is to be told now; empty for nothing.

    Parameters
    ----------
    known : mapping or None
        What it was told before; ``None`` if it knows of nothing broken.
    broken : collection of str
        What is broken now.
    now : str
        ISO 8601, UTC.
    remind : timedelta, optional
        After how long it is told of the same again; never by default.
    """
    if not broken:
        return RECOVERED if known else ""
    if known is None or not set(broken) <= set(known["what"]):
        return BREACH
    if remind is None:
        return ""
    return STILL if _moment(now) - _moment(str(known["at"])) >= remind else ""


def after(known: Known | None, broken: Collection[str], now: str, told: str) -> Known | None:
    """What the sink knows from then on.

    Parameters
    ----------
    told : str
        What it was told and took; empty for nothing.
    """
    if told == RECOVERED or (not broken and known is None):
        return None
    if told:
        return {"at": now, "what": sorted(broken)}
    if known is None or not broken:
        return known  # nobody could be reached: the next look tries again
    # What is well meanwhile would be news if it broke again.
    return {"at": known["at"], "what": sorted(set(broken) & set(known["what"]))}


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
