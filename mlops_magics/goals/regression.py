"""Metrics of predicted numbers, in the target's own unit unless the docstring says otherwise."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mlops_magics.goals.metrics import OfArrays, Statistic
from mlops_magics.goals.moments import Moments
from mlops_magics.goals.samples import Array, Floats, Sample, Undefined


def _errors(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Floats, Floats]:
    truth = np.asarray(y_true, dtype=float)
    if len(truth) == 0:
        raise Undefined("there are no rows")
    return truth, np.asarray(y_pred, dtype=float) - truth


class MeanLoss(Moments):
    """The mean of a loss a row."""

    needs = "values"
    greater_is_better = False

    @abstractmethod
    def loss(self, truth: Floats, error: Floats) -> Floats:
        """The loss of each row."""

    def columns(self, y_true: Array, y_pred: Array, positive: Any, **params: Any) -> Floats:
        """Loss of the row, and 1."""
        truth, error = _errors(y_true, y_pred)
        return np.column_stack([self.loss(truth, error), np.ones(len(truth))])

    def combine(self, sums: Floats, **params: Any) -> Floats:
        """See `Moments`."""
        return sums[:, 0] / sums[:, 1]


class Mae(MeanLoss):
    """Mean absolute error."""

    name = "mae"

    def loss(self, truth: Floats, error: Floats) -> Floats:
        """See `MeanLoss`."""
        return np.abs(error)


class Mse(MeanLoss):
    """Mean squared error, in the square of the target's unit."""

    name = "mse"

    def loss(self, truth: Floats, error: Floats) -> Floats:
        """See `MeanLoss`."""
        return error**2


class Rmse(Mse):
    """Root of the mean squared error."""

    name = "rmse"

    def combine(self, sums: Floats, **params: Any) -> Floats:
        """See `Moments`."""
        return np.sqrt(super().combine(sums))


class Mape(MeanLoss):
    """Mean of |error| / max(|truth|, ε): a share, huge where the truth is 0."""

    name = "mape"
    unit = "ratio"

    def loss(self, truth: Floats, error: Floats) -> Floats:
        """See `MeanLoss`."""
        return np.abs(error) / np.maximum(np.abs(truth), np.finfo(float).eps)


class R2(Moments):
    """1 − Σ error² / Σ (truth − mean)²: the share of the variance explained; no unit.

    Without variance to explain it has no value, where scikit-learn returns 0 or 1.
    """

    name = "r2"
    needs = "values"

    def columns(self, y_true: Array, y_pred: Array, positive: Any, **params: Any) -> Floats:
        """Squared error, centred truth and its square, and 1."""
        truth, error = _errors(y_true, y_pred)
        if len(truth) < 2 or np.ptp(truth) == 0:
            raise Undefined("the target is the same in every row, so there is no variance")
        centred = truth - truth.mean()  # or the square of a large mean eats the digits
        return np.column_stack([error**2, centred, centred**2, np.ones(len(truth))])

    def combine(self, sums: Floats, **params: Any) -> Floats:
        """See `Moments`."""
        residual, first, second, count = sums.T
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(1 - residual / (second - first**2 / count))


class MedianAbsoluteError(OfArrays):
    """Median of |error|; of an even number of rows the mean of the two in the middle."""

    name = "median_absolute_error"
    needs = "values"
    greater_is_better = False

    def __call__(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        positive: Any = None,
        **params: Any,
    ) -> float:
        """See `OfArrays`; weights are counts of rows, or anything else of which half is reached."""
        _, error = _errors(y_true, y_pred)
        weights = np.ones(len(error)) if sample_weight is None else np.asarray(sample_weight, float)
        return float(_median(np.abs(error))(weights[np.newaxis])[0])

    def statistic(self, rows: Sample, **params: Any) -> Statistic:
        """Sorted once; each resample then finds its middle in the running sum of weights."""
        y_true, y_pred, _ = self.inputs(rows, **params)
        return _median(np.abs(_errors(y_true, y_pred)[1]))


def _median(values: Floats) -> Statistic:
    order = np.argsort(values, kind="stable")
    ordered = values[order]

    def statistic(weights: Floats) -> Floats:
        reached = np.cumsum(weights.take(order, axis=1), axis=1)
        half = reached[:, -1:] / 2
        # The first value at which half is reached, and the first at which it is exceeded.
        low = np.argmax(reached >= half, axis=1)
        high = np.argmax(reached > half, axis=1)
        return np.asarray((ordered[low] + ordered[high]) / 2)

    return statistic
