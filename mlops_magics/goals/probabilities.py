"""Metrics of predicted probabilities.

With more than two classes, the ranking metrics are those of each class against the rest,
averaged with each class alike (``multi_class="ovr"``, ``average="macro"`` in scikit-learn).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from mlops_magics.goals.classification import one_class
from mlops_magics.goals.metrics import OfArrays, Statistic
from mlops_magics.goals.moments import Moments
from mlops_magics.goals.samples import Array, Floats, Sample, Undefined, distinct, probable, shown


def _one_hot(y_true: Array, scores: Array, positive: Any, classes: Any) -> tuple[Array, Floats]:
    """Truth as indicators and scores as columns, of the same shape: (n, 1) for two classes."""
    if scores.ndim == 1:
        chosen = distinct(y_true)[-1] if positive is None else positive
        return (y_true == chosen)[:, np.newaxis], scores[:, np.newaxis]
    known = distinct(y_true) if classes is None else np.asarray(classes)
    if scores.shape[1] != len(known):
        raise Undefined(f"there are {scores.shape[1]} columns of scores for {len(known)} classes")
    truth = y_true[:, np.newaxis] == known
    if not truth.any(axis=1).all():
        unseen = distinct(y_true[~truth.any(axis=1)])[0]
        raise Undefined(f"the data has the class {shown(unseen)}, which the model does not know")
    return truth, scores


class Ranking(OfArrays):
    """A metric of the order of the scores: sorted once, then one weighted pass a resample."""

    needs = "scores"
    unit = "ratio"

    @abstractmethod
    def of_class(self, truth: Array, scores: Floats, **params: Any) -> Statistic:
        """The metric of one class, given as indicators of shape (n,)."""

    @abstractmethod
    def missing_rows(self, y_true: Array, truth: Array) -> str:
        """Why there is no value on these rows; empty when there is."""

    def __call__(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        positive: Any = None,
        classes: Any = None,
        **params: Any,
    ) -> float:
        """See `OfArrays`."""
        truth, scores = np.asarray(y_true), np.asarray(y_pred, dtype=float)
        weights = np.ones(len(truth)) if sample_weight is None else np.asarray(sample_weight, float)
        bound = self._bind(truth, scores, positive, classes, **params)
        return float(bound(weights[np.newaxis])[0])

    def statistic(self, rows: Sample, **params: Any) -> Statistic:
        """See `OfArrays`."""
        y_true, scores, options = self.inputs(rows, **params)
        positive, classes = options.pop("positive"), options.pop("classes", None)
        return self._bind(y_true, scores, positive, classes, **options)

    def _bind(
        self, y_true: Array, scores: Floats, positive: Any, classes: Any, **params: Any
    ) -> Statistic:
        if len(y_true) == 0:
            raise Undefined("there are no rows")
        indicators, columns = _one_hot(y_true, scores, positive, classes)
        for truth in indicators.T:
            reason = self.missing_rows(y_true, truth)
            if reason:
                raise Undefined(reason)
        pairs = zip(indicators.T, columns.T, strict=True)
        each = [self.of_class(t, s, **params) for t, s in pairs]
        if len(each) == 1:
            return each[0]
        return lambda weights: np.mean([bound(weights) for bound in each], axis=0)


class RocAuc(Ranking):
    """Area under the ROC curve: how often a positive row outscores a negative one.

    Ties count half (the Mann-Whitney form), which equals the trapezoid under the curve.
    """

    name = "roc_auc"

    def missing_rows(self, y_true: Array, truth: Array) -> str:
        """Both kinds are needed."""
        if truth.any() and not truth.all():
            return ""
        if len(distinct(y_true)) < 2:
            return one_class(self.name, y_true)
        return f"the data has no row of one of the classes, and {self.name} needs rows of each"

    def of_class(self, truth: Array, scores: Floats, **params: Any) -> Statistic:
        """See `Ranking`."""
        ranked = _Ranked(truth, scores)

        def statistic(weights: Floats) -> Floats:
            p, _, q, above = ranked.accumulate(weights)
            # A positive row beats the negatives below its own score, and half of those at it.
            negatives = q.sum(axis=1)
            beaten = negatives[:, np.newaxis] - above
            if ranked.ties:
                beaten += 0.5 * q
            with np.errstate(invalid="ignore", divide="ignore"):
                return np.asarray(np.einsum("ij,ij->i", p, beaten) / (p.sum(axis=1) * negatives))

        return statistic


class AveragePrecision(Ranking):
    """Σ (recall step) · precision over the thresholds, highest first (no interpolation)."""

    name = "average_precision"

    def missing_rows(self, y_true: Array, truth: Array) -> str:
        """Positive rows are needed."""
        if truth.any():
            return ""
        if len(distinct(y_true)) < 2:
            return one_class(self.name, y_true)
        return f"the data has no row of one of the classes, and {self.name} needs rows of each"

    def of_class(self, truth: Array, scores: Floats, **params: Any) -> Statistic:
        """See `Ranking`."""
        ranked = _Ranked(truth, scores)

        def statistic(weights: Floats) -> Floats:
            p, found, _, above = ranked.accumulate(weights)
            total = found[:, -1].copy()
            above += found
            # Where nothing has been called yet there is no hit either.
            np.maximum(above, np.finfo(float).tiny, out=above)
            found /= above
            with np.errstate(invalid="ignore", divide="ignore"):
                return np.asarray(np.einsum("ij,ij->i", p, found) / total)

        return statistic


class RecallAt(Ranking):
    """The highest recall of all thresholds at which precision is at least that given."""

    name = "recall_at"
    parameters: ClassVar[Mapping[str, type]] = {"precision": float}

    def missing_parameter(self, params: Mapping[str, Any]) -> str:
        """See `Metric`."""
        given = "precision" in params
        return "" if given else "recall_at needs precision, as in recall_at(precision=0.9)."

    def wrong_parameter(self, name: str, value: float | str) -> str:
        """See `Metric`."""
        wrong = super().wrong_parameter(name, value)
        if not wrong and not 0 < float(value) <= 1:
            return f"precision of recall_at is a share above 0, at most 1, not {value!r}."
        return wrong

    def missing_rows(self, y_true: Array, truth: Array) -> str:
        """Positive rows are needed."""
        return "" if truth.any() else one_class(self.name, y_true)

    def of_class(self, truth: Array, scores: Floats, **params: Any) -> Statistic:
        """See `Ranking`."""
        ranked = _Ranked(truth, scores)
        least = float(params["precision"])

        def statistic(weights: Floats) -> Floats:
            _, found, _, above = ranked.accumulate(weights)
            total = found[:, -1]
            # Of nothing called yet the precision is no figure, and the recall 0 in any case.
            enough = found >= least * (found + above) - 1e-12
            with np.errstate(invalid="ignore", divide="ignore"):
                return np.asarray(np.where(enough, found, 0.0).max(axis=1) / total)

        return statistic


class _Ranked:
    """Rows in the order of their scores, highest first, ready to be counted many times.

    Without ties only the positive rows are thresholds that matter, so the running sums are read
    there; with ties, at each distinct score.
    """

    def __init__(self, truth: Array, scores: Floats) -> None:
        order = np.argsort(-scores, kind="stable")
        ordered, positive = scores[order], truth[order]
        self._order = order
        self._starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        self._indicator = positive.astype(float)
        self._positives, self._negatives = order[positive], order[~positive]
        self._before = np.cumsum(~positive)[positive]
        self.ties = len(self._starts) < len(order)

    def accumulate(self, weights: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Weights of the positives, their running sum, weights of the negatives, theirs.

        At each threshold, highest first; the running sums hold what lies at or above it. The
        third is by negative row, not by threshold, where there are no ties.
        """
        # `take` along the axis is several times faster than an index here.
        if not self.ties:
            p = weights.take(self._positives, axis=1)
            q = weights.take(self._negatives, axis=1)
            running = np.zeros((len(weights), len(self._negatives) + 1))
            np.cumsum(q, axis=1, out=running[:, 1:])
            return p, np.cumsum(p, axis=1), q, running.take(self._before, axis=1)
        drawn = weights.take(self._order, axis=1)
        p = np.add.reduceat(drawn * self._indicator, self._starts, axis=1)
        q = np.add.reduceat(drawn, self._starts, axis=1) - p
        return p, np.cumsum(p, axis=1), q, np.cumsum(q, axis=1)


