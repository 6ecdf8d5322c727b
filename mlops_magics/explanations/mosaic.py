"""Rows put together from the values of other rows, and a model asked for many of them at once.

Shuffled columns, partial dependence and Shapley sampling all ask a model for rows that never were:
each value is one that stands in some row. So a type never changes, and every model can be asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlops_magics.goals.samples import Array

Ints = NDArray[np.intp]
#: What a model says of rows: arrays with one entry a row, or nothing in their place.
Said = tuple[Array | None, ...]

#: So many cells and rows are put together at once, which bounds the memory that is needed.
CELLS, ROWS = 2_000_000, 50_000


def rows(pool: pd.DataFrame, sources: Ints) -> pd.DataFrame:
    """Rows whose value in column j stands in the row ``sources[:, j]`` of `pool`.

    Parameters
    ----------
    sources : array of int, shape (n, columns of `pool`)
    """
    taken = {j: pool.iloc[:, j].array.take(sources[:, j]) for j in range(pool.shape[1])}
    frame = pd.DataFrame(taken, index=range(len(sources)))
    frame.columns = pool.columns
    return frame


def ask(
    answer: Callable[[pd.DataFrame], Said], pool: pd.DataFrame, variants: Iterable[Ints]
) -> Iterator[Said]:
    """What a model says of each variant, asked for as many of them at once as memory allows.

    Parameters
    ----------
    variants : iterable of arrays
        As `rows` takes them.
    """
    most = max(1, min(ROWS, CELLS // max(pool.shape[1], 1)))
    waiting: list[Ints] = []
    for sources in variants:
        if waiting and sum(map(len, waiting)) + len(sources) > most:
            yield from _answered(answer, pool, waiting)
            waiting = []
        waiting.append(sources)
    if waiting:
        yield from _answered(answer, pool, waiting)


def _answered(
    answer: Callable[[pd.DataFrame], Said], pool: pd.DataFrame, variants: list[Ints]
) -> Iterator[Said]:
    said = answer(rows(pool, np.concatenate(variants)))
    start = 0
    for sources in variants:
        part = slice(start, start + len(sources))
        yield tuple(None if values is None else values[part] for values in said)
        start += len(sources)


def same(places: Any, columns: int) -> Ints:
    """The sources of rows as they are: every value from the row's own place."""
    return np.repeat(np.asarray(places, dtype=np.intp)[:, None], columns, axis=1)
