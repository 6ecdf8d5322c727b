"""Metrics of predicted classes, each a function of the confusion matrix.

With two classes they are those of the positive one. With more, they are computed for every
class against the rest and averaged: ``macro`` (each class alike, the default), ``weighted`` (by
its true rows) or ``micro`` (over all decisions), as scikit-learn defines these;
``recall(positive=bad)`` takes one class against the rest instead. Nothing divided by nothing
is 0, as there; a share of rows that do not exist has no value.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np

from mlops_magics.errors import did_you_mean
from mlops_magics.goals.moments import Moments, divide
from mlops_magics.goals.samples import (
    Array,
    Floats,
    Sample,
    Undefined,
    distinct,
    probable,
    same_value,
    shown,
)

#: True and false negatives and positives (tn, fp, fn, tp) → a metric, elementwise.
Formula = Callable[[Floats, Floats, Floats, Floats], Floats]

_AVERAGES = ("macro", "weighted", "micro")


def _floats(columns: Sequence[Array]) -> Floats:
    return np.column_stack(columns).astype(float)


def _positive_of(y_true: Array, y_pred: Array) -> Any:
    """The last of at most two classes, as scikit-learn has it; ``None`` for more."""
    found = distinct(y_true, y_pred)
    return found[-1] if len(found) <= 2 else None


class OfOneClass(Moments):
    """A metric of one class against the rest: of true and false positives and negatives."""

    parameters: ClassVar[Mapping[str, type]] = {"positive": str, "threshold": float}
    #: Which rows there must be: the value is a share of them.
    share_of: ClassVar[Literal["", "positives", "negatives"]] = ""

    def inputs(self, rows: Sample, **params: Any) -> tuple[Array, Array, dict[str, Any]]:
        """See `Metric`; a positive class that a goal names must be one that the model knows."""
        if rows.classes is not None and "positive" in params:
            params["positive"] = same_value(params["positive"], rows.classes)
            if not (rows.classes == params["positive"]).any():
                known = did_you_mean(str(params["positive"]), map(str, rows.classes))
                raise Undefined(f"there is no class {shown(params['positive'])}. {known}")
        if "threshold" in params:
            rows = _decided(rows, params.pop("threshold"), params.get("positive"), self.name)
        return super().inputs(rows, **params)

    def wrong_parameter(self, name: str, value: float | str) -> str:
        """See `Metric`."""
        wrong = super().wrong_parameter(name, value)
        if not wrong and name == "threshold" and not 0 <= float(value) <= 1:
            return f"threshold of {self.name} is a probability from 0 to 1, not {value!r}."
        return wrong

    def columns(self, y_true: Array, y_pred: Array, positive: Any, **params: Any) -> Floats:
        """Four columns: tn, fp, fn, tp."""
        if len(y_true) == 0:
            raise Undefined("there are no rows")
        chosen = _positive_of(y_true, y_pred) if positive is None else positive
        if chosen is None:
            raise Undefined(
                f"{self.name} is of one class against the rest: say which, as in "
                f"{self.name}(positive=NAME)"
            )
        true, said = y_true == chosen, y_pred == chosen
        if self.share_of == "positives" and not true.any():
            raise Undefined(f"the data has no row of class {shown(chosen)}")
        if self.share_of == "negatives" and true.all():
            raise Undefined(f"the data has no row of another class than {shown(chosen)}")
        return _floats([~true & ~said, ~true & said, true & ~said, true & said])


def _decided(rows: Sample, threshold: float, named: Any, metric: str) -> Sample:
    """The same answers, decided by another threshold of the probability of the positive class."""
    chosen = rows.positive if named is None else named
    if rows.classes is None or chosen is None:
        raise Undefined(
            f"a threshold is of one class's probability: say which, as in {metric}(positive=NAME)"
        )
    if rows.scores is None or not probable(rows.scores):
        raise Undefined(f"a threshold needs probabilities, and {_gives(rows)}")
    if rows.scores.ndim == 2:
        at = int(np.flatnonzero(rows.classes == chosen)[0])
        score = rows.scores[:, at]
        others = np.delete(rows.scores, at, axis=1).argmax(axis=1)
        other = np.delete(rows.classes, at)[others]
    else:
        score = rows.scores if chosen == rows.positive else 1 - rows.scores
        other = next(c for c in rows.classes if c != chosen)
    said = np.where(score >= threshold, np.array(chosen, dtype=rows.classes.dtype), other)
    return replace(rows, predictions=said)


def _gives(rows: Sample) -> str:
    return "this model gives none" if rows.scores is None else "this model gives scores only"


class Confusion(OfOneClass):
    """As `OfOneClass`, and averaged over the classes when there are more than two."""

    unit = "ratio"
    parameters: ClassVar[Mapping[str, type]] = {
        "positive": str,
        "threshold": float,
        "average": str,
    }

    @abstractmethod
    def of(self, tn: Floats, fp: Floats, fn: Floats, tp: Floats) -> Floats:
        """The metric of one class against the rest, elementwise."""

    def wrong_parameter(self, name: str, value: float | str) -> str:
        """See `Metric`."""
        if name == "average" and value not in _AVERAGES:
            return f"average is one of {', '.join(_AVERAGES)}, not {value!r}."
        return super().wrong_parameter(name, value)

    def columns(self, y_true: Array, y_pred: Array, positive: Any, **params: Any) -> Floats:
        """Four columns (tn, fp, fn, tp), or three a class: hit, true, predicted."""
        known = distinct(y_true, y_pred)
        if "average" not in params and (positive is not None or len(known) <= 2):
            return super().columns(y_true, y_pred, positive)
        true, said = y_true[:, np.newaxis] == known, y_pred[:, np.newaxis] == known
        return np.hstack([true & said, true, said]).astype(float)

    def formula(self, params: Mapping[str, Any]) -> Formula:
        """`of` with the goal's parameters."""
        return self.of

    def combine(self, sums: Floats, average: str = "macro", **params: Any) -> Floats:
        """See `Moments`."""
        of = self.formula(params)
        if sums.shape[1] == 4:  # by class there are three for each, which is never four
            return of(*sums.T)
        hit, true, said = np.split(sums, 3, axis=1)
        rest = true.sum(axis=1, keepdims=True) - true - said + hit
        if average == "micro":
            return of(*(part.sum(axis=1) for part in (rest, said - hit, true - hit, hit)))
        each = of(rest, said - hit, true - hit, hit)
        shares = true if average == "weighted" else ((true + said) > 0).astype(float)
        return divide((each * shares).sum(axis=1), shares.sum(axis=1))


