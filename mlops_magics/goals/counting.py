"""How many rows a verdict rests on, as metrics: goals may ask for enough of them, by group too."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from mlops_magics.goals.metrics import Metric, Statistic
from mlops_magics.goals.samples import Array, Sample, Undefined


class Count(Metric):
    """A number of rows; it is what it is, so it has no interval."""

    needs = "rows"
    has_reference = False
    has_interval = False
    of_any_size = True

    @abstractmethod
    def counted(self, rows: Sample) -> Array:
        """Which rows are counted, as a mask."""

    def value(self, rows: Sample, **params: Any) -> float:
        """See `Metric`."""
        if rows.rows == 0:
            raise Undefined("there are no rows")
        return float(self.counted(rows).sum())

    def statistic(self, rows: Sample, **params: Any) -> Statistic:
        """See `Metric`."""
        counted = self.counted(rows).astype(float)
        return lambda weights: weights @ counted


class Rows(Count):
    """How many rows were judged."""

    name = "rows"

    def counted(self, rows: Sample) -> Array:
        """See `Count`."""
        return np.ones(rows.rows, dtype=bool)


class Positives(Count):
    """How many rows of the positive class were judged."""

    name = "positives"

    def counted(self, rows: Sample) -> Array:
        """See `Count`."""
        if rows.positive is None:
            raise Undefined("there is no positive class: positives belongs to two classes")
        return np.asarray(rows.y_true == rows.positive)
