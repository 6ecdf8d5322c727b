"""A figure and how far it may be from the truth.

Intervals are bias-corrected and accelerated (BCa), read at levels that are widened for few rows.
The percentile interval of the bootstrap alone is too narrow where rows are few, and leans to one
side for a skewed figure such as an AUC near 1. `tests/benchmarks/intervals.py` measures how often
the intervals hold.

- BCa: Efron (1987), *Better bootstrap confidence intervals*, JASA 82, eq. 6.8; acceleration from
  the jackknife over groups of rows, whose cumulants add up to those of the single rows.
- Widened levels: Hesterberg (2015), *What teachers should know about the bootstrap*, The American
  Statistician 69, sect. 5.3: a normal quantile z becomes √(n / (n − 1)) times that of Student's t
  with n − 1 degrees of freedom, n being the rows of the smallest class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from mlops_magics.goals.samples import Floats

#: Of an interval that is shown.
LEVEL = 0.95
#: A larger correction is no longer one: then the figure itself is biased (a calibration error,
#: which is never below 0), and the resamples are more so.
_MOST_BIAS = 0.6


@dataclass(frozen=True)
class Figure:
    """A value, its replicates, and what it rests on.

    Attributes
    ----------
    value : float
    drawn : array of shape (resamples,)
        The value on each resample.
    left_out : array of shape (groups,)
        The value without each group of rows; empty where it is not known.
    rows, smallest : int
        How many rows there are in all, and in the smallest class.
    """

    value: float
    drawn: Floats
    left_out: Floats = field(default_factory=lambda: np.array([]))
    rows: int = 0
    smallest: int = 0

    def __sub__(self, other: Figure) -> Figure:
        """The difference, on the same resamples of the same rows."""
        return combined(lambda both: both[0] - both[1], [self, other])

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The two-sided interval; NaN where the resamples leave it undefined."""
        tail = (1 - level) / 2
        return self._end(tail), self._end(1 - tail)

    def bound(self, level: float, *, lower: bool) -> float:
        """The one-sided bound: the true value is above (below) it with that confidence."""
        return self._end(1 - level if lower else level)

    def p(self, bound: float, *, at_least: bool, strictly: bool = False) -> float:
        """One-sided probability of such evidence if the value did not lie beyond the bound.

        It is the level at which `bound` would just reach it; never 0, as the data itself counts
        as one of the resamples.
        """
        drawn = self._defined
        if not len(drawn):
            return float("nan")
        wrong = drawn < bound if at_least else drawn > bound
        if strictly:
            wrong |= drawn == bound
        share = (wrong.sum() + 1) / (len(drawn) + 1)
        if np.ptp(drawn) == 0:
            return float(share)
        at = ndtri(min(share, 1 - 1 / (len(drawn) + 1)))
        at = at if at_least else -at
        bias, skew = self._bias, self._acceleration
        moved = (at - bias) / (1 + skew * (at - bias)) - bias
        n = max(self.smallest, 2)
        below = float(stdtr(n - 1, moved / np.sqrt(n / (n - 1))))
        return below if at_least else 1 - below

    def _end(self, share: float) -> float:
        """The value below which the truth lies with the probability `share`."""
        drawn = self._defined
        if not len(drawn):
            return float("nan")
        if np.ptp(drawn) == 0:
            return float(drawn[0])
        n = max(self.smallest, 2)
        z = np.sqrt(n / (n - 1)) * stdtrit(n - 1, share)
        bias, skew = self._bias, self._acceleration
        at = ndtr(bias + (bias + z) / (1 - skew * (bias + z)))
        return float(np.quantile(drawn, at))

    @cached_property
    def _defined(self) -> Floats:
        # A resample on which the metric is undefined says nothing about where its value lies.
        return self.drawn[np.isfinite(self.drawn)]

    @cached_property
    def _bias(self) -> float:
        """Normal quantile of the share of resamples below the value (ties count half)."""
        drawn = self._defined
        below = ((drawn < self.value).sum() + 0.5 * (drawn == self.value).sum()) / len(drawn)
        return float(np.clip(ndtri(below), -_MOST_BIAS, _MOST_BIAS))

    @cached_property
    def _acceleration(self) -> float:
        """Skewness of the influence of the rows, divided by 6."""
        values = self.left_out[np.isfinite(self.left_out)]
        influence = values.mean() - values if len(values) else values
        scale = float((influence**2).sum())
        if scale <= 1e-24 * max(1.0, self.value**2):  # rounding, no influence
            return 0.0
        return float((influence**3).sum() / (6 * scale**1.5))


def combined(how: Callable[[Floats], Floats], figures: Sequence[Figure]) -> Figure:
    """A figure made of several of the same rows.

    Parameters
    ----------
    how : callable
        Values of shape (figures, k) → the k values of what is made of them.
    """
    fewest = min(len(f.drawn) for f in figures)
    known = all(len(f.left_out) == len(figures[0].left_out) for f in figures)
    return Figure(
        value=float(how(np.array([[f.value] for f in figures]))[0]),
        drawn=how(np.stack([f.drawn[:fewest] for f in figures])),
        left_out=how(np.stack([f.left_out for f in figures])) if known else np.array([]),
        rows=figures[0].rows,
        smallest=min(f.smallest for f in figures),
    )


def holm(ps: Sequence[float]) -> list[float]:
    """Adjusted p values: each rejected at a level with all of them right at that level.

    Holm (1979), *A simple sequentially rejective multiple test procedure*.
    """
    order = np.argsort(ps)
    adjusted = np.empty(len(ps))
    highest = 0.0
    for rank, at in enumerate(order):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[at]))
        adjusted[at] = highest
    return [float(p) for p in adjusted]
