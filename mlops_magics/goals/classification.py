"""Metrics of predicted classes, each a function of the confusion matrix.

With two classes they are those of the positive one. With more, they are computed for every
class against the rest and averaged: ``macro`` (each class alike, the default), ``weighted`` (by
its true rows) or ``micro`` (over all decisions), as scikit-learn defines these;
``recall(positive=bad)`` takes one class against the rest instead. Nothing divided by nothing
is 0, as there; a share of rows that do not exist has no value.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from mlops_magics.errors import did_you_mean
from mlops_magics.goals.moments import Moments, divide
from mlops_magics.goals.samples import Array, Floats, Sample, Undefined, distinct, same_value, shown

_AVERAGES = ("macro", "weighted", "micro")


def _floats(columns: Sequence[Array]) -> Floats:
    return np.column_stack(columns).astype(float)


def _positive_of(y_true: Array, y_pred: Array) -> Any:
    """The last of at most two classes, as scikit-learn has it; ``None`` for more."""
    found = distinct(y_true, y_pred)
    return found[-1] if len(found) <= 2 else None


class OfOneClass(Moments):
    """A metric of one class against the rest: of true and false positives and negatives."""

    parameters: ClassVar[Mapping[str, type]] = {"positive": str}
    #: Which rows there must be: the value is a share of them.
    share_of: ClassVar[Literal["", "positives", "negatives"]] = ""

    def inputs(self, rows: Sample, **params: Any) -> tuple[Array, Array, dict[str, Any]]:
        """See `Metric`; a positive class that a goal names must be one that the model knows."""
        if rows.classes is not None and "positive" in params:
            params["positive"] = same_value(params["positive"], rows.classes)
            if not (rows.classes == params["positive"]).any():
                known = did_you_mean(str(params["positive"]), map(str, rows.classes))
                raise Undefined(f"there is no class {shown(params['positive'])}. {known}")
        return super().inputs(rows, **params)

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


class Confusion(OfOneClass):
    """As `OfOneClass`, and averaged over the classes when there are more than two."""

    unit = "ratio"
    parameters: ClassVar[Mapping[str, type]] = {"positive": str, "average": str}

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

    def combine(self, sums: Floats, average: str = "macro", **params: Any) -> Floats:
        """See `Moments`."""
        if sums.shape[1] == 4:  # by class there are three for each, which is never four
            return self.of(*sums.T)
        hit, true, said = np.split(sums, 3, axis=1)
        rest = true.sum(axis=1, keepdims=True) - true - said + hit
        if average == "micro":
            return self.of(*(part.sum(axis=1) for part in (rest, said - hit, true - hit, hit)))
        each = self.of(rest, said - hit, true - hit, hit)
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


class Profit(OfOneClass):
    """What the decisions earn in all: each of tp, fp, tn, fn times the amount given for it."""

    name = "profit"
    parameters: ClassVar[Mapping[str, type]] = {
        "tp": float,
        "fp": float,
        "tn": float,
        "fn": float,
        "positive": str,
    }

    def missing_parameter(self, params: Mapping[str, Any]) -> str:
        """At least one amount."""
        if params.keys() & {"tp", "fp", "tn", "fn"}:
            return ""
        return f"{self.name} needs an amount for tp, fp, tn or fn: {self.name}(tp=100, fp=-20)."

    def combine(self, sums: Floats, **params: Any) -> Floats:
        """See `Moments`."""
        amounts = [float(params.get(cell, 0.0)) for cell in ("tn", "fp", "fn", "tp")]
        return np.asarray(sums @ np.array(amounts))


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
