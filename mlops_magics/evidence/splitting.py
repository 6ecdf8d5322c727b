"""Splitting rows into those to learn from and those to judge by."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupShuffleSplit, StratifiedGroupKFold, train_test_split

from mlops_magics.errors import BadData, WrongUsage
from mlops_magics.evidence import columns

#: A target of whole numbers with at most so many values is a class rather than a quantity.
MOST_CLASSES = 20

# Stratifying groups looks at each in turn; with more of them, chance balances the classes.
_MOST_GROUPS = 2000
_FOLDS = 20

Rows = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Split:
    """Which rows are for training and which for testing.

    Attributes
    ----------
    train_rows, test_rows : array of int64
        Positions, ascending; together every row once.
    method : str
        How it was done, in words.
    warnings : tuple of str
        Where it could not be done as it should, one sentence each.
    """

    train_rows: Rows
    test_rows: Rows
    method: str
    warnings: tuple[str, ...] = ()


def task(target: pd.Series) -> str:
    """``classification`` or ``regression``, by what the target holds.

    Text, truth values and categories are classes. Numbers are classes when there are two, or
    when they are whole, at most 20, and few for the number of rows (at most its square root).
    """
    if isinstance(target.dtype, pd.CategoricalDtype):
        return "classification"
    if columns.type_of(target) not in ("integer", "number"):
        return "classification"
    values = columns.numbers(target)
    different = np.unique(values[~np.isnan(values)])
    if len(different) <= 2:
        return "classification"
    whole = bool(np.all(np.mod(different, 1) == 0))
    few = len(different) <= min(MOST_CLASSES, math.sqrt(len(target)))
    return "classification" if whole and few else "regression"


def split(
    frame: pd.DataFrame,
    target: str | None = None,
    test: float = 0.2,
    group: str | None = None,
    time: str | None = None,
    seed: int = 0,
) -> Split:
    """Split the rows of `frame`, always in the same way for the same arguments.

    Parameters
    ----------
    target : str, optional
        For classes, each has the same share on both sides as far as that is possible.
    test : float
        The share of rows to test with, between 0 and 1.
    group : str, optional
        A column no value of which shall stand on both sides, such as a customer.
    time : str, optional
        A column by which the latest rows are the test; rows of one time stay together.

    Raises
    ------
    WrongUsage
        If `test` is not between 0 and 1, or both `group` and `time` are given.
    BadData
        If there are too few rows, groups or times, or some are missing.
    """
    if not 0 < test < 1:
        raise WrongUsage(
            f"The test share must lie between 0 and 1, not {test:g}.",
            "0.2 keeps a fifth of the rows for testing.",
        )
    if group and time:
        raise WrongUsage(
            "A split is by group or by time, not by both.",
            "The latest rows of one group would stand on both sides of it.",
        )
    if len(frame) < 2:
        raise BadData("A split needs at least two rows; there is one.", "Give more data.")
    classes = None
    if target and task(frame[target]) == "classification":
        # A missing target is a class here; the caller refuses it before or after.
        classes = np.asarray(pd.factorize(frame[target], use_na_sentinel=False)[0])
    if time:
        return _by_time(frame[time], time, test)
    if group:
        return _by_group(frame[group], group, classes, test, seed)
    return _by_chance(len(frame), classes, test, seed)


def _by_chance(count: int, classes: Rows | None, test: float, seed: int) -> Split:
    rows = np.arange(count)
    wanted = _share(count, test)
    if classes is None:
        train, held = train_test_split(rows, test_size=wanted, random_state=seed)
        return _made(train, held, "at random")
    sizes = np.bincount(classes)
    problem = ""
    if sizes.min() < 2:
        alone = int((sizes == 1).sum())
        problem = "one class has" if alone == 1 else f"{alone} classes have"
        problem += " a single row"
    elif min(wanted, count - wanted) < len(sizes):
        problem = f"{len(sizes)} classes do not fit into {min(wanted, count - wanted)} rows"
    if problem:
        train, held = train_test_split(rows, test_size=wanted, random_state=seed)
        return _made(train, held, "at random", f"The split is not stratified: {problem}.")
    train, held = train_test_split(rows, test_size=wanted, random_state=seed, stratify=classes)
    return _made(train, held, "stratified")


def _by_group(values: pd.Series, name: str, classes: Rows | None, test: float, seed: int) -> Split:
    _refuse_missing(values, name, "group")
    groups, names = pd.factorize(values)
    count = len(names)
    if count < 2:
        raise BadData(
            f"Column {name!r} has one value only, so there are no groups to split by.",
            "Name a column with several values, or leave the group out.",
        )
    method = f"by groups of {name}"
    if classes is not None and count <= _MOST_GROUPS and np.bincount(classes).max() >= 2:
        held = _stratified_groups(groups, count, classes, test, seed)
        method = f"stratified {method}"
    else:
        chance = GroupShuffleSplit(1, test_size=_share(count, test), random_state=seed)
        _, held = next(chance.split(groups, groups=groups))
    train = np.setdiff1d(np.arange(len(values)), held)
    share = len(held) / len(values)
    said = (
        f"The groups of {name} are uneven: the test has {share:.0%} of the rows instead of "
        f"{test:.0%}."
    )
    return _made(train, held, method, said if abs(share - test) > 0.1 else "")


def _stratified_groups(groups: Rows, count: int, classes: Rows, test: float, seed: int) -> Rows:
    """Folds of whole groups, each with its share of every class; as many as make the test."""
    folds = min(_FOLDS, count, int(np.bincount(classes).max()))
    parts = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer rows than folds
        each = [held for _, held in parts.split(groups, classes, groups)]
    filled = [held for held in each if len(held)]
    return np.concatenate(filled[: _share(len(filled), test)])


def _by_time(values: pd.Series, name: str, test: float) -> Split:
    _refuse_missing(values, name, "time")
    order = _ordered(values, name)
    cuts = np.unique(order)
    if len(cuts) < 2:
        raise BadData(
            f"Column {name!r} has one time only, so there is no later and earlier.",
            "Name a column with several times, or leave the time out.",
        )
    # Rows of one time stay on one side: cut where the share comes nearest to what was asked.
    # The first time is no cut, as nothing would be left to learn from.
    first = np.sort(order)[min(round(len(order) * (1 - test)), len(order) - 1)]
    wanted = max(int(np.searchsorted(cuts, first)), 1)
    near = cuts[max(wanted - 1, 1) : wanted + 2]
    late = min((order >= cut for cut in near), key=lambda rows: abs(float(rows.mean()) - test))
    share = float(late.mean())
    said = (
        f"Many rows have the same {name}: the test has {share:.0%} of the rows instead of "
        f"{test:.0%}."
    )
    rows = np.arange(len(values))
    method = f"the latest by {name}"
    return _made(rows[~late], rows[late], method, said if abs(share - test) > 0.1 else "")


def _ordered(values: pd.Series, name: str) -> np.ndarray[Any, Any]:
    """The times as numbers that can be compared."""
    if columns.type_of(values) in ("integer", "number"):
        return columns.numbers(values)
    if isinstance(values.dtype, pd.PeriodDtype):
        values = values.dt.to_timestamp()
    try:
        moments = columns.times(values).dt.tz_convert(None).to_numpy()
        return np.asarray(moments.astype(np.int64))
    except (ValueError, TypeError) as error:
        raise BadData(
            f"Column {name!r} holds no times: {str(error).partition('. ')[0]}.",
            "Dates in text must be ISO 8601 (2024-12-31); else convert with pd.to_datetime.",
        ) from error


def _refuse_missing(values: pd.Series, name: str, what: str) -> None:
    missing = int(values.isna().sum())
    if missing:
        raise BadData(
            f"{missing:,} of {len(values):,} rows have no {what} in column {name!r}.",
            f"Drop them first, e.g. df.dropna(subset=[{name!r}]).",
        )


def _share(count: int, test: float) -> int:
    """How many of `count` are for the test: at least one, and one less than all at most."""
    return min(max(round(count * test), 1), count - 1)


def _made(train: Rows, held: Rows, method: str, said: str = "") -> Split:
    return Split(
        train_rows=np.sort(train).astype(np.int64),
        test_rows=np.sort(held).astype(np.int64),
        method=method,
        warnings=(said,) if said else (),
    )