class Precision(Confusion):
    """tp / (tp + fp): of the rows called positive, the share that is."""

    name = "precision"

    def of(self, tn: Floats, fp: Floats, fn: Floats, tp: Floats) -> Floats:
        """See `Confusion`."""
        return divide(tp, tp + fp)


class Recall(Confusion):
    """tp / (tp + fn): of the positive rows, the share found."""

    name = "recall"
    share_of = "positives"

    def of(self, tn: Floats, fp: Floats, fn: Floats, tp: Floats) -> Floats:
        """See `Confusion`."""
        return divide(tp, tp + fn)


class F1(Confusion):
    """2 tp / (2 tp + fp + fn): the harmonic mean of precision and recall."""

    name = "f1"
    share_of = "positives"

    def of(self, tn: Floats, fp: Floats, fn: Floats, tp: Floats) -> Floats:
        """See `Confusion`."""
        return divide(2 * tp, 2 * tp + fp + fn)


class Specificity(Confusion):
    """tn / (tn + fp): of the negative rows, the share left alone."""

    name = "specificity"
    share_of = "negatives"

    def of(self, tn: Floats, fp: Floats, fn: Floats, tp: Floats) -> Floats:
        """See `Confusion`."""
        return divide(tn, tn + fp)


class FalsePositiveRate(Confusion):
    """fp / (fp + tn): of the negative rows, the share called positive."""

    name = "false_positive_rate"
    greater_is_better = False
    share_of = "negatives"

    def of(self, tn: Floats, fp: Floats, fn: Floats, tp: Floats) -> Floats:
        """See `Confusion`."""
        return divide(fp, fp + tn)


class FalseNegativeRate(Confusion):
    """fn / (fn + tp): of the positive rows, the share missed."""

    name = "false_negative_rate"
    greater_is_better = False
    share_of = "positives"

    def of(self, tn: Floats, fp: Floats, fn: Floats, tp: Floats) -> Floats:
        """See `Confusion`."""
        return divide(fn, fn + tp)


class SelectionRate(OfOneClass):
    """(tp + fp) / n: the share of rows called positive, whatever the truth."""

    name = "selection_rate"
    unit = "ratio"

    def combine(self, sums: Floats, **params: Any) -> Floats:
        """See `Moments`."""
        tn, fp, fn, tp = sums.T
        return divide(tp + fp, tn + fp + fn + tp)


class FBeta(Confusion):
    """(1 + β²) tp / ((1 + β²) tp + β² fn + fp): with β = 2 recall counts more than precision."""

    name = "fbeta"
    share_of = "positives"
    parameters: ClassVar[Mapping[str, type]] = {**Confusion.parameters, "beta": float}

    def missing_parameter(self, params: Mapping[str, Any]) -> str:
        """See `Metric`."""
        return "" if "beta" in params else "fbeta needs beta, as in fbeta(beta=2)."

    def wrong_parameter(self, name: str, value: float | str) -> str:
        """See `Metric`."""
        wrong = super().wrong_parameter(name, value)
        if not wrong and name == "beta" and not float(value) > 0:
            return f"beta of fbeta is above 0, not {value!r}."
        return wrong

    def columns(self, y_true: Array, y_pred: Array, positive: Any, **params: Any) -> Floats:
        """See `Confusion`."""
        params.pop("beta", None)
        return super().columns(y_true, y_pred, positive, **params)

    def formula(self, params: Mapping[str, Any]) -> Formula:
        """See `Confusion`."""
        square = float(params["beta"]) ** 2

        def of(tn: Floats, fp: Floats, fn: Floats, tp: Floats) -> Floats:
            hit = (1 + square) * tp
            return divide(hit, hit + square * fn + fp)

        return of

    def of(self, tn: Floats, fp: Floats, fn: Floats, tp: Floats) -> Floats:
        """See `Confusion`; of β = 1."""
        return self.formula({"beta": 1.0})(tn, fp, fn, tp)


