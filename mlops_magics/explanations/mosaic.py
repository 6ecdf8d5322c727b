"""Rows put together from the values of other rows, and a model asked for many of them at once.

Shuffled columns, partial dependence and Shapley sampling all ask a model for rows that never were:
each value is one that stands in some row. So a type never changes, and every model can be asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlops_magics.goals.samples import Array

Ints = NDArray[np.intp]
#: What a model says of rows: arrays with one entry a row, or nothing in their place.
Said = tuple[Array | None, ...]

#: So many cells and rows are put together at once, which bounds the memory that is needed.
CELLS, ROWS = 2_000_000, 50_000


@dataclass(frozen=True)
class Variant:
    """Rows of a pool by their places, of which some columns have the values of other rows.

    Attributes
    ----------
    base : array of int, shape (n,)
    changed : mapping
        Column → the places, (n,), that its values are taken from instead.
    """

    base: Ints
    changed: Mapping[int, Ints]

    def __len__(self) -> int:
        return len(self.base)


def rows(pool: pd.DataFrame, variants: Sequence[Variant]) -> pd.DataFrame:
    """The rows of several variants, one after the other."""
    base = np.concatenate([variant.base for variant in variants])
    changed = sorted({j for variant in variants for j in variant.changed})
    frame = pool.take(base)
    frame.index = pd.RangeIndex(len(base))
    for j in changed:
        places = np.concatenate([variant.changed.get(j, variant.base) for variant in variants])
        frame.isetitem(j, pool.iloc[:, j].array.take(places))
    return frame


def ask(
    answer: Callable[[pd.DataFrame], Said], pool: pd.DataFrame, variants: Iterable[Variant]
) -> Iterator[Said]:
    """What a model says of each variant, asked for as many of them at once as memory allows."""
    most = max(1, min(ROWS, CELLS // max(pool.shape[1], 1)))
    waiting: list[Variant] = []
    for variant in variants:
        if waiting and sum(map(len, waiting)) + len(variant) > most:
            yield from _answered(answer, pool, waiting)
            waiting = []
        waiting.append(variant)
    if waiting:
        yield from _answered(answer, pool, waiting)


def _answered(
    answer: Callable[[pd.DataFrame], Said], pool: pd.DataFrame, variants: list[Variant]
) -> Iterator[Said]:
    said = answer(rows(pool, variants))
    start = 0
    for variant in variants:
        part = slice(start, start + len(variant))
        yield tuple(None if values is None else values[part] for values in said)
        start += len(variant)
