"""How well a classifier does on rows whose truth is not known yet, by its own confidence.

Confidence-based performance estimation (CBPE), as NannyML defines it
(https://nannyml.readthedocs.io, *How it works: Confidence-based Performance Estimation*): a row
that the model calls positive with a calibrated probability of 0.8 is expected to be a true
positive 0.8 times and a false one 0.2 times. These expectations summed over the rows are the
expected confusion matrix; over the thresholds they are the expected ROC curve. More than two
classes are calibrated one against the rest, and their probabilities brought to the sum of 1.

Here each row stands once for each class, weighted by its probability, and any metric that takes
weights is computed of these: what is estimated is what would be measured, by the same code.

It rests on the probability of a class given the inputs being what it was: to a change in that,
concept drift, it is blind.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from mlops_magics.drift import calibrating
from mlops_magics.goals import metrics
from mlops_magics.goals.samples import Array, Floats, Sample, Undefined, probable, shown

#: In words, for whoever reads an estimate.
METHOD = "confidence-based estimation (CBPE)"
ASSUMPTION = (
    "It assumes that, given the inputs, each class is as probable as it was on the rows held out, "
    "and that those rows cover inputs such as these. A change in what the inputs mean for the "
    "outcome (concept drift) does not show in it."
)
#: How often truth is drawn for an interval; for so many of them the calibration is fitted anew.
RESAMPLES, REFITS = 100, 50
#: How many spreads an interval of 95 % reaches to either side.
QUANTILE = 1.96
#: Rows of each class that are needed to calibrate.
FEWEST = 10
#: Metrics that compare no classes, so that rows of each need not be expected.
_OF_ANY_ROWS = frozenset({"accuracy", "brier", "log_loss", "selection_rate"})


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """An estimated metric.

    Attributes
    ----------
    interval : tuple of (float, float)
        Where it would be measured in 95 of 100 cases, if the assumption holds.
    spread : float
        The standard deviation of what would be measured.
    """

    value: float
    interval: tuple[float, float]
    spread: float


class Estimates(dict[str, Estimate]):
    """Metric → estimate, with the reasons for those that have none in `undefined`."""

    def __init__(self) -> None:
        super().__init__()
        self.undefined: dict[str, str] = {}


class ConfidenceBased:
    """Fitted once on rows whose truth is known; estimates for any others.

    Parameters
    ----------
    held : Sample
        Truth and answers of rows that the model has not learned from.

    Raises
    ------
    Undefined
        If nothing can be estimated from them; says why.
    """

    def __init__(self, held: Sample) -> None:
        if held.classes is None or held.scores is None:
            raise Undefined("it needs probabilities, and this model gives none")
        if problem := held.problem():
            raise Undefined(f"of the rows that were held out {problem}")
        self.held = held
        self.classes = _classes(held)
        counted = {shown(c): int((held.y_true == c).sum()) for c in self.classes}
        rarest = min(counted, key=counted.__getitem__)
        if counted[rarest] < FEWEST:
            raise Undefined(
                f"the rows that were held out have {counted[rarest]} of the class {rarest}, and "
                f"{FEWEST} of each are needed to calibrate"
            )
        columns = _columns(held.scores)
        sides = [held.y_true == c for c in self.classes[-columns.shape[1] :]]
        pairs = list(zip(columns.T, sides, strict=True))
        self._fitted = [calibrating.Isotonic(scores, side) for scores, side in pairs]
        known = probable(held.scores)
        self._needed = [not known or calibrating.helps(scores, side) for scores, side in pairs]

    @property
    def calibrated(self) -> bool:
        """Whether the model's probabilities needed it."""
        return any(self._needed)

    def probabilities(self, scores: Floats, weights: Floats | None = None) -> Floats:
        """Probabilities of shape (n, k), in the order of `classes`, calibrated where needed.

        With `weights`, which count the held-out rows that it is fitted on, calibrated in any case.
        """
        made = np.column_stack(
            [
                fitted(column, weights) if needed or weights is not None else column
                for column, fitted, needed in zip(
                    _columns(scores).T, self._fitted, self._needed, strict=True
                )
            ]
        )
        if made.shape[1] == 1:
            return np.hstack([1 - made, made])
        total = made.sum(axis=1, keepdims=True)
        even = np.full_like(made, 1 / made.shape[1])
        return np.asarray(np.divide(made, total, out=even, where=total > 0))

    def beyond(self, scores: Floats) -> float:
        """The share of rows with a score that no row held out comes up to."""
        held = _columns(self.held.scores) if self.held.scores is not None else _columns(scores)
        mine = _columns(scores)
        outside = (mine < held.min(axis=0)) | (mine > held.max(axis=0))
        return float(outside.any(axis=1).mean())

    def estimate(
        self, predictions: Array, scores: Floats, names: Iterable[str], *, seed: int = 0
    ) -> Estimates:
        """Estimate metrics of rows whose truth is not known.

        The spread is that of a parametric bootstrap: rows are drawn with replacement, their truth
        by their calibrated probabilities, which are fitted anew on held-out rows drawn with
        replacement, and the metric is measured (Efron and Tibshirani 1993, *An Introduction to the
        Bootstrap*, ch. 6). Half as many held-out rows are drawn as there are, since a bootstrap of
        as many understates how isotonic regression varies (Sen, Banerjee and Woodroofe 2010,
        *Inconsistency of bootstrap: the Grenander estimator*, Annals of Statistics 38), and all
        draws are calibrated, since whether that is needed is itself uncertain.

        A calibration flatters the rows it was fitted on, by about the number of its steps over
        that of the rows, m^(1/3) / m. What the draws have more than the calibrated estimate is
        that for m / 2 rows. The interval reaches from 1.96 spreads below to 1.96 above the
        estimate and what it is without that part. Of more than two classes it leaves out that
        each is calibrated alone, which need not calibrate them together.

        Parameters
        ----------
        predictions : array of shape (n,)
            Classes.
        scores : array of shape (n,) or (n, k)
            As in a `Sample`.
        names : iterable of str
            Metrics.
        """
        found = Estimates()
        rows = replace(self.held, y_true=predictions, predictions=predictions, scores=scores)
        problem = rows.problem()
        if problem:
            found.undefined = dict.fromkeys(names, problem)
            return found
        weights = self.probabilities(scores)
        bound = self._bind(_by_class(rows, self.classes), weights, names, found.undefined)
        each = {name: statistic(weights.reshape(1, -1))[0] for name, statistic in bound.items()}
        for name in [name for name, value in each.items() if not np.isfinite(value)]:
            found.undefined[name] = "it has no value on the classes that are expected"
            del bound[name]
        drawn = self._draw(scores, bound, seed)
        anew = self.probabilities(scores, np.ones(self.held.rows)).reshape(1, -1)
        for name, statistic in bound.items():
            value, calibrated = float(each[name]), float(statistic(anew)[0])
            flattered = (float(np.nanmean(drawn[name])) - calibrated) / 2 ** (2 / 3)
            spread = float(np.nanstd(drawn[name]))
            sides = (value, calibrated - flattered)
            most = 1.0 if metrics.find(name).unit == "ratio" else np.inf
            found[name] = Estimate(
                value=value,
                interval=(
                    max(min(sides) - QUANTILE * spread, 0.0),
                    min(max(sides) + QUANTILE * spread, most),
                ),
                spread=spread,
            )
        return found

    def _bind(
        self, rows: Sample, weights: Floats, names: Iterable[str], undefined: dict[str, str]
    ) -> dict[str, metrics.Statistic]:
        """The metrics as functions of weights; those that can't be estimated become reasons."""
        expected = weights.sum(axis=0)
        rarest = int(expected.argmin())
        bound = {}
        for name in dict.fromkeys(names):
            try:
                metric = metrics.find(name)
                if metric.looped or metric.needs == "measurement":
                    raise Undefined("it takes no weights, and can't be estimated from confidence")
                if expected[rarest] < 1 and name not in _OF_ANY_ROWS:
                    raise Undefined(
                        f"less than one row of the class {shown(self.classes[rarest])} is expected"
                    )
                bound[name] = metric.statistic(rows)
            except Undefined as error:
                undefined[name] = str(error)
        return bound

    def _draw(
        self, scores: Floats, bound: dict[str, metrics.Statistic], seed: int
    ) -> dict[str, Floats]:
        """Each metric on truths that were drawn."""
        rng = np.random.default_rng(seed)
        rows, held = len(scores), self.held.rows
        found: dict[str, list[Floats]] = {name: [] for name in bound}
        for _ in range(REFITS):
            again = np.bincount(rng.integers(held, size=held // 2), minlength=held).astype(float)
            upto = self.probabilities(scores, again).cumsum(axis=1)
            block = np.empty((RESAMPLES // REFITS, upto.size))
            for counted in block:
                chosen = rng.integers(rows, size=rows)
                truth = (rng.random((rows, 1)) > upto[chosen, :-1]).sum(axis=1)
                counted[:] = np.bincount(chosen * upto.shape[1] + truth, minlength=upto.size)
            for name, statistic in bound.items():
                found[name].append(statistic(block))
        return {name: np.concatenate(parts) for name, parts in found.items()}


def _classes(held: Sample) -> Array:
    """The classes, of two the positive one last."""
    known = held.classes
    assert known is not None
    if len(known) != 2:
        return known
    order = [int(v == held.positive) for v in known]
    return known if order == [0, 1] else known[::-1]


def _columns(scores: Floats) -> Floats:
    """Scores of shape (n, 1) for two classes, (n, k) for more."""
    return scores.reshape(len(scores), -1)


def _by_class(rows: Sample, classes: Array) -> Sample:
    """Each row once for each class that it may be of, a row's own side by side."""
    times = len(classes)
    return replace(
        rows,
        y_true=np.tile(classes, rows.rows),
        predictions=np.repeat(rows.predictions, times),
        scores=None if rows.scores is None else np.repeat(rows.scores, times, axis=0),
    )
