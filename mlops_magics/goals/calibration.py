"""Whether probabilities mean what they say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from mlops_magics.goals.metrics import OfArrays, Statistic
from mlops_magics.goals.moments import divide
from mlops_magics.goals.probabilities import likelihoods
from mlops_magics.goals.samples import Array, Floats, Sample

#: Bins, each with the same number of rows as far as ties allow.
BINS = 10


class CalibrationError(OfArrays):
    """Expected calibration error: Σ over the bins of their share of rows · |observed − predicted|.

    A bin holds the rows whose middle rank lies in its tenth of the ranks; rows of one score stay
    together. Of two classes it is that of the positive one's probability; of more, that of the
    predicted class's probability and how often it is right. The absolute value makes it larger
    than 0 for a perfect model too, by about √(p (1 − p) / rows of a bin); more rows make that
    less. Naeini, Cooper and Hauskrecht (2015), *Obtaining well calibrated probabilities using
    Bayesian binning*, AAAI; with bins of equal mass: Nixon et al. (2019), *Measuring calibration
    in deep learning*.
    """

    name = "calibration_error"
    needs = "scores"
    greater_is_better = False
    unit = "ratio"
    parameters: ClassVar[Mapping[str, type]] = {"bins": float}

    def __call__(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        positive: Any = None,
        classes: Any = None,
        bins: float = BINS,
        **params: Any,
    ) -> float:
        """See `OfArrays`."""
        truth = np.asarray(y_true)
        weights = np.ones(len(truth)) if sample_weight is None else np.asarray(sample_weight, float)
        bound = self._bind(truth, np.asarray(y_pred, dtype=float), positive, classes, int(bins))
        return float(bound(weights[np.newaxis])[0])

    def statistic(self, rows: Sample, **params: Any) -> Statistic:
        """Sorted once; a resample then finds its bins in the running sum of weights."""
        y_true, scores, options = self.inputs(rows, **params)
        bins = int(options.get("bins", BINS))
        return self._bind(y_true, scores, options["positive"], options.get("classes"), bins)

    def wrong_parameter(self, name: str, value: float | str) -> str:
        """See `Metric`."""
        wrong = super().wrong_parameter(name, value)
        if not wrong and not (float(value) >= 2 and float(value).is_integer()):
            return f"bins of {self.name} is a whole number from 2, not {value!r}."
        return wrong

    def _bind(
        self, y_true: Array, scores: Floats, positive: Any, classes: Any, bins: int
    ) -> Statistic:
        truth, given = likelihoods(self.name, y_true, scores, positive, classes)
        if given.shape[1] == 1:
            said, right = given[:, 0], truth[:, 0].astype(float)
        else:
            chosen = given.argmax(axis=1)
            said = given.max(axis=1)
            right = truth[np.arange(len(chosen)), chosen].astype(float)
        order = np.argsort(said, kind="stable")
        ordered, off = said[order], (right - said)[order]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])

        def statistic(weights: Floats) -> Floats:
            drawn = weights.take(order, axis=1)
            count = np.add.reduceat(drawn, starts, axis=1)
            error = np.add.reduceat(drawn * off, starts, axis=1)
            total = count.sum(axis=1)
            middle = np.cumsum(count, axis=1) - count / 2
            share = divide(middle, np.broadcast_to(total[:, np.newaxis], middle.shape))
            at = np.minimum((share * bins).astype(int), bins - 1)
            at += bins * np.arange(len(weights))[:, np.newaxis]
            sums = np.bincount(at.ravel(), error.ravel(), minlength=bins * len(weights))
            return divide(np.abs(sums.reshape(len(weights), bins)).sum(axis=1), total)

        return statistic
