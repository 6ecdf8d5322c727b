"""Columns that give the target away: equal to it, standing for it, or predicting it alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from mlops_magics.evidence import columns
from mlops_magics.evidence.splitting import task
from mlops_magics.records import Column

#: Rows looked at; more would not change the answer.
SAMPLE = 50_000

# With fewer rows, what looks like a pattern is chance.
_FEW = 50
# The share of what there is to gain over a guess that one column may not gain alone.
_NEAR_PERFECT = 0.98
# Thresholds enough to follow any smooth curve.
_LEAVES = 256
# What a tree's 32-bit floats still hold.
_LARGE = 1e37

_Codes = np.ndarray[Any, np.dtype[np.int64]]
_Floats = np.ndarray[Any, np.dtype[np.float64]]
_Mask = np.ndarray[Any, np.dtype[np.bool_]]


class Sign(NamedTuple):
    """A column that gives the target away, and how: `surely`, as it holds the target itself."""

    column: str
    sentence: str
    surely: bool


def find(
    frame: pd.DataFrame, target: str, known: Mapping[str, Column], rows: int = SAMPLE
) -> list[Sign]:
    """Each such column of `frame`, whose schema is `known`, by up to so many `rows`."""
    if known[target].distinct < 2:
        return []
    names = [
        c.name for c in known.values() if c.distinct + bool(c.missing) > 1 and c.name != target
    ]
    classes = task(frame[target]) == "classification"
    random = np.random.default_rng(0)
    seen = ""
    if len(frame) > rows:
        frame = frame.iloc[np.sort(random.choice(len(frame), rows, replace=False))]
        seen = f" in a sample of {rows:,} rows"
    learned = random.permutation(len(frame)) % 2 == 0
    return list(_signs(frame, target, names, classes, learned, seen))


def _signs(
    frame: pd.DataFrame, target: str, names: list[str], classes: bool, learned: _Mask, seen: str
) -> Iterator[Sign]:
    goal = columns.codes(frame[target])
    for name in names:
        values = frame[name]
        if _equal(values, frame[target]):
            said = f"Column {name!r} is equal to the target {target!r}{seen}; leave it out."
            yield Sign(name, said, surely=True)
            continue
        if len(frame) < _FEW:
            continue
        codes = columns.codes(values)
        if (classes or _count(goal) < np.sqrt(len(goal))) and _one_to_one(codes, goal):
            said = (
                f"Column {name!r} stands for the target {target!r} one to one{seen}; leave it out."
            )
            yield Sign(name, said, surely=True)
            continue
        gain = _gain(values, codes, frame[target], goal if classes else None, learned)
        if gain >= _NEAR_PERFECT:
            said = (
                f"Column {name!r} alone predicts the target almost perfectly: {gain:.1%} of what "
                f"there is to gain{seen}; is it known at the time of a prediction?"
            )
            yield Sign(name, said, surely=False)


def _equal(one: pd.Series, other: pd.Series) -> bool:
    types = {columns.type_of(one), columns.type_of(other)}
    if types <= {"integer", "number", "boolean"}:
        return bool(np.array_equal(columns.numbers(one), columns.numbers(other), equal_nan=True))
    if len(types) > 1 or "object" in types:
        return False
    plain = (v.astype(object).where(v.notna(), None).to_numpy() for v in (one, other))
    return bool((next(plain) == next(plain)).all())


def _one_to_one(codes: _Codes, goal: _Codes) -> bool:
    if _count(codes) != _count(goal):
        return False
    pairs = (codes + 1) * (goal.max() + 2) + goal + 1
    return len(np.unique(pairs)) == _count(goal)


def _count(codes: _Codes) -> int:
    """How many different codes there are, missing (-1) as one of them."""
    return int(codes.max()) + 1 + bool((codes < 0).any())


def _gain(
    values: pd.Series, codes: _Codes, target: pd.Series, goal: _Codes | None, learned: _Mask
) -> float:
    """How much better than a guess `values` predict, on rows that they were not learned on.

    1 is perfect, 0 no better. Of classes (`goal`) it is a share of the errors of always
    guessing the most frequent one, of numbers a share of the variance of their ranks (a few
    large values would otherwise decide alone).
    """
    y = rankdata(columns.numbers(target)) if goal is None else goal
    if columns.type_of(values) in ("integer", "number"):
        guessed = _by_tree(columns.numbers(values), y, learned, classes=goal is not None)
    else:
        guessed = _by_table(codes + 1, y, learned, classes=goal is not None)
    held = y[~learned]
    if goal is not None:
        wrong, blind = (
            (guessed != held).mean(),
            (held != np.bincount(goal[learned]).argmax()).mean(),
        )
    else:
        wrong, blind = ((held - guessed) ** 2).mean(), ((held - y[learned].mean()) ** 2).mean()
    return 1 - float(wrong / blind) if blind else 0.0


def _by_tree(x: _Floats, y: Any, learned: _Mask, *, classes: bool) -> Any:
    """Predictions for the rows not learned on, by the best thresholds of a number."""
    column = np.where(np.isinf(x), np.sign(x) * _LARGE, np.clip(x, -_LARGE, _LARGE))[:, None]
    kind = DecisionTreeClassifier if classes else DecisionTreeRegressor
    tree = kind(max_leaf_nodes=_LEAVES, min_samples_leaf=3, random_state=0)
    return tree.fit(column[learned], y[learned]).predict(column[~learned])


def _by_table(cells: _Codes, y: Any, learned: _Mask, *, classes: bool) -> Any:
    """Predictions for the rows not learned on: the most frequent or mean target of each value."""
    size = int(cells.max()) + 1
    if classes:
        table = np.zeros((size, int(y.max()) + 1))
        np.add.at(table, (cells[learned], y[learned]), 1)
        common = table.sum(axis=0).argmax()
        best = np.where(table.any(axis=1), table.argmax(axis=1), common)
    else:
        counts = np.bincount(cells[learned], minlength=size)
        sums = np.bincount(cells[learned], weights=y[learned], minlength=size)
        best = np.where(counts, sums / np.maximum(counts, 1), y[learned].mean())
    return best[cells[~learned]]
