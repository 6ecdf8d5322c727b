"""Rows drawn again and again: the draws on which every figure of a verdict rests.

Rows are drawn with replacement, as many as there are and, in a classification, from each class
as many as it has: `prepare` splits in just this way, and no resample is left without a class. A
figure is therefore judged for data with these shares of the classes; that the shares themselves
may be others is what the check of the labels looks at.

A resample is held as the number of times that each row was drawn. Metrics are computed from
these counts (`Metric.statistic`), many resamples at a time, in blocks of bounded memory. All
figures of a verdict share the draws, which costs less, and cancels in every difference what is
due to the rows rather than to the models.

Efron and Tibshirani (1993), *An Introduction to the Bootstrap*, ch. 6.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import numpy as np

from mlops_magics.goals.metrics import Statistic
from mlops_magics.goals.samples import Array, Floats

#: One number, or several that together name a stream of random numbers.
Seed = int | Sequence[int]

#: How many resamples a verdict rests on; and how many for a metric that is called once for each.
RESAMPLES = 1000
LOOPED = 200
#: Such a metric is not asked longer than this, s, once it has been asked `FEWEST` times.
PATIENCE = 20.0
FEWEST = 40

#: Groups of rows that are left out in turn; see `Resamples.left_out`.
LEFT_OUT = 200

# Counts held at once: 2 MB a block, which with the copies that a metric makes stays in cache.
_BLOCK = 1 << 18
# Draws up to so many bytes are kept for the next figure; more are drawn anew, from the same seed.
_KEPT = 1 << 27


def counts(
    rows: int, strata: Array | None = None, *, resamples: int = RESAMPLES, seed: Seed = 0
) -> Iterator[Floats]:
    """How often each row was drawn, in blocks of shape (b, rows) that are reused.

    The draws depend on the seed, the rows and the strata alone, not on the size of a block.
    """
    groups = _groups(rows, strata)
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(len(groups))]
    block = np.empty((_height(rows, resamples), rows))
    for start in range(0, resamples, len(block)):
        part = block[: min(len(block), resamples - start)]
        for counted in part:
            for members, stream in zip(groups, streams, strict=True):
                drawn = stream.integers(len(members), size=len(members), dtype=np.int32)
                counted[members] = np.bincount(drawn, minlength=len(members))
        yield part


class Resamples:
    """The draws from one set of rows.

    Attributes
    ----------
    smallest : int
        Rows of the smallest class (of all rows, where there are no strata): what limits how well
        anything can be known.
    """

    def __init__(
        self,
        rows: int,
        strata: Array | None = None,
        *,
        resamples: int = RESAMPLES,
        seed: Seed = 0,
    ) -> None:
        self.rows = rows
        self.strata = strata
        self.resamples = resamples
        self.seed = seed
        self.smallest = min((len(g) for g in _groups(rows, strata)), default=0)
        self._kept: list[np.ndarray] | None = None

    def blocks(self) -> Iterator[Floats]:
        """As `counts` gives them; kept where that takes little memory."""
        if self._kept is not None:
            yield from (block.astype(float) for block in self._kept)
            return
        small = self.rows * self.resamples <= _KEPT
        kept: list[np.ndarray] = []
        for block in counts(self.rows, self.strata, resamples=self.resamples, seed=self.seed):
            if small:
                kept.append(block.astype(np.uint8 if block.max() < 256 else np.uint16))
            yield block
        self._kept = kept if small else None

    def replicates(self, statistic: Statistic) -> Floats:
        """The statistic on each resample, of shape (resamples,)."""
        with _one_thread():
            return np.concatenate([statistic(block) for block in self.blocks()])

    def few(self, statistic: Statistic) -> Floats:
        """As `replicates`, of a statistic that takes its time: on the first `LOOPED` resamples.

        Fewer if they take longer than `PATIENCE` seconds.
        """
        began = time.monotonic()
        found: list[float] = []
        draws = counts(
            self.rows, self.strata, resamples=min(LOOPED, self.resamples), seed=self.seed
        )
        for block in draws:
            for counted in block:
                found.append(float(statistic(counted[np.newaxis])[0]))
                if len(found) >= FEWEST and time.monotonic() - began > PATIENCE:
                    return np.array(found)
        return np.array(found)

    def left_out(self, statistic: Statistic) -> Floats:
        """The statistic without each of up to `LEFT_OUT` groups of rows (the jackknife)."""
        groups = min(LEFT_OUT, self.rows)
        of = np.random.default_rng(self.seed).permutation(self.rows) % max(groups, 1)
        found = []
        with _one_thread():
            for start in range(0, groups, _height(self.rows, groups)):
                out = np.arange(start, min(start + _height(self.rows, groups), groups))
                found.append(statistic((of != out[:, np.newaxis]).astype(float)))
        return np.concatenate(found) if found else np.array([])


def _one_thread() -> AbstractContextManager[object]:
    """While it is held, products of matrices take one thread.

    A block is worked through in a tenth of a millisecond; where other work has the cores, waiting
    for a second thread takes longer than all of it.
    """
    limit: AbstractContextManager[object] = _libraries().limit(limits=1, user_api="blas")
    return limit


@cache
def _libraries() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _height(rows: int, resamples: int) -> int:
    """How many resamples make a block."""
    return max(1, min(resamples, _BLOCK // max(rows, 1)))


def _groups(rows: int, strata: Array | None) -> list[Array]:
    if strata is None:
        return [np.arange(rows)]
    import pandas as pd

    codes, kinds = pd.factorize(strata, use_na_sentinel=False)
    return [np.flatnonzero(codes == code) for code in range(len(kinds))]
