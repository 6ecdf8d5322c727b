"""Metrics that are a function of sums over rows, stated once for one value and for many.

Such a metric gives a column or more of figures a row and says how their weighted sums combine.
The value itself is the sums under weights of one; 1,000 bootstrap resamples are one matrix
product. Point and interval can't disagree, as they are the same code.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mlops_magics.goals.metrics import OfArrays, Statistic
from mlops_magics.goals.samples import Array, Floats, Sample


class Moments(OfArrays):
    """A metric of weighted sums."""

    @abstractmethod
    def columns(self, y_true: Array, y_pred: Array, positive: Any, **params: Any) -> Floats:
        """Figures of each row, of shape (n, k).

        Raises
        ------
        Undefined
            If the metric has no value on these rows.
        """

    @abstractmethod
    def combine(self, sums: Floats, **params: Any) -> Floats:
        """Weighted sums of shape (b, k) → the b values."""

    def __call__(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        positive: Any = None,
        **params: Any,
    ) -> float:
        """See `OfArrays`."""
        truth, said = np.asarray(y_true), np.asarray(y_pred)
        columns = self.columns(truth, said, positive, **params)
        if sample_weight is None:
            sums = columns.sum(axis=0)
        else:
            sums = np.asarray(sample_weight, dtype=float) @ columns
        return float(self.combine(sums[np.newaxis], **params)[0])

    def statistic(self, rows: Sample, **params: Any) -> Statistic:
        """One matrix product for all resamples."""
        y_true, y_pred, options = self.inputs(rows, **params)
        columns = self.columns(y_true, y_pred, **options)
        options.pop("positive")
        return lambda weights: self.combine(weights @ columns, **options)


def divide(numerator: Floats, denominator: Floats) -> Floats:
    """Elementwise, with 0 where nothing is divided by nothing (scikit-learn's convention)."""
    safe = np.where(denominator == 0, 1.0, denominator)
    return np.where(denominator == 0, 0.0, numerator / safe)
