"""Metrics that come from measuring, not from labels: latency, size, drift, counts.

Their values are facts of the subject that is judged (`mlops_magics.goals.judging.Subject`), in
base units: seconds, bytes, shares.
"""

from __future__ import annotations

from typing import Any, ClassVar

from numpy.typing import ArrayLike

from mlops_magics.goals.metrics import Metric
from mlops_magics.goals.samples import Undefined


class Measurement(Metric):
    """A figure that is measured on the model, its data or its service."""

    needs = "measurement"
    greater_is_better = False
    #: Quantile of the latency that this is; 0 for what is no latency.
    quantile: ClassVar[float] = 0.0

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
    quantile = 0.50


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


class Requests(Rows):
    """How many requests came in the window of time."""

    name = "requests"


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
