"""Rows of the training data that a search keeps back, so that the test rows stay unseen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_magics import evidence
from mlops_magics.errors import BadData, WrongUsage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlops_magics.records import Dataset

#: The share of the training rows that is kept back.
SHARE = 0.25

#: The target beside the column to split by, under a name that no column has.
_TARGET = "\0target"


@dataclass(frozen=True)
class Part:
    """Positions of the rows to learn from, and of those kept back."""

    learned: Any
    held: Any


@dataclass(frozen=True)
class Holdout:
    """Training rows, and how they are taken apart: once, or once a fold."""

    X: Any
    y: Any
    parts: Sequence[Part]
    method: str
    warnings: tuple[str, ...] = ()

    def take(self, rows: Any) -> tuple[Any, Any]:
        """Those rows of `X` and `y`, as a copy."""
        return _take(self.X, rows), _take(self.y, rows)


def make(X: Any, y: Any, dataset: Dataset | None, *, folds: int, seed: int) -> Holdout:
    """Take training rows apart as the dataset itself was split: by class, group or time.

    Parameters
    ----------
    X : frame or array of n rows
    y : series or array of length n
    folds : int
        0 keeps a quarter of the rows back; more is cross-validation over so many parts.

    Raises
    ------
    WrongUsage
        If `folds` is 1 or negative, or `X` can't be taken apart by rows.
    BadData
        If there are too few rows, or `X` and `y` differ in length.
    """
    if folds < 0 or folds == 1:
        raise WrongUsage(f"--folds must be 0 or at least 2, not {folds}.", "5 is usual.")
    if not hasattr(X, "iloc") and not hasattr(X, "shape"):
        raise WrongUsage(
            f"X_train is a {type(X).__name__}, whose rows can't be taken apart.",
            "Use a DataFrame or an array, or let the code bind `score`.",
        )
    rows = X.shape[0]
    if rows != len(y):
        raise BadData(f"X_train has {rows} rows and y_train {len(y)}.", "They must be the same.")
    column, warnings = _column(X, dataset)
    by = dict([column] if column else [])
    frame = _frame(X, y, *by.values())
    if not folds:
        split = evidence.splitting.split(frame, _TARGET, SHARE, seed=seed, **by)
        return Holdout(
            X,
            y,
            [Part(split.train_rows, split.test_rows)],
            split.method,
            (*warnings, *split.warnings),
        )
    if rows < 2 * folds:
        raise BadData(f"{folds} folds need {2 * folds} rows; there are {rows}.", "Use fewer.")
    parts = list(_folds(frame, folds, seed, by))
    return Holdout(X, y, parts, f"{folds} folds{f' by {column[1]}' if column else ''}", warnings)


def _column(X: Any, dataset: Dataset | None) -> tuple[tuple[str, str] | None, tuple[str, ...]]:
    """The group or time column by which the dataset was split, if the rows still have it."""
    split = dataset.split if dataset else {}
    kind = next((k for k in ("group", "time") if split.get(k)), None)
    if kind is None:
        return None, ()
    name = str(split[kind])
    if name in getattr(X, "columns", ()):
        return (kind, name), ()
    return None, (
        f"X_train has no column {name!r} any more, by which the dataset was split: the rows that "
        "the search keeps back are drawn at random.",
    )


def _frame(X: Any, y: Any, *columns: str) -> Any:
    """The target, and the column to split by, with rows counted from 0."""
    import numpy as np
    import pandas as pd

    # Of several targets the first decides what the parts look like.
    first = y.iloc[:, 0] if getattr(y, "ndim", 1) > 1 and hasattr(y, "iloc") else y
    if not hasattr(first, "iloc"):
        first = pd.Series(np.asarray(first).reshape(len(first), -1)[:, 0])
    frame = pd.DataFrame({_TARGET: first.reset_index(drop=True)})
    for name in columns:
        frame[name] = X[name].reset_index(drop=True)
    return frame


def _folds(frame: Any, folds: int, seed: int, by: dict[str, str]) -> Iterator[Part]:
    import numpy as np
    import pandas as pd
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    target, group, time = frame[_TARGET], by.get("group"), by.get("time")
    if time:
        moments = pd.factorize(frame[time], sort=True)[0]
        cuts = np.quantile(moments, np.linspace(0, 1, folds + 2)[1:-1], method="nearest")
        for start, end in zip(np.unique(cuts), [*np.unique(cuts)[1:], np.inf], strict=True):
            learned, held = moments < start, (moments >= start) & (moments < end)
            if learned.any() and held.any():
                yield Part(np.flatnonzero(learned), np.flatnonzero(held))
        return
    classes = pd.factorize(target)[0]
    classified = evidence.splitting.task(target) == "classification"
    stratified = classified and np.bincount(classes).min() >= folds
    options = {"n_splits": folds, "shuffle": True, "random_state": seed}
    groups = frame[group] if group else None
    if group is not None and not stratified:
        splitter = GroupKFold(n_splits=folds)
    elif group is not None:
        splitter = StratifiedGroupKFold(**options)
    else:
        splitter = (StratifiedKFold if stratified else KFold)(**options)
    for learned, held in splitter.split(frame, classes, groups):
        yield Part(learned, held)


def _take(values: Any, rows: Any) -> Any:
    if hasattr(values, "iloc"):
        return values.iloc[rows]
    return values[rows] if hasattr(values, "shape") else [values[i] for i in rows]
