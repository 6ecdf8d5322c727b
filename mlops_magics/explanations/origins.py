"""Which of the user's columns each of an estimator's columns comes from.

A pipeline's last step sees scaled, encoded and imputed columns. Where each of them follows from one
column of the user's, its contribution is that column's. This is tried out, not read from names: a
column's values are moved, and what changes behind the transformer is its.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from mlops_magics.evidence import columns
from mlops_magics.explanations import mosaic
from mlops_magics.explanations.mosaic import Ints, Variant

#: Rows that are tried at least and at most, and of a column's categories, each of which is to be
#: among them.
_ROWS, _MOST, _EACH = 200, 1000, 50
#: From nothing: no column moves it, for it is the same in all rows.
NOTHING = -1


def of(transform: Callable[[Any], Any], rows: pd.DataFrame) -> Ints | None:
    """The place of the user's column for each column behind the transformer.

    ``None`` where one of them comes from several, or the transformer answers differently each time;
    `NOTHING` where none moves it.

    Parameters
    ----------
    rows : DataFrame
        Those to try it with.
    """
    tried = rows.iloc[_telling(rows)]
    before = table(transform(tried))
    if before.ndim != 2 or _changed(before, table(transform(tried))).any():
        return None
    found = np.full(before.shape[1], NOTHING, dtype=np.intp)
    as_they_are = np.arange(len(tried))
    for j in range(tried.shape[1]):
        moved_rows = Variant(as_they_are, {j: _moved(columns.codes(tried.iloc[:, j]))})
        after = table(transform(mosaic.rows(tried, [moved_rows])))
        if after.shape != before.shape:
            return None
        moved = _changed(before, after)
        if (found[moved] != NOTHING).any():
            return None
        found[moved] = j
    return found


def table(found: Any) -> np.ndarray[Any, Any]:
    """What a transformer gives, as a dense array of floats where it can be, else of objects."""
    dense = found.toarray() if hasattr(found, "toarray") else found
    try:
        return np.asarray(dense, dtype=float)
    except (TypeError, ValueError):
        return np.asarray(dense, dtype=object)


def _telling(rows: pd.DataFrame) -> Ints:
    """Some rows, and for each column a row with each of its categories and one without a value."""
    chosen = [np.arange(min(len(rows), _ROWS))]
    for j in range(rows.shape[1]):
        kinds, first = np.unique(columns.codes(rows.iloc[:, j]), return_index=True)
        chosen.append(first if len(kinds) <= _EACH else first[kinds < 0])
    # Those of the first come first: of very many columns not all categories find room.
    every = np.concatenate(chosen)
    _, first_seen = np.unique(every, return_index=True)
    return every[np.sort(first_seen)][:_MOST].astype(np.intp)


def _moved(codes: np.ndarray[Any, Any]) -> Ints:
    """For each row another one with another value, wherever there is one."""
    order = np.argsort(codes, kind="stable")
    longest = int(np.unique(codes, return_counts=True)[1].max())
    sources = np.empty(len(codes), dtype=np.intp)
    sources[order] = np.roll(order, -longest)
    return sources


def _changed(before: np.ndarray[Any, Any], after: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Which columns differ in any row; two missing values do not."""
    different = (before != after) & ~(pd.isna(before) & pd.isna(after))
    return np.asarray(different.any(axis=0), dtype=bool)
