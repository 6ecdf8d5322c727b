"""How well a regression does on rows whose truth is not known yet, by a model of its errors.

Direct loss estimation (DLE), as NannyML defines it (https://nannyml.readthedocs.io, *How it works:
Direct Loss Estimation*): a second model, of boosted trees, learns from the features and the
prediction of rows whose truth is known how large the error of a row is; the mean of what it says
of other rows estimates the metric. r2 is no mean over rows, and is not estimated.

It rests on errors depending on the inputs as they did: to a change in what the inputs mean for the
target, concept drift, it is blind.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlops_magics.drift.estimation import QUANTILE, Estimate, Estimates
from mlops_magics.evidence import columns
from mlops_magics.goals import metrics, regression
from mlops_magics.goals.samples import Array, Sample, Undefined

Floats = NDArray[np.float64]

#: In words, for whoever reads an estimate.
METHOD = "a model of the losses (DLE)"
ASSUMPTION = (
    "It assumes that, given the inputs, errors are as large as they were on the rows held out, and "
    "that those rows cover inputs such as these. A change in what the inputs mean for the target "
    "(concept drift) does not show in it."
)
#: Rows that are needed to learn from, and beyond which a loss model learns nothing new.
FEWEST, MOST = 50, 20_000
#: Values of a column that are needed for it to say anything.
FEWEST_VALUES = 20
#: Parts of the held-out rows; what is said of each was learned from the others.
FOLDS = 3
#: The smallest loss that counts as one, as a share of the mean loss.
_FLOOR = 0.05


class LossModel:
    """Fitted once on rows whose truth is known; estimates for any others.

    Parameters
    ----------
    held : Sample
        Truth and answers of rows that the model has not learned from.
    features : DataFrame
        What the model was given of the same rows.

    Raises
    ------
    Undefined
        If nothing can be estimated from them; says why.
    """

    def __init__(self, held: Sample, features: pd.DataFrame) -> None:
        if problem := held.problem():
            raise Undefined(f"of the rows that were held out {problem}")
        if held.rows < FEWEST:
            raise Undefined(
                f"{held.rows} rows were held out, and {FEWEST} are needed to learn how large "
                "errors are"
            )
        self.held = held
        chosen = np.arange(0, held.rows, -(-held.rows // MOST))
        self._sample = held.take(chosen)
        self.features = tuple(features.columns)
        self._table = _Table(features.iloc[chosen])
        inputs = self._table(features.iloc[chosen], self._sample.predictions)
        self._useful = np.isfinite(inputs).sum(axis=0) >= FEWEST_VALUES
        self._inputs = inputs[:, self._useful]
        self._learned: dict[type[Any], _Learned] = {}

    def estimate(
        self, predictions: Array, features: pd.DataFrame, names: Iterable[str]
    ) -> Estimates:
        """Estimate metrics of rows whose truth is not known.

        With l the losses of m held-out rows, p what is said of each by a model that has not seen
        it, and u = l / p, the metric measured on n rows for which p' is said has a variance of
        [Var(p') + mean(p'²) Var(u)] / n for the rows and their noise, and of
        mean(p')² Σ(l − R p)² / (Σp)² with R = Σl / Σp for the loss model (the variance of a ratio:
        Cochran 1977, *Sampling Techniques*, ch. 6). The interval is that of a normal distribution;
        that of ``rmse`` has the roots of its ends.

        Parameters
        ----------
        predictions : array of shape (n,)
        features : DataFrame of n rows
        names : iterable of str
            Metrics.
        """
        found = Estimates()
        inputs = self._table(features, np.asarray(predictions, dtype=float))[:, self._useful]
        said: dict[type[Any], Estimate] = {}
        for name in dict.fromkeys(names):
            metric = metrics.find(name)
            if not isinstance(metric, regression.MeanLoss):
                found.undefined[name] = "it is no mean of the rows' losses"
                continue
            rooted = isinstance(metric, regression.Rmse)
            kind: type[Any] = regression.Mse if rooted else type(metric)
            if kind not in said:
                said[kind] = self._learn(kind).of(inputs)
            found[name] = _root(said[kind]) if rooted else said[kind]
        return found

    def _learn(self, kind: type[Any]) -> _Learned:
        if kind not in self._learned:
            truth = self._sample.y_true
            loss = kind().loss(truth, self._sample.predictions - truth)
            self._learned[kind] = _Learned(self._inputs, loss)
        return self._learned[kind]


class _Learned:
    """What was learned of one loss, and how well."""

    def __init__(self, inputs: Floats, loss: Floats) -> None:
        from sklearn.model_selection import KFold, cross_val_predict

        self._floor = _FLOOR * float(loss.mean())
        parts = KFold(n_splits=FOLDS, shuffle=True, random_state=0)
        with _one_thread():
            said = self._positive(cross_val_predict(_trees(), inputs, loss, cv=parts))
            self._trees = _trees().fit(inputs, loss)
        self._noise = self._doubt = 0.0
        if self._floor > 0:  # without any loss there is no doubt about it either
            share = loss.sum() / said.sum()
            self._noise = float(np.var(loss / said))
            self._doubt = float(((loss - share * said) ** 2).sum() / said.sum() ** 2)

    def _positive(self, said: Floats) -> Floats:
        return np.maximum(said, self._floor)

    def of(self, inputs: Floats) -> Estimate:
        with _one_thread():
            said = self._positive(self._trees.predict(inputs))
        value = float(said.mean())
        rows = (said.var() + float(np.mean(said**2)) * self._noise) / len(said)
        spread = float(np.sqrt(rows + value**2 * self._doubt))
        reach = QUANTILE * spread
        return Estimate(
            value=value, interval=(max(value - reach, 0.0), value + reach), spread=spread
        )


def _one_thread() -> AbstractContextManager[object]:
    """While it is held, trees take one thread: with few rows more of them mostly wait."""
    from threadpoolctl import threadpool_limits

    limit: AbstractContextManager[object] = threadpool_limits(limits=1)
    return limit


def _root(squared: Estimate) -> Estimate:
    """Of the mean of squares, the root; its spread by the delta method."""
    value = float(np.sqrt(squared.value))
    low, high = squared.interval
    return Estimate(
        value=value,
        interval=(float(np.sqrt(low)), float(np.sqrt(high))),
        spread=squared.spread / (2 * value) if value > 0 else 0.0,
    )


def _trees() -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    # Small on purpose: few rows are held out, and a mean over many rows is wanted of it.
    return HistGradientBoostingRegressor(
        max_iter=60, learning_rate=0.1, max_leaf_nodes=15, early_stopping=False, random_state=0
    )


class _Table:
    """Features and prediction as numbers; a word by its place among those that were seen."""

    def __init__(self, features: pd.DataFrame) -> None:
        self._words: dict[Any, dict[str, int]] = {}
        for name in features.columns:
            values = features[name]
            if columns.type_of(values) in ("string", "object"):
                seen = sorted(set(values.dropna().astype(str)))
                self._words[name] = {word: at for at, word in enumerate(seen)}
        self._names = list(features.columns)

    def __call__(self, features: pd.DataFrame, predictions: Floats) -> Floats:
        made = [self._numbers(name, features[name]) for name in self._names]
        return np.column_stack([*made, np.asarray(predictions, dtype=float)])

    def _numbers(self, name: Any, values: pd.Series) -> Floats:
        if name in self._words:
            known = self._words[name]
            # What is new has no place: to the trees it is missing.
            places: Floats = np.asarray(values.astype(str).map(known), dtype=float)
            return places
        if columns.type_of(values) == "datetime":
            times = columns.times(values)
            values = times.astype("int64").where(times.notna())
        numbers: Floats = np.asarray(pd.to_numeric(values, errors="coerce"), dtype=float)
        return np.where(np.isfinite(numbers), numbers, np.nan)