class Profit(OfOneClass):
    """What the decisions earn in all: each of tp, fp, tn, fn times the amount given for it.

    An amount is a number, or a column that holds each row's own: ``cost(fn=Amount, fp=20)``.
    """

    name = "profit"
    parameters: ClassVar[Mapping[str, type]] = {
        "tp": object,
        "fp": object,
        "tn": object,
        "fn": object,
        "positive": str,
        "threshold": float,
    }

    def missing_parameter(self, params: Mapping[str, Any]) -> str:
        """At least one amount."""
        if params.keys() & set(_CELLS):
            return ""
        return f"{self.name} needs an amount for tp, fp, tn or fn: {self.name}(tp=100, fp=-20)."

    def wants_features(self, params: Mapping[str, Any]) -> bool:
        """See `Metric`."""
        return any(isinstance(params.get(cell), str) for cell in _CELLS)

    def inputs(self, rows: Sample, **params: Any) -> tuple[Array, Array, dict[str, Any]]:
        """See `OfArrays`; a column's name becomes its values."""
        for cell in _CELLS:
            if isinstance(params.get(cell), str):
                params[cell] = _amounts(rows, params[cell])
        return super().inputs(rows, **params)

    def columns(self, y_true: Array, y_pred: Array, positive: Any, **params: Any) -> Floats:
        """What the row earns."""
        cells = super().columns(y_true, y_pred, positive)
        amounts = [np.broadcast_to(params.get(cell, 0.0), len(y_true)) for cell in _CELLS]
        earned: Floats = (cells * np.column_stack(amounts)).sum(axis=1, keepdims=True)
        return earned

    def combine(self, sums: Floats, **params: Any) -> Floats:
        """See `Moments`."""
        return sums[:, 0]


_CELLS = ("tn", "fp", "fn", "tp")


def _amounts(rows: Sample, column: str) -> Floats:
    """The values of a column of the rows."""
    import pandas as pd

    if rows.features is None or column not in rows.features.columns:
        known = [] if rows.features is None else list(map(str, rows.features.columns))
        raise Undefined(f"there is no column {column!r}. {did_you_mean(column, known)}")
    values = pd.to_numeric(rows.features[column], errors="coerce").to_numpy(dtype=float)
    if not np.isfinite(values).all():
        count = int((~np.isfinite(values)).sum())
        raise Undefined(
            f"{column} has no number in {count} of {len(values)} rows, so it is no amount"
        )
    return values


class Cost(Profit):
    """As `Profit`, where less is better: ``cost(fn=500, fp=20) <= 10000``."""

    name = "cost"
    greater_is_better = False


class Accuracy(Moments):
    """The share of rows whose class is predicted."""

    name = "accuracy"
    unit = "ratio"

    def columns(self, y_true: Array, y_pred: Array, positive: Any, **params: Any) -> Floats:
        """Hit, and 1."""
        if len(y_true) == 0:
            raise Undefined("there are no rows")
        return _floats([y_true == y_pred, np.ones(len(y_true))])

    def combine(self, sums: Floats, **params: Any) -> Floats:
        """See `Moments`."""
        return divide(sums[:, 0], sums[:, 1])


class BalancedAccuracy(Moments):
    """The mean, over the classes in the data, of the share of their rows that are found."""

    name = "balanced_accuracy"
    unit = "ratio"

    def columns(self, y_true: Array, y_pred: Array, positive: Any, **params: Any) -> Floats:
        """Hit and true of each class that the data has."""
        known = distinct(y_true)
        if len(known) < 2:
            raise Undefined(one_class(self.name, y_true))
        true = y_true[:, np.newaxis] == known
        return np.hstack([true & (y_pred[:, np.newaxis] == known), true]).astype(float)

    def combine(self, sums: Floats, **params: Any) -> Floats:
        """See `Moments`."""
        hit, true = np.split(sums, 2, axis=1)
        return divide(divide(hit, true).sum(axis=1), (true > 0).sum(axis=1).astype(float))


def one_class(name: str, y_true: Array) -> str:
    """Why a metric that compares classes has no value here."""
    if len(y_true) == 0:
        return "there are no rows"
    return f"the data has only one class ({shown(y_true[0])}), and {name} compares two"
