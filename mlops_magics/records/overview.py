"""The whole at a glance: status, set-up, tour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlops_magics.records.base import Record
from mlops_magics.records.notebooks import Verification
from mlops_magics.records.operations import Deployment


@dataclass(frozen=True, kw_only=True)
class Overview(Record):
    """Everything at a glance: models with aliases and verdicts, deployments, open work.

    Attributes
    ----------
    closed_runs : tuple of str
        Runs of dead processes, now closed as killed.
    delivered : tuple of str
        Runs that were kept on this machine while the store was away, delivered now.
    schedules : tuple of mapping
        One each: ``name``, ``kind``, ``every``, ``cron``, ``path``, ``last_run`` and ``next_run``
        (ISO 8601, UTC; ``None`` where there is none), its ``outcome``, whether it is ``overdue``,
        and what there is to say of it (``note``).
    """

    store: str
    models: tuple[Mapping[str, Any], ...] = ()
    deployments: tuple[Deployment, ...] = ()
    closed_runs: tuple[str, ...] = ()
    delivered: tuple[str, ...] = ()
    schedules: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing `doctor` looked at; ``remedy`` when it is not well."""

    name: str
    passed: bool
    found: str
    remedy: str = ""
    required: bool = True


@dataclass(frozen=True, kw_only=True)
class Diagnosis(Record):
    """The set-up, checked."""

    checks: tuple[Check, ...]

    @property
    def exit_code(self) -> int:
        return 0 if all(c.passed for c in self.checks if c.required) else 1


@dataclass(frozen=True, kw_only=True)
class Written(Record):
    """A file that was written for the user."""

    path: str


@dataclass(frozen=True, kw_only=True)
class Demo(Record):
    """The whole loop, step by step, and where its sealed record is."""

    folder: str
    steps: tuple[Mapping[str, Any], ...]
    notebook: str
    verification: Verification
