"""The routes of the Open Inference Protocol ("V2") over HTTP."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from mlops_magics.serving.app import Server


class Routes:
    """The protocol's routes on a server, but for ``infer`` of its models: see `scoring`."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def routes(self) -> list[Route]:
        """All of them."""
        found = [
            Route("/v2", self.about),
            Route("/v2/", self.about),
            Route("/v2/health/live", self.live),
            Route("/v2/health/ready", self.ready),
            Route("/v2/repository/index", self.index, methods=["GET", "POST"]),
        ]
        for model in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
            found += [
                Route(model, self.model),
                Route(f"{model}/ready", self.model_ready),
                Route(f"{model}/infer", self.unknown, methods=["POST"]),
            ]
        return found

    async def about(self, request: Request) -> Response:
        """The server itself."""
        return JSONResponse(
            {
                "name": "mlops_magics",
                "version": metadata.version("mlops_magics"),
                "extensions": ["binary_tensor_data", "model_repository"],
            }
        )

    async def live(self, request: Request) -> Response:
        """That the process answers."""
        return JSONResponse({"live": True})

    async def ready(self, request: Request) -> Response:
        """Whether a request sent now would be answered."""
        return _readiness(self.server.unready())

    async def index(self, request: Request) -> Response:
        """All models, each with its state."""
        found = []
        for served in self.server.models:
            reason = served.unready()
            found.append(
                {
                    "name": served.name,
                    "version": served.version,
                    "state": "UNAVAILABLE" if reason else "READY",
                    "reason": reason,
                }
            )
        return JSONResponse(found)

    async def model(self, request: Request) -> Response:
        """A model's inputs and outputs."""
        served = self.server.find(**request.path_params)
        if served is None:
            return await self.unknown(request)
        return JSONResponse(served.inference.metadata())

    async def model_ready(self, request: Request) -> Response:
        """Whether a request sent to a model now would be answered."""
        served = self.server.find(**request.path_params)
        return await self.unknown(request) if served is None else _readiness(served.unready())

    async def unknown(self, request: Request) -> Response:
        """That there is no such model or version."""
        return JSONResponse({"error": self.server.no_model(request)}, 404)


def _readiness(reason: str) -> Response:
    if reason:
        return JSONResponse({"ready": False, "error": reason}, 503)
    return JSONResponse({"ready": True})
