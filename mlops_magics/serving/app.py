"""The server: its models, how they are asked, and what it says of itself."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mlops_magics.errors import WrongUsage
from mlops_magics.serving import descriptions, problems, v2
from mlops_magics.serving.capture import Capture
from mlops_magics.serving.metrics import Metrics
from mlops_magics.serving.scoring import Front, Scoring
from mlops_magics.serving.served import Served
from mlops_magics.serving.service import Service
from mlops_magics.serving.worker import MOST_WAITING, TIMEOUT

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
    "/v2/repository/index",
)


@dataclass(frozen=True)
class Beside:
    """A further model behind the same server."""

    service: Service
    about: Mapping[str, Any]
    capture: Capture | None = None


class Server:
    """Models behind HTTP: each by its name, and the first also where no name is asked for.

    Parameters
    ----------
    about : mapping
        What ``/metadata`` says of the model, and under ``mlflow_version`` what ``/version`` says.
    most_body : int
        Bytes.
    beside : sequence of Beside
        Further models.
    most_waiting : int
        Requests that may wait for a model; the next is refused at once.
    timeout, body_timeout : float
        Seconds in which a model must have answered, and before that the body have arrived.
    logs_requests : bool
        Whether each request has a line in the log.
    batching : bool
        Whether requests that wait may be answered in one call of the model.

    Raises
    ------
    WrongUsage
        If two of the models are the same.
    """

    def __init__(
        self,
        service: Service,
        about: Mapping[str, Any],
        capture: Capture | None = None,
        most_body: int = MOST_BODY,
        *,
        beside: Sequence[Beside] = (),
        most_waiting: int = MOST_WAITING,
        timeout: float = TIMEOUT,
        body_timeout: float = BODY_TIMEOUT,
        logs_requests: bool = False,
        batching: bool = True,
    ) -> None:
        self.draining = False
        make = partial(
            Served,
            most_waiting=most_waiting,
            timeout=timeout,
            batching=batching,
            logs_requests=logs_requests,
            draining=lambda: self.draining,
        )
        self.models = [
            make(one.service, one.about, one.capture)
            for one in (Beside(service, about, capture), *beside)
        ]
        refs = [served.ref for served in self.models]
        if twice := next((ref for ref in refs if refs.count(ref) > 1), None):
            raise WrongUsage(f"The model {twice} is named twice.", "Name each package once.")
        self.most_body = most_body
        self.body_timeout = body_timeout
        self.started = time.time()
        self.in_flight = 0
        self.metrics = Metrics([served.counted for served in self.models], lambda: self.in_flight)

    @property
    def first(self) -> Served:
        """The model that is asked where no name is."""
        return self.models[0]

    @property
    def service(self) -> Service:
        """The first model's service."""
        return self.first.service

    def find(self, name: str, version: str = "") -> Served | None:
        """The model of a name, and of a version where one is asked for; else the first of it."""
        return next(
            (
                served
                for served in self.models
                if name in served.names and version in ("", served.version)
            ),
            None,
        )

    def app(self) -> Front:
        """The ASGI application."""
        scoring = self.scoring()
        routes = [
            Route("/invocations", scoring["/invocations"], methods=["POST"]),
            Route("/models/{name}/invocations", self.unknown, methods=["POST"]),
            Route("/models/{name}/{version}/invocations", self.unknown, methods=["POST"]),
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
        rest = Starlette(
            routes=routes, lifespan=self._lifespan, exception_handlers={HTTPException: _problem}
        )
        return Front(scoring, rest)

    def scoring(self) -> dict[str, Scoring]:
        """Path → what answers there: each model by its names, and the first without."""
        found = {"/invocations": Scoring(self, self.first, "mlflow")}
        for served in self.models:
            mlflow, tensors = Scoring(self, served, "mlflow"), Scoring(self, served, "v2")
            for name in served.names:
                for path in (f"/models/{name}", f"/models/{name}/{served.version}"):
                    found.setdefault(f"{path}/invocations", mlflow)
                path = f"/v2/models/{name}"
                for place in (path, f"{path}/versions/{served.version}"):
                    found.setdefault(f"{place}/infer", tensors)
        return found

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        for served in self.models:
            if served.capture:
                served.capture.start()
        yield
        for served in self.models:
            served.worker.close()
            if served.capture:
                served.capture.close()

    async def unknown(self, request: Request) -> Response:
        """That there is no such model."""
        content = {"error_code": "NOT_FOUND", "message": self.no_model(request)}
        return JSONResponse(content, 404)

    def no_model(self, request: Request) -> str:
        """That there is no model of the name and version in a path, and which there are."""
        name = request.path_params["name"]
        version = request.path_params.get("version", self.first.version)
        asked = f"{name[:100]!r} version {version[:20]}"
        known = ", ".join(f"{served.name} version {served.version}" for served in self.models)
        return f"There is no model {asked}: this is {known}."

    async def ping(self, request: Request) -> Response:
        """That the models are loaded and the server answers, whatever the models do."""
        return Response("\n", media_type="application/json")

    def unready(self) -> str:
        """Why no request should be sent here now; empty if one may be."""
        for served in self.models:
            if reason := served.unready():
                alone = len(self.models) == 1 or self.draining
                return reason if alone else f"{served.ref}: {reason}"
        return ""

    async def readyz(self, request: Request) -> Response:
        """Whether a request sent now would be answered."""
        if reason := self.unready():
            return JSONResponse({"error_code": "NOT_READY", "message": reason}, 503)
        return Response("\n", media_type="application/json")

    async def scraped(self, request: Request) -> Response:
        """Counts for Prometheus."""
        for served in self.models:
            served.hurry()
        text, content_type = self.metrics.text(request.headers.get("accept", ""))
        return Response(text, headers={"content-type": content_type})

    async def version(self, request: Request) -> Response:
        """The version of MLflow whose protocol this is, as text."""
        version = str(self.first.about.get("mlflow_version", ""))
        return Response(version, media_type="application/json")

    async def metadata(self, request: Request) -> Response:
        """What is served, what it wants, and how capture goes; of several, of each."""
        for served in self.models:
            served.hurry()
        content = {**self.first.metadata(), "uptime_s": round(time.time() - self.started, 1)}
        if len(self.models) > 1:
            content["models"] = [served.metadata() for served in self.models]
        return JSONResponse(content)


async def _problem(request: Request, error: Exception) -> Response:
    return problems.answered(request, error, PATHS)
