"""How values are written on a page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any


def shown(value: Any) -> str:
    """Any value in words; digests by their beginning."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {shown(v)}" for k, v in value.items())
    if isinstance(value, str) and value.startswith("sha256:"):
        return short(value)
    if isinstance(value, list):
        return ", ".join(shown(v) for v in value)
    return str(value)


def seconds(value: Any) -> str:
    """A duration."""
    if not isinstance(value, int | float):
        return "–"
    if value < 120:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s"


def short(digest: Any) -> str:
    """The beginning of a digest."""
    return f"{str(digest)[:19]}…" if digest else ""


def moment(text: Any) -> str:
    """An ISO time to the second, in UTC as it was recorded."""
    try:
        return datetime.fromisoformat(str(text)).strftime("%Y-%m-%d %H:%M:%S UTC")
    except ValueError:
        return "–"
