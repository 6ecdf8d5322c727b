"""Verdicts, and what followed from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlops_magics.records.base import Record


@dataclass(frozen=True, kw_only=True)
class GoalResult:
    """One goal and what was measured for it.

    Attributes
    ----------
    value : float or None
        In the goal's own unit; ``None`` when it could not be measured (then it failed).
    interval : tuple of float or None
        95 % bootstrap interval of the value (for a comparison, of the difference).
    reason : str
        Why it passed or failed, in words.
    """

    text: str
    value: float | None
    passed: bool
    interval: tuple[float, float] | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Verdict(Record):
    """A version judged against goals."""

    model: str
    passed: bool
    goals: tuple[GoalResult, ...]
    run_id: str = ""
    against: str | None = None
    dataset: str = ""
    dataset_digest: str = ""
    model_digest: str = ""
    rows: int = 0

    @property
    def exit_code(self) -> int:
        return 0 if self.passed else 3


@dataclass(frozen=True, kw_only=True)
class Promotion(Record):
    """An alias that was moved: from which version to which, by whom and why."""

    model: str
    alias: str
    version: str
    previous: str | None
    actor: str
    at: str
    reason: str = ""
    verdict: str | None = None
    overridden: bool = False
    run_id: str = ""


@dataclass(frozen=True, kw_only=True)
class History(Record):
    """Who did what to a model, oldest first; each event as it was recorded."""

    name: str
    events: tuple[Mapping[str, Any], ...]
