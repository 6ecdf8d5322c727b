"""What a metric is, and how one is found by its name.

A metric is one class and one line in the entry-point group ``mlops_magics.metrics``; the
built-in ones register like anyone else's. Any other name that scikit-learn knows as a scorer
works too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from mlops_magics import plugins
from mlops_magics.errors import MlopsError, UnknownName, did_you_mean
from mlops_magics.goals.samples import Array, Floats, Sample, Task, Undefined, sample
from mlops_magics.goals.units import Kind

__all__ = ["Measures", "Metric", "Statistic", "Undefined", "default_metrics", "find", "measure"]

Need = Literal["labels", "scores", "values", "measurement"]

#: A metric bound to one sample: weights of shape (b, n) → its b values.
Statistic = Callable[[Floats], Floats]


class Metric(ABC):
    """Base of every metric.

    A subclass needs a `name` and ``__call__``; it is then usable in goals, with intervals,
    groups and comparisons. The bootstrap calls it once a resample unless it overrides
    `statistic` (see `mlops_magics.goals.moments`).

    Attributes
    ----------
    needs : str
        ``labels`` (predicted classes), ``scores`` (probabilities), ``values`` (numbers of a
        regression) or ``measurement`` (see `mlops_magics.goals.measurements`).
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
    #: Whether it looks at the features too: the sample that it is given then has them.
    uses_features: ClassVar[bool] = False
    natural_unit: ClassVar[str] = ""

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
        """The metric on a sample."""
        y_true, y_pred, options = self.inputs(rows, **params)
        return float(self(y_true, y_pred, **options))

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

    def missing_parameter(self, params: Mapping[str, Any]) -> str:
        """What must still be given, in a sentence; empty when nothing."""
        return ""


@cache
def find(name: str) -> Metric:
    """The metric of that name, registered or one of scikit-learn's scorers.

    Raises
    ------
    UnknownName
        If there is none; with the nearest names.
    MlopsError
        If what is registered under the name is no `Metric`.
    """
    registered = plugins.names("metric")
    if name in registered:
        found = plugins.load("metric", name)
        made = found() if isinstance(found, type) else found
        if not isinstance(made, Metric):
            raise MlopsError(
                f"The metric {name!r} is registered as {found!r}, which is no Metric.",
                "A metric is a subclass of mlops_magics.goals.metrics.Metric.",
            )
        return made
    from mlops_magics.goals import scorers

    if name in scorers.names():
        return scorers.ScorerMetric(name)
    raise UnknownName("metric", name, {*registered, *scorers.names()})


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
