"""What a metric is, and how one is found by its name.

A metric is one class and one line in the entry-point group ``mlops_magics.metrics``; the
built-in ones register like anyone else's. Any other name that scikit-learn knows as a scorer
works too, and so does a function of the user's (`using`).
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from mlops_magics import plugins
from mlops_magics.errors import MlopsError, UnknownName, WrongUsage, did_you_mean
from mlops_magics.goals.samples import Array, Floats, Sample, Task, Undefined, sample
from mlops_magics.goals.units import Kind

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

Need = Literal["labels", "scores", "values", "rows", "measurement"]

#: A metric bound to one sample: weights of shape (b, n) → its b values.
Statistic = Callable[[Floats], Floats]


class Metric(ABC):
    """Base of every metric: what it is called, what it may be asked, and its value.

    A metric of your own is a subclass of `OfArrays`; this base is for those that are computed
    from something else than arrays of truth and answers.

    Attributes
    ----------
    needs : str
        ``labels`` (predicted classes), ``scores`` (probabilities), ``values`` (numbers of a
        regression), ``rows`` (any of these) or ``measurement`` (see
        `mlops_magics.goals.measurements`).
    unit : str
        The kind of its unit: ``""``, ``ratio`` (may be written in %), ``time`` or ``bytes``.
    parameters : mapping
        The parameters that a goal may give it, and their types.
    """

    name: ClassVar[str]
    greater_is_better: ClassVar[bool] = True
    needs: ClassVar[Need] = "labels"
    unit: ClassVar[Kind] = ""
    parameters: ClassVar[Mapping[str, type]] = {}
    takes_column: ClassVar[bool] = False
    has_reference: ClassVar[bool] = True
    #: Whether it has an interval, and may be judged on it.
    has_interval: ClassVar[bool] = True
    #: Whether it is between groups, so that a goal on it names a column: ``by COLUMN``.
    needs_groups: ClassVar[bool] = False
    #: Whether it says something of a group of few rows.
    of_any_size: ClassVar[bool] = False
    #: Whether it looks at the features too: the sample that it is given then has them.
    uses_features: ClassVar[bool] = False
    natural_unit: ClassVar[str] = ""

    @abstractmethod
    def value(self, rows: Sample, **params: Any) -> float:
        """The metric on a sample.

        Raises
        ------
        Undefined
            If it has no value on it; the message says why.
        """

    @property
    def looped(self) -> bool:
        """Whether its `statistic` calls it once a resample, which takes its time."""
        return type(self).statistic is Metric.statistic

    def statistic(self, rows: Sample, **params: Any) -> Statistic:
        """The metric as a function of how often each row counts.

        This one calls the metric once a resample on the rows repeated as drawn, so it holds for
        any metric; a resample on which it is undefined gives NaN.
        """

        def one(counts: Floats) -> float:
            try:
                drawn = np.repeat(np.arange(rows.rows), counts.astype(np.int64))
                return self.value(rows.take(drawn), **params)
            except Undefined:
                return float("nan")

        return lambda weights: np.array([one(counts) for counts in weights])

    def wants_features(self, params: Mapping[str, Any]) -> bool:
        """Whether, with these parameters, it looks at the features."""
        return self.uses_features

    def wrong_parameter(self, name: str, value: float | str) -> str:
        """What is wrong with one parameter, in a sentence; empty when it is right."""
        if name not in self.parameters:
            if not self.parameters:
                return f"{self.name} takes no parameter."
            return f"{self.name} has no parameter {name!r}. {did_you_mean(name, self.parameters)}"
        wanted = self.parameters[name]
        if wanted is float and not isinstance(value, float):
            return f"{name} of {self.name} is a number, not {value!r}."
        return ""

    def wrong_column(self, column: str) -> str:
        """What is wrong with the column, in a sentence; empty when nothing is known against it."""
        return ""

    def missing_column(self) -> str:
        """What to write where it takes a column and has none."""
        return f"{self.name} is of a column: {self.name}(Income), or {self.name}(*) for every one."

    def about(self, column: str | None) -> Metric:
        """The metric as it is of that column, which may have a unit of its own."""
        return self

    def missing_parameter(self, params: Mapping[str, Any]) -> str:
        """What must still be given, in a sentence; empty when nothing."""
        return ""


class OfArrays(Metric):
    """A metric of truth and answers: a subclass needs a `name` and ``__call__``.

    It is then usable in goals, with intervals, groups and comparisons. The bootstrap calls it
    once a resample unless it overrides `statistic` (see `mlops_magics.goals.moments`).
    """

    @abstractmethod
    def __call__(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        positive: Any = None,
        **params: Any,
    ) -> float:
        """The metric's value.

        Parameters
        ----------
        y_pred : array of shape (n,) or (n, k)
            What `needs` names: classes; the positive class's probability (with more than two
            classes one column each, and their order in ``classes=``); or numbers.
        positive : object, optional
            The class that counts as positive.

        Raises
        ------
        Undefined
            If it has no value on this data; the message says why.
        """

    def inputs(self, rows: Sample, **params: Any) -> tuple[Array, Array, dict[str, Any]]:
        """Truth, answers and keyword arguments with which ``__call__`` is called for a sample."""
        wanted = "regression" if self.needs == "values" else "classification"
        if rows.task != wanted:
            gives = "numbers" if rows.task == "regression" else "classes"
            raise Undefined(f"{self.name} belongs to a {wanted}, and this model predicts {gives}")
        options: dict[str, Any] = {"positive": rows.positive, **params}
        if self.needs != "scores":
            return rows.y_true, rows.predictions, options
        if rows.scores is None:
            raise Undefined(f"{self.name} needs probabilities, and this model gives none")
        if rows.scores.ndim == 2:
            options["classes"] = rows.classes
        return rows.y_true, rows.scores, options

    def value(self, rows: Sample, **params: Any) -> float:
        """See `Metric`."""
        y_true, y_pred, options = self.inputs(rows, **params)
        return float(self(y_true, y_pred, **options))


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
