"""Whether a second version holds its goals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops_magics.targets.plans import Beside, Goal

#: Requests in a row that it may leave unanswered.
MOST_IN_A_ROW = 5


def broken(beside: Beside, figures: Mapping[str, Any]) -> str:
    """The goal that is broken, in a sentence; empty if none is.

    Parameters
    ----------
    figures : mapping
        Of the deployed server: ``stable`` and ``other``, each with ``requests``, ``errors``,
        ``in_a_row``, ``last_error``, ``error_rate``, ``p50_ms``, ``p95_ms``, ``p99_ms``.
    """
    stable, other = figures["stable"], figures["other"]
    if other["in_a_row"] >= MOST_IN_A_ROW:
        return f"It left {other['in_a_row']} requests in a row unanswered ({other['last_error']})."
    if other["requests"] < beside.least:
        return ""
    return next(filter(None, (_judge(goal, stable, other) for goal in beside.goals)), "")


def _judge(goal: Goal, stable: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    value, base = other[goal.figure], stable[goal.figure] if goal.relative else 0.0
    if value is None or base is None or value <= base + goal.bound:
        return ""
    beside = f", the deployed version's is {_text(goal, base)}" if goal.relative else ""
    failed = f" (last: {other['last_error']})" if goal.figure == "error_rate" else ""
    return (
        f"It breaks the goal {goal.text!r}: of {other['requests']} requests its "
        f"{goal.figure.removesuffix('_ms')} is {_text(goal, value)}{failed}{beside}."
    )


def _text(goal: Goal, value: float) -> str:
    return f"{value:.1%}" if goal.figure == "error_rate" else f"{value:.1f} ms"
