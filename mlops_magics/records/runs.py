"""Runs: one, many compared, and what is known of how they came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlops_magics.records.base import Record


@dataclass(frozen=True, kw_only=True)
class Run(Record):
    """One tracked run of training code.

    Attributes
    ----------
    status : str
        ``running``, ``finished``, ``failed``, ``interrupted`` or ``killed``.
    model : str or None
        The registered version, ``name/number``.
    trust : mapping
        What is known of how far the record can be relied on.
    duration : float
        Seconds of wall time.
    """

    run_id: str
    name: str
    status: str
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    model: str | None = None
    trust: Mapping[str, Any] = field(default_factory=dict)
    estimator: str = ""
    dataset: str = ""
    digest: str = ""
    duration: float = 0.0
    resources: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Logged(Record):
    """What was added to a run after the fact."""

    run_id: str
    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    step: int | None = None


@dataclass(frozen=True, kw_only=True)
class Tuning(Record):
    """A search over hyperparameters and algorithms.

    Attributes
    ----------
    status : str
        ``finished``, ``interrupted`` or ``failed``.
    metric, direction : str
        What was sought, and ``maximize`` or ``minimize``.
    trials : mapping
        How many were ``complete``, ``pruned`` and ``failed``.
    best : mapping
        ``number``, ``value`` and ``params`` of the best trial; empty when none was completed.
    rows : tuple of mapping
        One per trial, best first: ``number``, ``state``, ``value``, ``params``, ``duration`` in
        seconds, ``run_id`` of its child run, and ``reason`` where it failed.
    importance : mapping
        Parameter → its share of the variance of the results (sums to 1), where it can be told.
    model : str or None
        The version that the best trial became, ``name/number``.
    study : str
        Where the search can be taken up again.
    validation : str
        How the rows that models were compared on were kept back; empty where the code scores
        itself on rows that it chooses.
    """

    run_id: str
    name: str
    status: str
    metric: str
    direction: str
    trials: Mapping[str, int] = field(default_factory=dict)
    best: Mapping[str, Any] = field(default_factory=dict)
    rows: tuple[Mapping[str, Any], ...] = ()
    importance: Mapping[str, float] = field(default_factory=dict)
    model: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    engine: str = "local"
    duration: float = 0.0
    study: str = ""
    validation: str = ""


@dataclass(frozen=True, kw_only=True)
class Comparison(Record):
    """A leaderboard over runs and versions.

    Attributes
    ----------
    by : str
        The metric it is sorted by; empty when there is none, and the newest are first.
    greater_is_better : bool
        The direction in which `by` is better.
    rows : tuple of mapping
        Best first; each with ``rank`` (equal values share one; ``None`` without a value),
        ``label`` (what it is called in the plots), ``model``, ``run_id``, ``name``,
        ``aliases``, ``estimator``, ``params``, ``metrics``, ``duration`` in seconds,
        ``resources``, ``dataset``, ``digest``, ``comparable`` (whether measured on the same
        rows as the best; ``None`` where that is not known), ``verdict``,
        ``size`` in bytes, ``trust``, ``trust_reason``, ``reproduction``, ``started``, ``actor``
        and ``status``.
    varying : tuple of str
        The parameters that differ between these rows.
    total : int or None
        How many runs there are in all; ``None`` where the store was not asked for all.
    offset : int
        How many come before the first row.
    trials, failed : int
        How many trials of searches, and runs that failed or were killed, were left out.
    curves : mapping
        What the plots are drawn from: kind (``roc``, ``precision_recall``, ``calibration``,
        ``residuals``) → label → points.
    """

    names: tuple[str, ...]
    by: str
    greater_is_better: bool
    rows: tuple[Mapping[str, Any], ...]
    varying: tuple[str, ...] = ()
    total: int | None = 0
    offset: int = 0
    trials: int = 0
    failed: int = 0
    curves: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class Changes(Record):
    """What differs between two runs or versions, from `b` (before) to `a` (after).

    Attributes
    ----------
    data : mapping
        ``same`` (``None`` where it is not known), ``before`` and ``after`` (name, digest, rows),
        ``columns`` (``added`` and ``removed``, name → type, and ``retyped`` with name, before and
        after),
        ``split`` (what differs of it, ``[before, after]``), ``distributions`` (one a column, as
        `monitor` has them) and ``compared`` (what these were read from).
    code : tuple of mapping
        One per cell that was ``changed``, ``added`` or ``removed`` (``change``), with its
        ``number`` (``[before, after]``) and its unified ``diff``.
    unchanged_cells : int
        How many cells are the same in both.
    git : mapping
        ``commit`` and ``uncommitted`` where they differ, ``[before, after]``.
    model, params, libraries, environment : mapping
        Name → ``[before, after]``; ``None`` where there was none.
    imported : tuple of str
        Those of the libraries that the training had imported.
    metrics : mapping
        Name → ``before``, ``after``, ``difference`` and ``better`` (``None`` where the direction
        is not known or nothing changed); the main one first.
    """

    a: str
    b: str
    data: Mapping[str, Any] = field(default_factory=dict)
    code: tuple[Mapping[str, Any], ...] = ()
    unchanged_cells: int = 0
    git: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    libraries: Mapping[str, Any] = field(default_factory=dict)
    imported: tuple[str, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Reproduction(Record):
    """A recorded training run again, in a fresh kernel, and whether it gave the same.

    Attributes
    ----------
    outcome : str
        ``reproduced``, ``differs`` or ``can't run``.
    differences : tuple of mapping
        What differs and by how much: ``what``, ``recorded``, ``found``, ``difference``.
    compared : mapping
        What was compared, and over how many values: data, metrics, predictions.
    reason : str
        The verdict in one sentence.
    tolerance : float
        Relative difference up to which figures count as equal.
    notebook : str
        The executed notebook.
    environment : str
        ``this`` (where the verb ran) or ``lock`` (a fresh one made from the recorded lock).
    """

    ref: str
    outcome: str
    differences: tuple[Mapping[str, Any], ...] = ()
    compared: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    tolerance: float = 0.0
    params: Mapping[str, Any] = field(default_factory=dict)
    notebook: str = ""
    environment: str = "this"
    duration: float = 0.0
    run_id: str = ""

    @property
    def exit_code(self) -> int:
        return {"reproduced": 0, "differs": 3}.get(self.outcome, 1)
