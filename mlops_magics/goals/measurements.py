"""Metrics that come from measuring, not from labels: latency, size, drift, counts.

Their values are facts of the subject that is judged (`mlops_magics.goals.subject.Subject`), in
base units: seconds, bytes, shares.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mlops_magics.goals import latency
from mlops_magics.goals.metrics import Metric
from mlops_magics.goals.samples import Sample, Undefined

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

    def value(self, rows: Sample, **params: Any) -> float:
        """Has no value from labels alone.

        Raises
        ------
        Undefined
            Always.
        """
        raise Undefined(f"{self.name} is measured on a model or a service, not from labels")


class P50Latency(Measurement):
    """Median time of an answer: of one row in `validate`, of a request in `monitor`.

    ``p50_latency(batch=100)`` asks for so many rows at once.
    """

    name = "p50_latency"
    unit = "time"
    natural_unit = "ms"
    parameters: ClassVar[Mapping[str, type]] = {"batch": float}
    #: Of the times that answers took.
    quantile: ClassVar[float] = 0.50

    def measured(
        self, subject: Subject, column: str | None, params: Mapping[str, Any]
    ) -> tuple[float, str]:
        """See `Measurement`; measured here unless a service's record has it."""
        batch = int(params.get("batch", 1))
        if batch == 1 and (self.name in subject.facts or self.name in subject.unknown):
            return super().measured(subject, column, params)
        taken = subject.latencies(batch)
        return float(np.quantile(taken, self.quantile)), latency.how(taken, batch)

    def wrong_parameter(self, name: str, value: float | str) -> str:
        """See `Metric`."""
        return super().wrong_parameter(name, value) or _wrong_batch(self.name, value)


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


class Throughput(Measurement):
    """Rows answered in a second, asked for `batch` at once: ``throughput(batch=1000) >= 5000``."""

    name = "throughput"
    greater_is_better = True
    parameters: ClassVar[Mapping[str, type]] = {"batch": float}

    def measured(
        self, subject: Subject, column: str | None, params: Mapping[str, Any]
    ) -> tuple[float, str]:
        """See `Measurement`."""
        batch = int(params.get("batch", 1))
        taken = subject.latencies(batch)
        return batch / float(np.median(taken)), f"a second, {latency.how(taken, batch)}"

    def wrong_parameter(self, name: str, value: float | str) -> str:
        """See `Metric`."""
        return super().wrong_parameter(name, value) or _wrong_batch(self.name, value)


class Memory(Measurement):
    """Bytes of memory that a process of its own needs at most to load the model and to answer."""

    name = "memory"
    unit = "bytes"
    natural_unit = "MB"

    def measured(
        self, subject: Subject, column: str | None, params: Mapping[str, Any]
    ) -> tuple[float, str]:
        """See `Measurement`."""
        if self.name in subject.facts:
            return super().measured(subject, column, params)
        return subject.memory(), "at most, in a process of its own, libraries included"


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


class MultivariateDrift(Measurement):
    """How well a classifier tells the rows that came from those of training: its AUC.

    0.5 where there is nothing to tell, 1 where each row is told. Of all columns together, so a
    change of how they go together is seen; `monitor` names the columns that drive it.
    """

    name = "multivariate_drift"
    has_reference = False


class Missing(Measurement):
    """Share of a column's values that are missing."""

    name = "missing"
    unit = "ratio"
    takes_column = True
    has_reference = False


def _wrong_batch(name: str, value: float | str) -> str:
    if isinstance(value, float) and value >= 1 and value.is_integer():
        return ""
    return f"batch of {name} is a whole number of rows from 1, not {value!r}."