def likelihoods(
    name: str, y_true: Array, y_pred: Array, positive: Any, classes: Any
) -> tuple[Array, Floats]:
    """As `_one_hot`, of scores that must be probabilities."""
    given = np.asarray(y_pred, dtype=float)
    if len(y_true) == 0:
        raise Undefined("there are no rows")
    if not probable(given):
        raise Undefined(f"{name} needs probabilities, and this model gives scores only")
    return _one_hot(y_true, given, positive, classes)


class LogLoss(Moments):
    """−mean log of the true class's probability, clipped to [ε, 1 − ε] with float64's ε."""

    name = "log_loss"
    needs = "scores"
    greater_is_better = False

    def columns(
        self, y_true: Array, y_pred: Array, positive: Any, classes: Any = None, **params: Any
    ) -> Floats:
        """Loss of the row, and 1."""
        truth, scores = likelihoods(self.name, y_true, y_pred, positive, classes)
        if scores.shape[1] == 1:
            truth, scores = np.hstack([~truth, truth]), np.hstack([1 - scores, scores])
        epsilon = np.finfo(float).eps
        likelihood = np.clip(scores, epsilon, 1 - epsilon)[truth]
        return np.column_stack([-np.log(likelihood), np.ones(len(y_true))])

    def combine(self, sums: Floats, **params: Any) -> Floats:
        """See `Moments`."""
        return sums[:, 0] / sums[:, 1]


class Brier(Moments):
    """Mean squared distance of the probability from the truth.

    With more than two classes the squares of all of a row's probabilities are summed (Brier 1950,
    and scikit-learn's ``scale_by_half="auto"``).
    """

    name = "brier"
    needs = "scores"
    greater_is_better = False

    def columns(
        self, y_true: Array, y_pred: Array, positive: Any, classes: Any = None, **params: Any
    ) -> Floats:
        """Squared distance of the row, and 1."""
        truth, scores = likelihoods(self.name, y_true, y_pred, positive, classes)
        return np.column_stack([((scores - truth) ** 2).sum(axis=1), np.ones(len(y_true))])

    def combine(self, sums: Floats, **params: Any) -> Floats:
        """See `Moments`."""
        return sums[:, 0] / sums[:, 1]
