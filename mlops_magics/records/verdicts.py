"""Verdicts: a version judged against goals, and what was looked at before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mlops_magics.records.base import Record


@dataclass(frozen=True, kw_only=True)
class GoalResult:
    """One goal and what was measured for it; figures in the goal's own unit.

    Attributes
    ----------
    value : float or None
        ``None`` when it could not be measured (then the goal failed).
    interval : tuple of float or None
        95 % bootstrap interval of the value (for a comparison, of the difference).
    reason : str
        Why it passed or failed, in words.
    metric, comparator, unit : str
        As the goal names them.
    bound : float or None
        What the value was held against (for a comparison: the reference's value and what the goal
        adds to it).
    rows : int or None
        How many rows the figure rests on.
    baseline, champion : float or None
        The figure of the model that knows nothing of the features, and of the champion, on the
        same rows.
    p, adjusted_p : float or None
        One-sided probability of such evidence if the goal did not hold, where it was judged by a
        test; and the same, corrected for the number of tests in this verdict.
    groups : tuple of mapping
        With ``by``: ``group``, ``rows``, ``value``, ``interval``, ``passed``, ``reason`` of each.
    """

    text: str
    value: float | None
    passed: bool
    interval: tuple[float, float] | None = None
    reason: str = ""
    metric: str = ""
    comparator: str = ""
    unit: str = ""
    bound: float | None = None
    rows: int | None = None
    baseline: float | None = None
    champion: float | None = None
    p: float | None = None
    adjusted_p: float | None = None
    groups: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class DataCheck:
    """One thing that was looked at in the data before a model was judged on it.

    Attributes
    ----------
    name : str
        As it may be waived by: ``schema``, ``seen rows``, ``duplicates``, ``labels``…
    status : str
        ``failed`` checks fail the verdict, unless they are waived.
    found : str
        What was seen, in one sentence.
    remedy : str
        What to do about it; empty when it is well.
    facts : mapping
        The figures behind it.
    """

    name: str
    status: Literal["passed", "warned", "failed", "waived"]
    found: str
    remedy: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Verdict(Record):
    """A version judged against goals.

    Attributes
    ----------
    passed : bool
        Every goal was met and no check of the data failed.
    against : str or None
        The version that ``champion`` stood for.
    checks : tuple of DataCheck
        What was looked at in the data first.
    multiplicity : str
        How the number of tests was accounted for, in one sentence.
    gates, gates_digest : str
        The file of goals that are judged in any case, and its content's digest.
    machine : str
        Where latency and memory were measured.
    curves : mapping
        ROC, precision and recall, calibration or residuals, as `goals.curves` gives them.
    """

    model: str
    passed: bool
    goals: tuple[GoalResult, ...]
    run_id: str = ""
    against: str | None = None
    dataset: str = ""
    dataset_digest: str = ""
    model_digest: str = ""
    rows: int = 0
    checks: tuple[DataCheck, ...] = ()
    multiplicity: str = ""
    gates: str = ""
    gates_digest: str = ""
    machine: str = ""
    curves: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def exit_code(self) -> int:
        return 0 if self.passed else 3
