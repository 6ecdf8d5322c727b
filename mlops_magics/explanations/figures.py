"""Figures and values of explanations, as sentences have them."""

from __future__ import annotations

import re
from typing import Any

from mlops_magics.explanations.questions import Kind

#: How times are written in a record.
_TIME = re.compile(r"\d{4}-\d\d-\d\d(T[\d:.+]+)?$")


def number(value: float) -> str:
    """Four digits, with commas from a thousand on."""
    if value == 0 or abs(value) < 1e-12:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def small(value: float) -> str:
    """Two digits: a difference, of which no more is sure."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2g}"


def answer(value: float, kind: Kind) -> str:
    """An answer: probabilities and shares in per cent."""
    return f"{100 * value:.3g} %" if kind in ("probability", "share") else number(value)


def value(found: Any) -> str:
    """A value of the data: text in quotation marks, numbers with commas, times as they are."""
    if found is None:
        return "missing"
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, int):
        return f"{found:,}"
    if isinstance(found, float):
        return f"{found:,.0f}" if found.is_integer() and abs(found) < 1e15 else number(found)
    text = str(found)
    if _TIME.match(text):
        return text
    return f"{text!r}" if len(text) <= 40 else f"{text[:39]!r}…"
