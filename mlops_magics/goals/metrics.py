"""How a metric is found by its name, and computed.

A metric is one class and one line in the entry-point group ``mlops_magics.metrics``; the
built-in ones register like anyone else's. Any other name that scikit-learn knows as a scorer
works too, and so does a function of the user's (`using`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from types import MappingProxyType
from typing import Any

from numpy.typing import ArrayLike

from mlops_magics import plugins
from mlops_magics.errors import MlopsError, UnknownName, WrongUsage
from mlops_magics.goals.metric import Metric, OfArrays, Statistic
from mlops_magics.goals.samples import Task, Undefined, sample

__all__ = [
    "Measures",
    "Metric",
    "OfArrays",
    "Statistic",
    "Undefined",
    "default_metrics",
    "find",
    "measure",
    "using",
]

#: Functions, and where they are defined, that hold for as long as `using` is open.
_own: ContextVar[Mapping[str, tuple[Callable[..., Any], str]]] = ContextVar(
    "_own", default=MappingProxyType({})
)

#: What people type, and what it is called here.
_CALLED = {
    "auc": "roc_auc",
    "auroc": "roc_auc",
    "auprc": "average_precision",
    "pr_auc": "average_precision",
    "f1_score": "f1",
    "acc": "accuracy",
    "accuracy_score": "accuracy",
    "sensitivity": "recall",
    "tpr": "recall",
    "true_positive_rate": "recall",
    "hit_rate": "recall",
    "fpr": "false_positive_rate",
    "fnr": "false_negative_rate",
    "tnr": "specificity",
    "true_negative_rate": "specificity",
    "ppv": "precision",
    "mcc": "matthews_corrcoef",
    "logloss": "log_loss",
    "cross_entropy": "log_loss",
    "brier_score": "brier",
    "ece": "calibration_error",
    "r2_score": "r2",
    "mean_absolute_error": "mae",
    "mean_squared_error": "mse",
    "root_mean_squared_error": "rmse",
    "latency": "p95_latency",
    "size": "model_size",
    "psi": "drift",
    "demographic_parity": "demographic_parity_difference",
    "equalized_odds": "equalized_odds_difference",
    "equal_opportunity": "equal_opportunity_difference",
    "disparate_impact": "demographic_parity_ratio",
}


@contextmanager
def using(functions: Mapping[str, Callable[..., Any]], where: str) -> Iterator[None]:
    """While this is open, goals may name these functions as they name any metric.

    Whether one can be a metric is looked at when a goal names it.

    Parameters
    ----------
    functions : mapping
        Name → function; see `mlops_magics.goals.functions.FunctionMetric` for what they may take.
    where : str
        Where they are defined, as messages say it.
    """
    token = _own.set({**_own.get(), **{name: (f, where) for name, f in functions.items()}})
    try:
        yield
    finally:
        _own.reset(token)


def find(name: str) -> Metric:
    """The metric of that name: registered, one of scikit-learn's scorers, or a user's function.

    Raises
    ------
    UnknownName
        If there is none; with the nearest names.
    WrongUsage
        If a user's function can be no metric, or has the name of one that there is already.
    MlopsError
        If what is registered under the name is no `Metric`.
    """
    own = _own.get()
    if name not in own:
        return _known(name, tuple(own))
    from mlops_magics.goals import scorers
    from mlops_magics.goals.functions import FunctionMetric

    if name in plugins.names("metric") or name in scorers.names():
        raise WrongUsage(
            f"The function {name!r} has the name of a metric that there is already.",
            "Give it another name, so that nobody takes the one for the other.",
        )
    return FunctionMetric(name, *own[name])


@cache
def _known(name: str, own: tuple[str, ...] = ()) -> Metric:
    registered = plugins.names("metric")
    if name in registered:
        found = plugins.load("metric", name)
        if inspect.isfunction(found):
            from mlops_magics.goals.functions import FunctionMetric

            return FunctionMetric(name, found, f"the package that registers it, {found.__module__}")
        made = found() if isinstance(found, type) else found
        if not isinstance(made, Metric):
            raise MlopsError(
                f"The metric {name!r} is registered as {found!r}, which is no Metric.",
                "A metric is a function, or a subclass of mlops_magics.goals.metrics.OfArrays.",
            )
        return made
    from mlops_magics.goals import scorers

    if name in scorers.names():
        return scorers.ScorerMetric(name)
    unknown = UnknownName("metric", name, {*registered, *scorers.names(), *own})
    if name.lower() in _CALLED:
        unknown.hint = f"Here it is called {_CALLED[name.lower()]!r}."
    raise unknown


def default_metrics(task: Task) -> list[str]:
    """What training measures when nothing is asked for."""
    if task == "regression":
        return ["rmse", "mae", "r2"]
    return ["accuracy", "balanced_accuracy", "f1", "roc_auc", "average_precision", "log_loss"]


class Measures(dict[str, float]):
    """Metric → value, with the reasons for those that have none in `undefined`."""

    def __init__(self) -> None:
        super().__init__()
        self.undefined: dict[str, str] = {}


def measure(
    task: Task,
    y_true: ArrayLike,
    predictions: ArrayLike,
    scores: ArrayLike | None = None,
    classes: ArrayLike | None = None,
    positive: Any = None,
    names: Iterable[str] | None = None,
) -> Measures:
    """Measure several metrics on the same rows.

    Parameters
    ----------
    scores, classes
        As ``predict_proba`` and ``classes_`` give them.
    names : iterable of str, optional
        `default_metrics` of the task by default.

    Returns
    -------
    Measures
        A dict without those that are undefined here; these stand with their reasons in its
        attribute ``undefined``.

    Raises
    ------
    UnknownName
        If one of `names` is no metric.
    """
    rows = sample(task, y_true, predictions, scores, classes, positive)
    found = Measures()
    problem = rows.problem()
    for name in default_metrics(task) if names is None else names:
        metric = find(name)
        try:
            if problem:
                raise Undefined(problem)
            found[name] = metric.value(rows)
        except Undefined as error:
            found.undefined[name] = str(error)
    return found
