"""Runs as they are compared: which are looked at, and what is known of each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: MLflow keeps the infinities as the largest numbers that its column can hold.
_LARGEST = 1.7976931348623157e308

#: The step that makes models (a search ends in one too); a run without a verb is someone's own.
MAKERS = ("", "train")
ENDED_BADLY = ("FAILED", "KILLED")


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Which runs are compared.

    Attributes
    ----------
    names : tuple of str
        Models or experiments, with all their runs.
    run_ids : tuple of str
        Runs on their own, whatever they are.
    everything : bool
        Whether trials, and runs that failed or were killed, belong to it.
    """

    names: tuple[str, ...] = ()
    run_ids: tuple[str, ...] = ()
    everything: bool = False


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One run; times in milliseconds since the epoch, UTC."""

    run_id: str
    experiment: str
    name: str
    status: str
    started: int
    ended: int | None
    artifacts: str
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Page:
    """Some of the runs, in order.

    Attributes
    ----------
    total : int or None
        How many there are in all; ``None`` where only so many were looked at.
    trials, failed : int
        How many were left out, of those looked at.
    """

    entries: tuple[Entry, ...] = ()
    total: int | None = 0
    trials: int = 0
    failed: int = 0


def number(value: float | None) -> float:
    """A metric's value as it was logged; ``None`` is NaN."""
    if value is None:
        return math.nan
    return math.copysign(math.inf, value) if abs(value) >= _LARGEST else float(value)


def ordered(values: Mapping[str, Any]) -> dict[str, Any]:
    """By name."""
    return dict(sorted(values.items()))
