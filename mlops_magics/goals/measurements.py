"""Metrics that come from measuring, not from labels: latency, size, drift, counts.

Their values are facts of the subject that is judged (`mlops_magics.goals.subject.Subject`), in
base units: seconds, bytes, shares.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from mlops_magics.goals import latency
from mlops_magics.goals.metrics import Metric
from mlops_magics.goals.samples import Undefined

if TYPE_CHECKING:
    from mlops_magics.goals.subject import Subject


class Measurement(Metric):
    """A figure that is measured on the model, its data or its service."""

    needs = "measurement"
    greater_is_better = False

    def measured(
        self, subject: Subject, column: str | None, params: Mapping[str, Any]
    ) -> tuple[float, str]:
        """The figure in its base unit, and in words how it came about, where that is not plain.

        Raises
        ------
        Undefined
            If it is not known; says why.
        """
        return subject.fact(self.key(column), self.name), ""

    def key(self, column: str | None) -> str:
        """Under which name the subject knows the fact: ``drift(Income)``."""
        return f"{self.name}({column})" if column is not None else self.name

    def __call__(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        positive: Any = None,
        **params: Any,
    ) -> float:
        """Has no value from labels alone.

        Raises
        ------
        Undefined
            Always.
        """
        raise Undefined(f"{self.name} is measured on a model or a service, not from labels")


class P50Latency(Measurement):
    """Median time of an answer: of one row in `validate`, of a request in `monitor`."""

    name = "p50_latency"
    unit = "time"
    natural_unit = "ms"
    #: Of the times that answers took.
    quantile: ClassVar[float] = 0.50

    def measured(
        self, subject: Subject, column: str | None, params: Mapping[str, Any]
    ) -> tuple[float, str]:
        """See `Measurement`; measured here unless a service's record has it."""
        if self.name in subject.facts or self.name in subject.unknown:
            return super().measured(subject, column, params)
        taken = subject.latencies
        return float(np.quantile(taken, self.quantile)), latency.how(taken)


class P95Latency(P50Latency):
    """The time within which 95 of 100 answers came."""

    name = "p95_latency"
    quantile = 0.95


class P99Latency(P50Latency):
    """The time within which 99 of 100 answers came."""

    name = "p99_latency"
    quantile = 0.99


class ModelSize(Measurement):
    """Bytes of the model's files."""

    name = "model_size"
    unit = "bytes"
    natural_unit = "MB"


class Rows(Measurement):
    """How many rows were judged."""

    name = "rows"
    greater_is_better = True
    has_reference = False

    def measured(
        self, subject: Subject, column: str | None, params: Mapping[str, Any]
    ) -> tuple[float, str]:
        """See `Measurement`."""
        if self.name not in subject.facts and subject.sample is not None:
            return float(subject.sample.rows), ""
        return super().measured(subject, column, params)


class Requests(Measurement):
    """How many requests came in the window of time."""

    name = "requests"
    greater_is_better = True
    has_reference = False


class ErrorRate(Measurement):
    """Share of requests that were not answered (status 400 and above)."""

    name = "error_rate"
    unit = "ratio"
    has_reference = False


class Drift(Measurement):
    """PSI of a column against the training data, less what chance alone gives with so few rows.

    See `mlops_magics.drift.shares.population_stability`.
    """

    name = "drift"
    takes_column = True
    has_reference = False


class PredictionDrift(Drift):
    """`Drift` of what the model answers."""

    name = "prediction_drift"
    takes_column = False


class Missing(Measurement):
    """Share of a column's values that are missing."""

    name = "missing"
    unit = "ratio"
    takes_column = True
    has_reference = False
