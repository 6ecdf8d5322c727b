"""The routes of the Open Inference Protocol ("V2") over HTTP."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mlops_magics.serving.inference import HEADER, Inference, refused
from mlops_magics.serving.service import Steps

if TYPE_CHECKING:
    from mlops_magics.serving.app import Server


class Routes:
    """The protocol's routes on a server.

    Parameters
    ----------
    server : Server
        Reads, counts and captures what is asked here as it does for ``/invocations``.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        name, _, version = str(server.about.get("model", "")).rpartition("/")
        self.inference = Inference(server.service, name, version)
        #: A deployment is asked by its own name or by its model's.
        self.names = {name, str(server.about.get("name") or name)}

    def routes(self) -> list[Route]:
        """All of them."""
        found = [
            Route("/v2", self.about),
            Route("/v2/", self.about),
            Route("/v2/health/live", self.live),
            Route("/v2/health/ready", self.ready),
        ]
        for model in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
            found += [
                Route(model, self.model),
                Route(f"{model}/ready", self.model_ready),
                Route(f"{model}/infer", self.infer, methods=["POST"]),
            ]
        return found

    async def about(self, request: Request) -> Response:
        """The server itself."""
        return JSONResponse(
            {
                "name": "mlops_magics",
                "version": metadata.version("mlops_magics"),
                "extensions": ["binary_tensor_data"],
            }
        )

    async def live(self, request: Request) -> Response:
        """That the process answers."""
        return JSONResponse({"live": True})

    async def ready(self, request: Request) -> Response:
        """Whether a request sent now would be answered."""
        if reason := self.server.unready():
            return JSONResponse({"ready": False, "error": reason}, 503)
        return JSONResponse({"ready": True})

    async def model(self, request: Request) -> Response:
        """The model's inputs and outputs."""
        return self._unknown(request) or JSONResponse(self.inference.metadata())

    async def model_ready(self, request: Request) -> Response:
        """Whether the model answers: the server has but one."""
        return self._unknown(request) or await self.ready(request)

    async def infer(self, request: Request) -> Response:
        """Predictions."""
        if (unknown := self._unknown(request)) is not None:
            return unknown
        header = request.headers.get(HEADER)

        def steps(body: bytes) -> Steps:
            return self.inference.steps(body, header)

        return await self.server.predicted(request, "v2", steps, refused)

    def _unknown(self, request: Request) -> Response | None:
        """That there is no such model or version; ``None`` if there is."""
        name = request.path_params["name"]
        version = request.path_params.get("version", self.inference.version)
        if name in self.names and version == self.inference.version:
            return None
        served = f"{self.inference.name} version {self.inference.version}"
        asked = f"{name[:100]!r} version {version[:20]}"
        return JSONResponse({"error": f"There is no model {asked}: this is {served}."}, 404)
