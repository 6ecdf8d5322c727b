"""``/metrics``: what the server says of itself to Prometheus.

==================================== =========================================================
``mlops_requests_total``             by ``status`` (HTTP) and ``protocol`` (mlflow, v2)
``mlops_rows_total``                 rows that were predicted, by ``protocol``
``mlops_request_duration_seconds``   a histogram by ``protocol``, from the first byte of the body
``mlops_queue_wait_seconds``         a histogram: how long requests waited for the model
``mlops_requests_in_flight``         being read, waiting or at work
``mlops_requests_waiting``           read, and waiting for the model
``mlops_ready``                      1 where ``/readyz`` says 200
``mlops_capture_pending``            requests that are still to be written
``mlops_capture_written_total``      requests that were captured
``mlops_capture_dropped_total``      requests that were answered and not captured
``mlops_model_info``                 1; says ``name``, ``version`` and ``digest``
``process_…``                        start, CPU, memory and open files, by Prometheus' names
==================================== =========================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

#: Seconds: from a linear model on a row to whatever a request may take at most.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
PROTOCOLS = ("mlflow", "v2")

#: What is read when somebody asks: name without the prefix → value.
State = Callable[[], Mapping[str, float]]

_HELP = {
    "requests_in_flight": "Requests being read, waiting or at work.",
    "requests_waiting": "Requests that wait for the model.",
    "ready": "Whether /readyz says 200.",
    "capture_pending": "Requests that are still to be written to the capture.",
    "capture_written_total": "Requests that were captured.",
    "capture_dropped_total": "Requests that were answered and not captured.",
}


class Metrics:
    """Counts of one server.

    Parameters
    ----------
    model : str
        The version, ``name/number``.
    digest : str
        Of the model's files.
    state : callable
        Gives what is not counted but looked up.
    """

    def __init__(self, model: str, digest: str, state: State) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "mlops_requests", "Requests answered.", ("status", "protocol"), registry=self.registry
        )
        rows = Counter("mlops_rows", "Rows predicted.", ("protocol",), registry=self.registry)
        duration = Histogram(
            "mlops_request_duration_seconds",
            "From the first byte of a body to the answer.",
            ("protocol",),
            buckets=BUCKETS,
            registry=self.registry,
        )
        # Looked up once: each `labels` costs more than the counting.
        self._rows = {p: rows.labels(p) for p in PROTOCOLS}
        self._duration = {p: duration.labels(p) for p in PROTOCOLS}
        self._wait = Histogram(
            "mlops_queue_wait_seconds",
            "How long requests waited for the model.",
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.registry.register(_Looked(model, digest, state))
        ProcessCollector(registry=self.registry)

    def count(
        self, protocol: str, status: int, rows: int, seconds: float, waited: float | None
    ) -> None:
        """One request that was answered; `waited` is ``None`` if its turn never came."""
        self._requests.labels(str(status), protocol).inc()
        self._duration[protocol].observe(seconds)
        if status == 200:
            self._rows[protocol].inc(rows)
        if waited is not None:
            self._wait.observe(waited)

    def text(self, accept: str) -> tuple[bytes, str]:
        """Everything in the text format of Prometheus, or as OpenMetrics; and its content type."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self.registry), content_type


class _Looked(Collector):
    def __init__(self, model: str, digest: str, state: State) -> None:
        name, _, version = model.rpartition("/")
        self._info = {"name": name, "version": version, "digest": digest}
        self._state = state

    def describe(self) -> list[Metric]:
        """Nothing: so the state is not asked for before the server is whole."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Each fact as it is now."""
        info = GaugeMetricFamily("mlops_model_info", "What is served.", labels=list(self._info))
        info.add_metric(list(self._info.values()), 1)
        yield info
        for name, value in self._state().items():
            family: Any = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            yield family(f"mlops_{name}", _HELP[name], value=value)
