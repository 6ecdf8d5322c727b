"""What this process did last: the dataset a training falls back to, the run `log` adds to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlops_magics.records import Dataset

_dataset: Dataset | None = None
_run: tuple[str, str] | None = None


def remember(dataset: Dataset) -> None:
    """Note the dataset that was prepared last."""
    global _dataset
    _dataset = dataset


def latest() -> Dataset | None:
    """The dataset that was prepared last in this process."""
    return _dataset


def remember_run(run_id: str, name: str) -> None:
    """Note the run that was trained last."""
    global _run
    _run = (run_id, name)


def latest_run() -> tuple[str, str] | None:
    """The id and the experiment of the run that was trained last in this process."""
    return _run
