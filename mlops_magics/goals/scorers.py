"""Scikit-learn's scorers under their own names, for every metric that has no class here."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np

from mlops_magics.goals.metrics import Metric
from mlops_magics.goals.samples import Array, Sample, Undefined, probable


@cache
def names() -> frozenset[str]:
    """What scikit-learn calls its scorers."""
    from sklearn.metrics import get_scorer_names

    return frozenset(get_scorer_names())


class ScorerMetric(Metric):
    """One of scikit-learn's scorers; more is always better, so losses are negative there.

    A scorer asks an estimator for answers. Here it asks a stand-in that repeats the answers the
    model has already given, so any scorer works, and equals scikit-learn by construction.
    """

    def __init__(self, name: str) -> None:
        from sklearn.metrics import get_scorer

        self.name = name  # type: ignore[misc]  # of the instance: one class serves all scorers
        self._scorer = get_scorer(name)

    def value(self, rows: Sample, **params: Any) -> float:
        """See `Metric`."""
        truth, stand_in = _stand_in(rows)
        try:
            with warnings.catch_warnings():
                # What scikit-learn only warns of and answers with a number has no value.
                warnings.simplefilter("error", category=_undefined_warning())
                # Rows are looked up by index, whatever a scorer does with X.
                return float(self._scorer(stand_in, np.arange(rows.rows), truth))
        except AttributeError as error:  # of the stand-in: it lacks `predict_proba`
            reason = f"{self.name} needs probabilities, and this model gives none"
            raise Undefined(self._of_classes(rows) or reason) from error
        except (ValueError, TypeError, Warning) as error:
            first = str(error).splitlines()[0]
            reason = self._of_classes(rows) if first == "continuous is not supported" else ""
            raise Undefined(reason or f"scikit-learn's {self.name} says: {first}") from error

    def _of_classes(self, rows: Sample) -> str:
        """Why a scorer of classes says nothing of numbers; empty of classes."""
        if rows.task == "classification":
            return ""
        return f"{self.name} belongs to a classification, and this model predicts numbers"


@cache
def _undefined_warning() -> type[Warning]:
    from sklearn.exceptions import UndefinedMetricWarning

    return UndefinedMetricWarning  # type: ignore[no-any-return]


def _stand_in(rows: Sample) -> tuple[Array, Any]:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

    truth, predictions, classes = rows.y_true, rows.predictions, rows.classes
    if classes is not None and len(classes) == 2:
        # Scorers take 1 as the positive class, so two classes become 0 and 1.
        truth = (truth == rows.positive).astype(int)
        predictions = (predictions == rows.positive).astype(int)
        classes = np.array([0, 1])

    class Labels(RegressorMixin if classes is None else ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        def __init__(self) -> None:
            self.classes_ = classes

        def __sklearn_is_fitted__(self) -> bool:
            return True

        def predict(self, X: Array) -> Array:
            return predictions[X]

    if rows.scores is None:
        return truth, Labels()
    scores = rows.scores

    class Scores(Labels):
        def decision_function(self, X: Array) -> Array:
            return scores[X]

    if not probable(scores):
        return truth, Scores()
    shares = np.column_stack([1 - scores, scores]) if scores.ndim == 1 else scores

    class Probabilities(Labels):
        def predict_proba(self, X: Array) -> Array:
            return shares[X]

    return truth, Probabilities()
