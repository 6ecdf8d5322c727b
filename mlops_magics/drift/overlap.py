"""Rows that a model is judged on and has seen before, and rows that count twice.

Rows of few categories are alike by nature. How often two rows of the training data are equal
tells how often that happens by chance; only what goes beyond it says something.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from mlops_magics.evidence import columns
from mlops_magics.records import DataCheck

#: Beyond chance, this share of seen rows fails: figures of models that learn rows by heart would
#: be too good by about as much.
SEEN = 0.01
#: Beyond chance, these shares of copies warn and fail: an interval takes each for a row of its own.
COPIED, MOSTLY_COPIED = 0.02, 0.2


Hashes = np.ndarray[Any, np.dtype[np.uint64]]


def seen_rows(now: Hashes, before: Hashes | None, recorded: bool) -> DataCheck:
    """Rows that stand among those that the model was trained on.

    Parameters
    ----------
    now, before : array of shape (rows,)
        A hash of each row, here and in training, where its rows can be had.
    recorded : bool
        Whether it is recorded what the model was trained on.
    """
    name = "seen rows"
    if before is None:
        why = "can't be had" if recorded else "are not recorded"
        return DataCheck(
            name=name,
            status="warned",
            found=f"The rows of training {why}, so it can't be told whether it has seen these.",
            remedy="" if recorded else "Record them: prepare DATA, then train on that.",
        )
    seen = int(np.isin(now, before).sum())
    chance = _alike(before)
    facts = {"seen": seen, "rows": len(now), "by_chance": round(chance * len(now), 1)}
    beyond = _beyond(seen, len(now), chance)
    if beyond > SEEN:
        return DataCheck(
            name=name,
            status="failed",
            found=(
                f"{seen:,} of {len(now):,} rows stand among those that the model was trained on"
                f"{_by_chance(chance * len(now))}: its figures flatter it."
            ),
            remedy="Judge it on rows that it has not seen.",
            facts=facts,
        )
    found = (
        f"{seen:,} of {len(now):,} rows equal one of training{_by_chance(chance * len(now))}."
        if seen
        else "None of the rows was seen in training."
    )
    return DataCheck(name=name, status="passed", found=found, facts=facts)


def duplicates(now: Hashes, before: Hashes | None) -> DataCheck:
    """Rows that are copies of an earlier one; see `seen_rows`."""
    copies = len(now) - len(np.unique(now))
    chance = 1 - len(np.unique(before)) / len(before) if before is not None and len(before) else 0.0
    beyond = _beyond(copies, len(now), chance)
    facts = {"copies": copies, "rows": len(now)}
    found = f"{copies:,} of {len(now):,} rows are copies of an earlier one."
    if beyond <= COPIED:
        none = "No row stands twice."
        return DataCheck(
            name="duplicates", status="passed", found=found if copies else none, facts=facts
        )
    return DataCheck(
        name="duplicates",
        status="failed" if beyond > MOSTLY_COPIED else "warned",
        found=f"{found[:-1]}; in training {chance:.1%} were.",
        remedy="Drop the copies: the intervals take each for a row of its own and are too narrow.",
        facts=facts,
    )


def groups(frame: pd.DataFrame, learned: pd.DataFrame, column: str) -> Iterator[DataCheck]:
    """Values of the column that the split keeps on one side."""
    if column not in frame.columns or column not in learned.columns:
        return
    now = frame[column].dropna()
    both = now.isin(learned[column].dropna().unique())
    count = int(now[both].nunique())
    facts = {"shared": count, "groups": int(now.nunique())}
    if not count:
        found = f"No value of {column!r} stands on both sides, as the split has it."
        yield DataCheck(name="groups", status="passed", found=found, facts=facts)
        return
    yield DataCheck(
        name="groups",
        status="failed",
        found=(
            f"{count:,} of the {facts['groups']:,} values of {column!r} stand in the training rows "
            f"as well ({int(both.sum()):,} rows): the model knows them."
        ),
        remedy=f"Judge it on rows of other values of {column!r}.",
        facts=facts,
    )


def time(frame: pd.DataFrame, learned: pd.DataFrame, column: str) -> Iterator[DataCheck]:
    """Rows from before the end of the training data, where the split is by time."""
    if column not in frame.columns or column not in learned.columns:
        return
    try:
        now, before = _moments(frame[column]), _moments(learned[column])
    except (ValueError, TypeError):
        return  # the check of the schema says what it holds
    early = int((now < before.max()).sum())
    facts = {"early": early, "rows": len(now)}
    if early <= SEEN * len(now):
        found = f"By {column!r} the rows are later than those of training."
        yield DataCheck(name="time", status="passed", found=found, facts=facts)
        return
    yield DataCheck(
        name="time",
        status="failed",
        found=(
            f"{early:,} of {len(now):,} rows are earlier by {column!r} than the last one of "
            "training: the model knows what came after them."
        ),
        remedy="Judge it on rows from after its training.",
        facts=facts,
    )


def _moments(values: pd.Series) -> pd.Series:
    if columns.type_of(values) in ("integer", "number"):
        return pd.Series(columns.numbers(values))
    return columns.times(values)


def _alike(hashed: Hashes) -> float:
    """The share of rows that another row equals."""
    if not len(hashed):
        return 0.0
    _, counts = np.unique(hashed, return_counts=True)
    return float(counts[counts > 1].sum() / len(hashed))


def _beyond(found: int, count: int, chance: float) -> float:
    """The share of rows that chance, at four standard errors, does not explain."""
    if not count:
        return 0.0
    expected = chance * count
    return max(0.0, float(found - expected - 4 * np.sqrt(expected)) / count)


def _by_chance(expected: float) -> str:
    return f" (about {expected:.0f} by chance)" if expected >= 1 else ""
