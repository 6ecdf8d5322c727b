"""``/metrics``: what the server says of itself to Prometheus.

==================================== =========================================================
``mlops_requests_total``             by ``status`` (HTTP) and ``protocol`` (mlflow, v2)
``mlops_rows_total``                 rows that were predicted, by ``protocol``
``mlops_request_duration_seconds``   a histogram by ``protocol``, from the first byte of the body
``mlops_queue_wait_seconds``         a histogram: how long requests waited for the model
``mlops_requests_in_flight``         being read, waiting or at work
``mlops_requests_waiting``           read, and waiting for the model
``mlops_ready``                      1 where the model would answer a request sent now
``mlops_capture_pending``            requests that are still to be written
``mlops_capture_written_total``      requests that were captured
``mlops_capture_dropped_total``      requests that were answered and not captured
``mlops_model_info``                 1; says ``name``, ``version``, ``digest`` and ``runtime``
``process_…``                        start, CPU, memory and open files, by Prometheus' names
==================================== =========================================================

All but the first in flight and the last two have the label ``model``, ``name/number``. Counting
is done by every request, so it is a few additions; what Prometheus' own library is for is the
form in which they are told, and it is imported when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client.core import Metric

#: Seconds: from a linear model on a row to whatever a request may take at most.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
PROTOCOLS = ("mlflow", "v2")

_HELP = {
    "requests_waiting": "Requests that wait for the model.",
    "ready": "Whether the model would answer a request sent now.",
    "capture_pending": "Requests that are still to be written to the capture.",
    "capture_written_total": "Requests that were captured.",
    "capture_dropped_total": "Requests that were answered and not captured.",
}


@dataclass(slots=True)
class Tally:
    """How long something took, how often: a histogram."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Once more."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """As Prometheus has them: up to each bound."""
        bounds = (*(str(float(b)) for b in BUCKETS), "+Inf")
        return list(zip(bounds, map(float, accumulate(self.counts)), strict=True))


@dataclass(slots=True)
class Counts:
    """What one model was asked in one protocol; written by the event loop's thread alone."""

    statuses: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    rows: int = 0
    duration: Tally = field(default_factory=Tally)

    def add(self, status: int, rows: int, seconds: float) -> None:
        """One request that was answered."""
        self.statuses[status] += 1
        self.duration.add(seconds)
        if status == 200:
            self.rows += rows


@dataclass(slots=True)
class Model:
    """The counts of one model, and what is looked up when somebody asks.

    Attributes
    ----------
    info : mapping
        ``name``, ``version``, ``digest``, ``runtime``.
    state : callable
        Name without the prefix → value.
    """

    label: str
    info: Mapping[str, str]
    state: Callable[[], Mapping[str, float]]
    counts: dict[str, Counts] = field(default_factory=lambda: {p: Counts() for p in PROTOCOLS})
    waits: Tally = field(default_factory=Tally)


class Metrics:
    """Counts of one server.

    Parameters
    ----------
    models : sequence of Model
    in_flight : callable
        How many requests are being read, waiting or at work.
    """

    def __init__(self, models: Sequence[Model], in_flight: Callable[[], int]) -> None:
        self.models = models
        self.in_flight = in_flight
        self._registry: Any = None

    def text(self, accept: str) -> tuple[bytes, str]:
        """Everything in the text format of Prometheus, or as OpenMetrics; and its content type."""
        from prometheus_client import CollectorRegistry, ProcessCollector
        from prometheus_client.exposition import choose_encoder

        if self._registry is None:
            self._registry = CollectorRegistry()
            self._registry.register(self)
            ProcessCollector(registry=self._registry)
        encoder, content_type = choose_encoder(accept)
        return encoder(self._registry), content_type

    def describe(self) -> list[Metric]:
        """Nothing, for the registry: so nothing is collected before somebody asks."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Each fact as it is now, for the registry."""
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        by = ["model", "protocol"]
        requests = CounterMetricFamily(
            "mlops_requests", "Requests answered.", labels=["model", "status", "protocol"]
        )
        rows = CounterMetricFamily("mlops_rows", "Rows predicted.", labels=by)
        about = "From the first byte of a body to the answer."
        durations = HistogramMetricFamily("mlops_request_duration_seconds", about, labels=by)
        about = "How long requests waited for the model."
        waits = HistogramMetricFamily("mlops_queue_wait_seconds", about, labels=["model"])
        info = GaugeMetricFamily(
            "mlops_model_info", "What is served.", labels=list(self.models[0].info)
        )
        states: dict[str, Any] = {}
        for model in self.models:
            for protocol, counts in model.counts.items():
                for status, count in counts.statuses.items():
                    requests.add_metric([model.label, str(status), protocol], count)
                rows.add_metric([model.label, protocol], counts.rows)
                durations.add_metric(
                    [model.label, protocol], counts.duration.buckets(), counts.duration.seconds
                )
            waits.add_metric([model.label], model.waits.buckets(), model.waits.seconds)
            info.add_metric(list(model.info.values()), 1)
            for name, value in model.state().items():
                family = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
                if name not in states:
                    states[name] = family(f"mlops_{name}", _HELP[name], labels=["model"])
                states[name].add_metric([model.label], value)
        yield from (requests, rows, durations, waits, info, *states.values())
        yield GaugeMetricFamily(
            "mlops_requests_in_flight",
            "Requests being read, waiting or at work.",
            value=self.in_flight(),
        )
