"""The routes: MLflow's scoring protocol, and what the server says of itself."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mlops_magics.serving import descriptions, logs, problems, tracing, v2
from mlops_magics.serving.batching import Batching, Work
from mlops_magics.serving.capture import Capture, Captured
from mlops_magics.serving.metrics import Metrics
from mlops_magics.serving.refusals import Refusal, SlowBody, TooLarge
from mlops_magics.serving.service import Answer, Service, Steps, refused
from mlops_magics.serving.worker import MOST_WAITING, TIMEOUT, Worker

#: Largest body, in bytes; about a million numbers as JSON.
MOST_BODY = 32 << 20
#: Seconds in which a body must have arrived.
BODY_TIMEOUT = 30.0

PATHS = (
    "/invocations",
    "/ping",
    "/health",
    "/livez",
    "/readyz",
    "/metrics",
    "/version",
    "/metadata",
    "/openapi.json",
    "/docs",
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
)


class Server:
    """A service behind HTTP.

    Parameters
    ----------
    about : mapping
        What ``/metadata`` says of the model, and under ``mlflow_version`` what ``/version`` says.
    most_body : int
        Bytes.
    most_waiting : int
        Requests that may wait for the model; the next is refused at once.
    timeout, body_timeout : float
        Seconds in which the model must have answered, and before that the body have arrived.
    logs_requests : bool
        Whether each request has a line in the log.
    batching : bool
        Whether requests that wait may be answered in one call of the model.
    """

    def __init__(
        self,
        service: Service,
        about: Mapping[str, Any],
        capture: Capture | None = None,
        most_body: int = MOST_BODY,
        *,
        most_waiting: int = MOST_WAITING,
        timeout: float = TIMEOUT,
        body_timeout: float = BODY_TIMEOUT,
        logs_requests: bool = False,
        batching: bool = True,
    ) -> None:
        self.service = service
        self.about = dict(about)
        self.capture = capture
        self.most_body = most_body
        self.body_timeout = body_timeout
        self.logs_requests = logs_requests
        self.started = time.time()
        self.requests = 0
        self.errors = 0
        self.in_flight = 0
        self.draining = False
        self.worker = Worker(Batching(service, batching).answers, most_waiting, timeout)
        model, digest = str(about.get("model", "")), str(about.get("digest", ""))
        self.metrics = Metrics(model, digest, self._state)

    def app(self) -> Starlette:
        """The ASGI application."""
        routes = [
            Route("/invocations", self.invocations, methods=["POST"]),
            Route("/ping", self.ping),
            Route("/health", self.ping),
            Route("/livez", self.ping),
            Route("/readyz", self.readyz),
            Route("/metrics", self.scraped),
            Route("/version", self.version),
            Route("/metadata", self.metadata),
            *v2.Routes(self).routes(),
            *descriptions.Routes(self).routes(),
        ]
        return Starlette(
            routes=routes, lifespan=self._lifespan, exception_handlers={HTTPException: _problem}
        )

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        if self.capture:
            self.capture.start()
        yield
        self.worker.close()
        if self.capture:
            self.capture.close()

    async def invocations(self, request: Request) -> Response:
        """Predictions for the rows in the body."""
        content_type = request.headers.get("content-type", "")

        def steps(body: bytes) -> Steps:
            return self.service.steps(body, content_type)

        return await self.predicted(request, "mlflow", steps, refused)

    async def predicted(
        self,
        request: Request,
        protocol: str,
        answering: Callable[[bytes], Steps],
        refusing: Callable[[Refusal, str], Answer],
    ) -> Response:
        """One request for predictions, in whatever protocol: read, answered, counted, captured."""
        at, started = time.time_ns() // 1000, time.perf_counter()
        request_id = os.urandom(16).hex()
        trace = tracing.of(request.headers.getlist("traceparent"), request_id)
        body, waited = b"", None
        self.in_flight += 1
        try:
            if refusal := self.worker.refusal():  # at once, whatever would still arrive
                raise refusal
            body = await self._body(request)
            work = Work(answering(body), refusing, request_id)
            answer, waited = await self.worker.run(work, len(body))
        except Refusal as refusal:
            answer = refusing(refusal, request_id)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        finally:
            self.in_flight -= 1
        seconds = time.perf_counter() - started
        self.requests += 1
        self.errors += answer.status >= 400
        self.metrics.count(protocol, answer.status, answer.rows, seconds, waited)
        client = request.headers.get("x-client-id", "")[:200]
        if self.capture:
            self.capture.put(_captured(request_id, at, seconds * 1000, client, answer, len(body)))
        if self.logs_requests:
            logs.request(
                {
                    "request_id": request_id,
                    "trace_id": trace.trace_id,
                    "span_id": trace.span_id,
                    "parent_id": trace.parent_id,
                    "protocol": protocol,
                    "model": self.about.get("model", ""),
                    "status": answer.status,
                    "rows": answer.rows,
                    "latency_ms": round(seconds * 1000, 3),
                    "client": client or (request.client.host if request.client else ""),
                    "error": answer.error,
                }
            )
        headers = {
            "content-type": "application/json",
            "x-request-id": request_id,
            "traceparent": trace.header,
            **answer.headers,
        }
        return Response(answer.body, answer.status, headers)

    async def _body(self, request: Request) -> bytes:
        """The whole body; of one that is too large nothing is kept."""
        size, chunks = 0, []
        try:
            async with asyncio.timeout(self.body_timeout):
                async for chunk in request.stream():
                    size += len(chunk)
                    # Read on, so that the client comes to the end and sees the answer.
                    if size <= self.most_body:
                        chunks.append(chunk)
                    elif chunks:
                        chunks.clear()
        except TimeoutError as error:
            raise SlowBody(
                f"The body did not arrive within {self.body_timeout:g} s: {size:,} bytes did."
            ) from error
        if size > self.most_body:
            raise TooLarge(
                f"The body has {size:,} bytes and the server takes {self.most_body:,}.",
                "Send fewer rows at a time.",
            )
        return b"".join(chunks)

    async def ping(self, request: Request) -> Response:
        """That the model is loaded and the server answers, whatever the model does."""
        return Response("\n", media_type="application/json")

    def unready(self) -> str:
        """Why no request should be sent here now; empty if one may be."""
        if self.draining:
            return "The server ends what is in work and stops."
        return str(self.worker.refusal() or "")

    async def readyz(self, request: Request) -> Response:
        """Whether a request sent now would be answered."""
        if reason := self.unready():
            return JSONResponse({"error_code": "NOT_READY", "message": reason}, 503)
        return Response("\n", media_type="application/json")

    async def scraped(self, request: Request) -> Response:
        """Counts for Prometheus."""
        if self.capture:
            self.capture.hurry()
        text, content_type = self.metrics.text(request.headers.get("accept", ""))
        return Response(text, headers={"content-type": content_type})

    def _state(self) -> dict[str, float]:
        """What `metrics` looks up."""
        found: dict[str, float] = {
            "requests_in_flight": self.in_flight,
            "requests_waiting": self.worker.waiting,
            "ready": not self.unready(),
        }
        if self.capture:
            found["capture_pending"] = self.capture.waiting
            found["capture_written_total"] = self.capture.written
            found["capture_dropped_total"] = self.capture.dropped
        return found

    async def version(self, request: Request) -> Response:
        """The version of MLflow whose protocol this is, as text."""
        return Response(str(self.about.get("mlflow_version", "")), media_type="application/json")

    async def metadata(self, request: Request) -> Response:
        """What is served, what it wants, and how capture goes."""
        predictor = self.service.predictor
        if self.capture:
            self.capture.hurry()  # whoever asks may wait until nothing waits
        return JSONResponse(
            {
                **self.about,
                "flavor": predictor.flavor,
                "estimator": predictor.description,
                "task": predictor.task,
                "classes": list(predictor.classes) if predictor.classes is not None else None,
                "probabilities": self.service.has_probabilities,
                "signature": {"inputs": self.service.wants(), "output": predictor.output},
                "uptime_s": round(time.time() - self.started, 1),
                "requests": self.requests,
                "errors": self.errors,
                "capture": self.capture.state() if self.capture else None,
            }
        )


def _captured(
    request_id: str, at: int, latency: float, client: str, answer: Answer, size: int
) -> Captured:
    return Captured(
        request_id=request_id,
        time=at,
        status=answer.status,
        latency_ms=latency,
        client_id=client,
        rows=answer.rows,
        error=answer.error,
        columns=answer.columns,
        outputs=answer.outputs,
        # Values in Python take several times the bytes of their JSON.
        size=4 * size + len(answer.outputs) + 500,
    )


async def _problem(request: Request, error: Exception) -> Response:
    return problems.answered(request, error, PATHS)
