"""What this process did last, and the names that its notebook has bound.

A training falls back to the last dataset, `log` adds to the last run, and `tune` runs its code on
the notebook's names; a script has none of its own here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlops_magics import store

if TYPE_CHECKING:
    from mlops_magics.evidence.cells import Log
    from mlops_magics.records import Dataset

#: Set where a recorded training is run again: the `prepare` run whose dataset it had at hand.
PREPARED = "MLOPS_PREPARED"

_dataset: Dataset | None = None
_run: tuple[str, str] | None = None
_namespace: Mapping[str, Any] = {}
_cells: Log | None = None


def remember(dataset: Dataset) -> None:
    """Note the dataset that was prepared last."""
    global _dataset
    _dataset = dataset


def latest() -> Dataset | None:
    """The dataset that was prepared last in this process."""
    if _dataset is None and (run_id := os.environ.get(PREPARED)):
        remember(store.datasets.by_run(run_id))
    return _dataset


def remember_run(run_id: str, name: str) -> None:
    """Note the run that was trained last."""
    global _run
    _run = (run_id, name)


def latest_run() -> tuple[str, str] | None:
    """The id and the experiment of the run that was trained last in this process."""
    return _run


def attach(namespace: Mapping[str, Any], log: Log | None = None) -> None:
    """Note the names of the notebook that this process runs, and the log of its cells."""
    global _namespace, _cells
    _namespace, _cells = namespace, log


def cells() -> Log | None:
    """What the notebook has run; ``None`` outside one."""
    return _cells


def namespace() -> Mapping[str, Any]:
    """The names that the notebook has bound; empty outside one."""
    return _namespace


def kept() -> dict[str, Any]:
    """What another process needs to go on where this one is."""
    return {"dataset": _dataset, "run": _run, "log": _cells.kept() if _cells else None}


def restore(held: Mapping[str, Any]) -> None:
    """Go on where another process was; its names are bound here by now."""
    global _dataset, _run
    _dataset, _run = held["dataset"], held["run"]
    if _cells is not None and held["log"] is not None:
        _cells.go_on(held["log"])
