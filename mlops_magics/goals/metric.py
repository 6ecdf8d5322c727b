"""What a metric is: what it is called, what it may be asked, and its value on a sample."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from mlops_magics.errors import did_you_mean
from mlops_magics.goals.samples import Array, Floats, Sample, Undefined
from mlops_magics.goals.units import Kind

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
