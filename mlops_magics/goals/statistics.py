"""The bootstrap: how far a figure measured on these rows may be from the truth.

Rows are drawn with replacement, as many as there are and, in a classification, from each class
as many as it has: `prepare` splits in just this way, and no resample is left without a class.
A resample is held as the number of times that each row was drawn. Metrics are computed from
these counts (`Metric.statistic`), many resamples at a time, in blocks of bounded memory. Two
models are compared on the same resamples of the same rows, which cancels what is due to the
rows rather than to the models.

Efron and Tibshirani (1993), *An Introduction to the Bootstrap*, ch. 13 (percentile intervals)
and ch. 16 (tests).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlops_magics.goals.metrics import Statistic, find
from mlops_magics.goals.samples import Array, Floats, Sample

#: One number, or several that together name a stream of random numbers.
Seed = int | Sequence[int]

#: How many resamples a verdict rests on.
RESAMPLES = 1000

# Counts held at once: 2 MB a block, which with the copies that a metric makes stays in cache.
_BLOCK = 1 << 18


@dataclass(frozen=True)
class Interval:
    """A value and where it lies with the given confidence.

    Attributes
    ----------
    replicates : array of shape (resamples,)
        The value on each resample.
    """

    value: float
    low: float
    high: float
    level: float
    replicates: Floats

    def bound(self, level: float, *, lower: bool) -> float:
        """The one-sided bound: the value is above (below) it with that confidence."""
        return _quantile(self.replicates, 1 - level if lower else level)


@dataclass(frozen=True)
class Comparison(Interval):
    """A difference between two models on the same rows, and how far it is from none.

    Attributes
    ----------
    p : float
        Two-sided probability of a difference at least this large if there were none.
    """

    p: float


def counts(
    rows: int, strata: Array | None = None, *, resamples: int = RESAMPLES, seed: Seed = 0
) -> Iterator[Floats]:
    """How often each row was drawn, in blocks of shape (b, rows) that are reused.

    The draws depend on the seed, the rows and the strata alone, not on the size of a block.
    """
    groups = _groups(rows, strata)
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(len(groups))]
    size = max(1, min(resamples, _BLOCK // max(rows, 1)))
    block = np.empty((size, rows))
    for start in range(0, resamples, size):
        part = block[: min(size, resamples - start)]
        for counted in part:
            for members, stream in zip(groups, streams, strict=True):
                drawn = stream.integers(len(members), size=len(members), dtype=np.int32)
                counted[members] = np.bincount(drawn, minlength=len(members))
        yield part


def _groups(rows: int, strata: Array | None) -> list[Array]:
    if strata is None:
        return [np.arange(rows)]
    import pandas as pd

    codes, kinds = pd.factorize(strata, use_na_sentinel=False)
    return [np.flatnonzero(codes == code) for code in range(len(kinds))]


def replicates(
    statistics: Sequence[Statistic],
    rows: int,
    strata: Array | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: Seed = 0,
) -> Floats:
    """Each statistic on the same resamples, of shape (statistics, resamples)."""
    found = np.empty((len(statistics), resamples))
    at = 0
    for block in counts(rows, strata, resamples=resamples, seed=seed):
        for row, statistic in zip(found, statistics, strict=True):
            row[at : at + len(block)] = statistic(block)
        at += len(block)
    return found


def bootstrap_interval(
    metric: str,
    rows: Sample,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: Seed = 0,
    params: Mapping[str, Any] | None = None,
) -> Interval:
    """A metric on a sample with its percentile interval.

    Raises
    ------
    Undefined
        If the metric has no value on the sample.
    """
    found, options = find(metric), dict(params or {})
    value = found.value(rows, **options)
    drawn = replicates(
        [found.statistic(rows, **options)],
        rows.rows,
        rows.strata,
        resamples=resamples,
        seed=seed,
    )
    return interval(value, drawn[0], level)


def compare_paired(
    metric: str,
    one: Sample,
    other: Sample,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: Seed = 0,
    params: Mapping[str, Any] | None = None,
) -> Comparison:
    """How much better or worse `one` is than `other` by a metric, on the same resampled rows.

    Raises
    ------
    Undefined
        If the metric has no value on one of the samples.
    """
    found, options = find(metric), dict(params or {})
    difference = found.value(one, **options) - found.value(other, **options)
    mine, its = replicates(
        [found.statistic(one, **options), found.statistic(other, **options)],
        one.rows,
        one.strata,
        resamples=resamples,
        seed=seed,
    )
    return comparison(difference, mine - its, level)


def interval(value: float, drawn: Floats, level: float = 0.95) -> Interval:
    """The two-sided percentile interval of `value` from its replicates."""
    tail = (1 - level) / 2
    return Interval(value, _quantile(drawn, tail), _quantile(drawn, 1 - tail), level, drawn)


def comparison(difference: float, drawn: Floats, level: float = 0.95) -> Comparison:
    """As `interval`, with the probability of such a difference by chance.

    p is twice the share of resamples on the other side of no difference, counting the data
    itself as one of them, so that it is never 0.
    """
    found = interval(difference, drawn, level)
    defined = drawn[np.isfinite(drawn)]
    smaller = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    p = min(1.0, 2 * (smaller + 1) / (len(defined) + 1))
    return Comparison(found.value, found.low, found.high, found.level, found.replicates, p)


def _quantile(drawn: Floats, share: float) -> float:
    # A resample on which the metric is undefined says nothing about where its value lies.
    defined = drawn[np.isfinite(drawn)]
    return float(np.quantile(defined, share)) if len(defined) else float("nan")
