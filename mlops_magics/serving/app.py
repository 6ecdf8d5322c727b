"""The routes: MLflow's scoring protocol, and what the server says of itself."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mlops_magics.errors import did_you_mean
from mlops_magics.serving.capture import Capture, Captured
from mlops_magics.serving.refusals import TooLarge
from mlops_magics.serving.service import Answer, Service, refused

#: Largest body, in bytes; about a million numbers as JSON.
MOST_BODY = 32 << 20

PATHS = ("/invocations", "/ping", "/health", "/version", "/metadata")


class Server:
    """A service behind HTTP.

    Parameters
    ----------
    about : mapping
        What ``/metadata`` says of the model, and under ``mlflow_version`` what ``/version`` says.
    """

    def __init__(
        self,
        service: Service,
        about: Mapping[str, Any],
        capture: Capture | None = None,
        most_body: int = MOST_BODY,
    ) -> None:
        self.service = service
        self.about = dict(about)
        self.capture = capture
        self.most_body = most_body
        self.started = time.time()
        self.requests = 0
        self.errors = 0
        # A thread of its own keeps /ping answering while the model works. One is enough: models
        # in Python take turns anyway, and two would fight for the interpreter.
        self.worker = ThreadPoolExecutor(1, "model")

    def app(self) -> Starlette:
        """The ASGI application."""
        routes = [
            Route("/invocations", self.invocations, methods=["POST"]),
            Route("/ping", self.ping),
            Route("/health", self.ping),
            Route("/version", self.version),
            Route("/metadata", self.metadata),
        ]
        return Starlette(
            routes=routes, lifespan=self._lifespan, exception_handlers={HTTPException: _problem}
        )

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        if self.capture:
            self.capture.start()
        yield
        self.worker.shutdown()
        if self.capture:
            self.capture.close()

    async def invocations(self, request: Request) -> Response:
        """Predictions for the rows in the body."""
        at, started = time.time_ns() // 1000, time.perf_counter()
        request_id = os.urandom(16).hex()
        try:
            body = await self._body(request)
        except TooLarge as refusal:
            body, answer = b"", refused(refusal, request_id)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        else:
            content_type = request.headers.get("content-type", "")
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(
                self.worker, self.service.answer, body, content_type, request_id
            )
        latency = (time.perf_counter() - started) * 1000
        self.requests += 1
        self.errors += answer.status >= 400
        if self.capture:
            client = request.headers.get("x-client-id", "")[:200]
            self.capture.put(_captured(request_id, at, latency, client, answer, len(body)))
        return Response(
            answer.body, answer.status, {"x-request-id": request_id}, "application/json"
        )

    async def _body(self, request: Request) -> bytes:
        """The whole body; of one that is too large nothing is kept."""
        size, chunks = 0, []
        async for chunk in request.stream():
            size += len(chunk)
            # Read on, so that the client comes to the end and sees the answer.
            if size <= self.most_body:
                chunks.append(chunk)
            elif chunks:
                chunks.clear()
        if size > self.most_body:
            raise TooLarge(
                f"The body has {size:,} bytes and the server takes {self.most_body:,}.",
                "Send fewer rows at a time.",
            )
        return b"".join(chunks)

    async def ping(self, request: Request) -> Response:
        """That the model is loaded and the server answers."""
        return Response("\n", media_type="application/json")

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
    """Whatever the routes do not answer, in the same form as other errors."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    path = request.url.path
    if status == 404:
        code, message = "NOT_FOUND", f"There is no {path[:100]!r}. {did_you_mean(path, PATHS)}"
    elif status == 405:
        allowed = (getattr(error, "headers", None) or {}).get("Allow", "")
        code = "METHOD_NOT_ALLOWED"
        message = f"{path} does not take {request.method}. Use {allowed}."
    else:
        code, message = "ERROR", str(getattr(error, "detail", error))
    return JSONResponse(
        {"error_code": code, "message": message}, status, getattr(error, "headers", None)
    )
