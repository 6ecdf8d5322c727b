"""One model behind a server: how it is asked, counted, captured and told of in the log."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from mlops_magics.serving import bodies, logs, runtimes
from mlops_magics.serving.batching import Batching
from mlops_magics.serving.capture import Capture, Captured
from mlops_magics.serving.inference import Inference
from mlops_magics.serving.metrics import Model
from mlops_magics.serving.service import Service
from mlops_magics.serving.tracing import Trace
from mlops_magics.serving.worker import Worker

#: Says in an answer which version gave it.
MODEL_HEADER = "x-mlops-model"


@dataclass(slots=True)
class Request:
    """A request that was answered, or refused, as far as others than the client care.

    Attributes
    ----------
    started : float
        When it came, by the clock of `time.perf_counter`.
    client, key : str
        What the client says of itself, and its own key for later labels.
    waited : float or None
        Seconds until its turn came; ``None`` if it never did.
    columns, outputs
        The input by column, and the predictions in JSON.
    body : bytes
        What came; of a request in JSON to a model of named columns it is kept as it is.
    """

    protocol: str
    request_id: str
    trace: Trace
    started: float
    client: str
    key: str
    status: int
    rows: int
    waited: float | None = None
    error: str = ""
    columns: Mapping[str, Sequence[Any]] | None = None
    outputs: str = ""
    body: bytes = b""


class Served:
    """A model, whoever asks for it.

    Parameters
    ----------
    about : mapping
        What ``/metadata`` says of the model, and under ``mlflow_version`` what ``/version`` says.
    most_waiting, timeout, batching
        As `Server` has them.
    logs_requests : bool
        Whether each request has a line in the log.
    draining : callable
        Whether the server is about to stop.
    """

    def __init__(
        self,
        service: Service,
        about: Mapping[str, Any],
        capture: Capture | None,
        *,
        most_waiting: int,
        timeout: float,
        batching: bool,
        logs_requests: bool,
        draining: Callable[[], bool],
    ) -> None:
        self.service = service
        self.about = {"runtime": runtimes.name(service.predictor), **about}
        self.capture = capture
        self.logs_requests = logs_requests
        self.draining = draining
        self.ref = str(about.get("model", ""))
        self.name, _, self.version = self.ref.rpartition("/")
        #: The same in the head of each answer.
        self.ref_header = quote(self.ref, safe="/")
        #: A deployment is asked by its own name or by its model's.
        self.names = {self.name, str(about.get("name") or self.name)}
        self.worker = Worker(Batching(service, batching).answers, most_waiting, timeout)
        self.inference = Inference(service, self.name, self.version)
        self.named = bodies.named(service.predictor.columns)
        if capture is not None and self.named:
            capture.names = tuple(str(column.name) for column in service.predictor.columns)
        self.requests = 0
        self.errors = 0
        info = {
            "name": self.name,
            "version": self.version,
            "digest": str(about.get("digest", "")),
            "runtime": self.about["runtime"],
        }
        self.counted = Model(self.ref, info, self._state)

    @property
    def path(self) -> str:
        """Where it is, below ``/models`` and as V2 names it."""
        return f"{self.name}/{self.version}"

    def unready(self) -> str:
        """Why no request should be sent here now; empty if one may be."""
        if self.draining():
            return "The server ends what is in work and stops."
        return str(self.worker.refusal() or "")

    def note(self, request: Request) -> None:
        """Count a request that was answered, and keep it."""
        seconds = time.perf_counter() - request.started
        self.requests += 1
        self.errors += request.status >= 400
        self.counted.counts[request.protocol].add(request.status, request.rows, seconds)
        if request.waited is not None:
            self.counted.waits.add(request.waited)
        if self.capture is not None:
            self.capture.put(self._captured(request, seconds))
        if self.logs_requests:
            logs.request(
                {
                    "request_id": request.request_id,
                    "trace_id": request.trace.trace_id,
                    "span_id": request.trace.span_id,
                    "parent_id": request.trace.parent_id,
                    "protocol": request.protocol,
                    "model": self.ref,
                    "status": request.status,
                    "rows": request.rows,
                    "latency_ms": round(seconds * 1000, 3),
                    "client": request.client,
                    "error": request.error,
                }
            )

    def _captured(self, request: Request, seconds: float) -> Captured:
        as_sent = self.keeps_body(request.protocol, request.status, request.body)
        return Captured(
            request.request_id,
            int((time.time() - seconds) * 1e6),
            request.status,
            seconds * 1000,
            request.client,
            request.rows,
            request.error,
            request.columns,
            request.outputs,
            # Values in Python take several times the bytes of their JSON.
            4 * len(request.body) + len(request.outputs) + 500,
            request.key,
            request.body if as_sent else b"",
        )

    def keeps_body(self, protocol: str, status: int, body: bytes) -> bool:
        """Whether a request is captured as it was sent, which is JSON with columns by name."""
        return self.named and protocol == "mlflow" and status == 200 and body.startswith(b"{")

    def hurry(self) -> None:
        """Write what is to be captured now: whoever asks may wait until nothing waits."""
        if self.capture is not None:
            self.capture.hurry()

    def metadata(self) -> dict[str, Any]:
        """What is served, what it wants, and how capture goes."""
        predictor = self.service.predictor
        return {
            **self.about,
            "flavor": predictor.flavor,
            "estimator": predictor.description,
            "task": predictor.task,
            "classes": list(predictor.classes) if predictor.classes is not None else None,
            "probabilities": self.service.has_probabilities,
            "signature": {"inputs": self.service.wants(), "output": predictor.output},
            "requests": self.requests,
            "errors": self.errors,
            "capture": self.capture.state() if self.capture else None,
        }

    def _state(self) -> dict[str, float]:
        found: dict[str, float] = {
            "requests_waiting": self.worker.waiting,
            "ready": not self.unready(),
        }
        if self.capture:
            found["capture_pending"] = self.capture.waiting
            found["capture_written_total"] = self.capture.written
            found["capture_dropped_total"] = self.capture.dropped
        return found
