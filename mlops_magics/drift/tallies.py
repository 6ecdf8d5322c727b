"""What one pass over a column keeps of it: counts, however many rows there are.

A tally is made for a column's profile and takes the column in parts. What is compared and what is
said of the column is read from it, so that a table in memory and batches of a file larger than
memory give the same figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mlops_magics.drift.places import Places
from mlops_magics.drift.shares import Floats
from mlops_magics.evidence import columns

#: Values that are looked at together: they fit into a processor's cache.
BLOCK = 1 << 16
#: Values that are kept for the picture.
SAMPLE = 1 << 13


class Numbers:
    """Numbers, counted at and between some values that were quantiles in training.

    Parameters
    ----------
    knots : array of shape (k,)
        Ascending, each once.

    Attributes
    ----------
    counts : array of shape (2 k + 1,)
        Of the values below the first knot, at it, between it and the next, … above the last.
    rows, missing : int
        Missing ones are among the rows.
    infinite : int
    least, greatest : float
        Of the finite values; NaN while there are none.
    """

    def __init__(self, knots: Floats) -> None:
        self.knots = knots
        self._places = Places(knots)
        self.counts = np.zeros(2 * len(knots) + 1, dtype=np.int64)
        self.rows = self.missing = 0
        self.least, self.greatest = np.nan, np.nan
        self._between = np.zeros(len(knots) + 1)  # sums of the finite values between knots
        self._infinite = np.zeros(2, dtype=np.int64)
        self._at = 0.0
        self._sample = _Sample()

    def add(self, values: Floats) -> None:
        """Take further values; NaN is a missing one."""
        self.rows += len(values)
        for start in range(0, len(values), BLOCK):
            self._add(values[start : start + BLOCK])

    def _add(self, block: Floats) -> None:
        gaps = np.isnan(block)
        if gaps.any():
            block = block[~gaps]
            self.missing += int(gaps.sum())
        if not len(block):
            return
        left = self._places.find(block)
        on = self.knots[np.minimum(left, len(self.knots) - 1)] == block
        self.counts += np.bincount(2 * left + on, minlength=len(self.counts))
        finite = np.isfinite(block)
        if not finite.all():
            self._infinite += [np.isneginf(block).sum(), np.isposinf(block).sum()]
            block, left, on = block[finite], left[finite], on[finite]
            if not len(block):
                return
        with np.errstate(over="ignore", invalid="ignore"):
            sums = np.bincount(left, weights=np.where(on, 0.0, block), minlength=len(self._between))
            self._between += sums
        self.least = np.fmin(self.least, block.min())
        self.greatest = np.fmax(self.greatest, block.max())
        self._sample.add(block)

    @property
    def infinite(self) -> int:
        """How many are."""
        return int(self._infinite.sum())

    @property
    def given(self) -> int:
        """How many are not missing."""
        return self.rows - self.missing

    @property
    def sample(self) -> Floats:
        """Finite values for a picture, evenly spread over all of them; all where they are few."""
        return self._sample.values

    @property
    def upto(self) -> Floats:
        """The share of values ≤ each knot."""
        return np.asarray(np.cumsum(self.counts)[1::2] / max(self.given, 1))

    @property
    def below(self) -> Floats:
        """The share of values < each knot."""
        return np.asarray(np.cumsum(self.counts)[0:-1:2] / max(self.given, 1))

    @property
    def outside(self) -> int:
        """How many finite values are below the first knot or above the last."""
        return int(self.counts[0] + self.counts[-1]) - self.infinite

    @property
    def mean(self) -> float | None:
        """Of the finite values."""
        count = self.given - self.infinite
        if not count:
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            return float((self._between.sum() + self.knots @ self.counts[1::2]) / count)

    def reached(self, edges: Floats) -> Floats:
        """How many values are ≤ each edge: knots, or what comes right before one."""
        index = np.minimum(np.searchsorted(self.knots, edges, side="left"), len(self.knots) - 1)
        return np.asarray(np.cumsum(self.counts)[2 * index + (self.knots[index] == edges)])

    @property
    def always(self) -> str:
        """The value that each row has; empty where they differ."""
        same = not self.missing + self.infinite and self.least == self.greatest
        return str(float(self.least)) if same else ""

    def areas(self) -> tuple[Floats, float]:
        """∫ G over each stretch between two knots, G being the share of values ≤ x.

        Returns
        -------
        array of shape (k - 1,), float
            In the values' unit; the second is ∫ G below the first knot plus ∫ (1 - G) above the
            last. Exact for the finite values, wherever between the knots they lie.
        """
        count = max(self.given - self.infinite, 1)
        between = self.counts[0::2].astype(float)
        between[[0, -1]] -= self._infinite
        upto = (np.cumsum(self.counts)[1::2] - self._infinite[0]) / count
        with np.errstate(over="ignore", invalid="ignore"):
            widths = np.diff(self.knots)
            risen = between[1:-1] * self.knots[1:] - self._between[1:-1]
            tails = between[0] * self.knots[0] - self._between[0]
            tails += self._between[-1] - between[-1] * self.knots[-1]
            return upto[:-1] * widths + risen / count, float(tails / count)


class _Sample:
    """Each n-th value, n growing so that they stay few; the same for the same values in order."""

    def __init__(self) -> None:
        self.values: Floats = np.empty(0)
        self._seen, self._step = 0, 1

    def add(self, values: Floats) -> None:
        """Take its share of further values."""
        self.values = np.r_[self.values, values[-self._seen % self._step :: self._step]]
        self._seen += len(values)
        while len(self.values) > SAMPLE:
            self.values = self.values[::2]
            self._step *= 2


class Categories:
    """Categories, counted by the text that a profile has of them."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.rows = self.missing = 0

    def add(self, values: pd.Series) -> None:
        """Take further values."""
        found = values.value_counts(dropna=True)
        self.add_counts({k: int(c) for k, c in found.items() if c}, len(values))

    def add_counts(self, counts: Mapping[Any, int], rows: int) -> None:
        """Take values that were counted; those of `rows` that are not among them are missing."""
        self.rows += rows
        self.missing += rows - sum(counts.values())
        for value, count in counts.items():
            name = str(value)
            self.counts[name] = self.counts.get(name, 0) + count

    @property
    def always(self) -> str:
        """The category that each row has; empty where they differ."""
        return next(iter(self.counts)) if len(self.counts) == 1 and not self.missing else ""


class Others:
    """Values whose distribution is not compared: times, lists, mixed ones."""

    def __init__(self) -> None:
        self.rows = self.missing = 0
        self._first, self._alike = "", True

    def add(self, values: pd.Series) -> None:
        """Take further values."""
        self.rows += len(values)
        given = values.dropna()
        self.missing += len(values) - len(given)
        if len(given) and self._alike:
            first = str(given.iloc[0])
            self._alike = columns.distinct(given) == 1 and self._first in ("", first)
            self._first = first

    @property
    def always(self) -> str:
        """What each row has, as text; empty where they differ."""
        return self._first if self._alike and not self.missing else ""
