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
    gate : bool
        Whether it is one of those that are judged in any case.
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
    gate: bool = False


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
    waived_by : str
        Who let it pass; empty where nobody had to.
    """

    name: str
    status: Literal["passed", "warned", "failed", "waived"]
    found: str
    remedy: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    waived_by: str = ""


@dataclass(frozen=True, kw_only=True)
class Verdict(Record):
    """A version judged against goals.

    Attributes
    ----------
    passed : bool
        Every goal was met and no check of the data failed.
    against : str or None
        The version that ``champion`` stood for.
    vs : str
        The alias or the version that ``champion`` was to stand for, if a goal compares with it.
    origin : str
        Where `dataset` is found again: ``dataset`` (prepared under that name), ``file``, or
        ``memory`` (nowhere).
    checks : tuple of DataCheck
        What was looked at in the data first.
    multiplicity : str
        How the number of tests was accounted for, in one sentence.
    gates, gates_digest : str
        The file of goals that are judged in any case, and the digest of what it asks; of several,
        one after the other.
    functions : mapping
        The metrics that are no part of this package or a plugin, by name: ``where`` they were
        defined, their ``source``, and whether they stood in the settings' ``file``.
    machine : str
        Where latency and memory were measured.
    curves : mapping
        ROC, precision and recall, calibration or residuals: kind → model → points, as
        `goals.curves` gives them.
    at : str
        When, in UTC.
    """

    model: str
    passed: bool
    goals: tuple[GoalResult, ...]
    run_id: str = ""
    against: str | None = None
    vs: str = ""
    dataset: str = ""
    origin: str = ""
    dataset_digest: str = ""
    model_digest: str = ""
    rows: int = 0
    checks: tuple[DataCheck, ...] = ()
    multiplicity: str = ""
    gates: str = ""
    gates_digest: str = ""
    functions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    machine: str = ""
    curves: Mapping[str, Any] = field(default_factory=dict, repr=False)
    at: str = ""

    @property
    def exit_code(self) -> int:
        return 0 if self.passed else 3
