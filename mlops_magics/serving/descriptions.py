"""The routes that describe the server: ``/openapi.json`` for programs, ``/docs`` for people."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from mlops_magics.serving import docs, openapi

if TYPE_CHECKING:
    from mlops_magics.serving.app import Server


class Routes:
    """Both routes; what they say is made when it is first asked for."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def routes(self) -> list[Route]:
        """Both of them."""
        return [Route("/openapi.json", self.openapi), Route("/docs", self.docs)]

    @cached_property
    def _described(self) -> dict[str, Any]:
        return openapi.described(self.server.models)

    async def openapi(self, request: Request) -> Response:
        """OpenAPI 3.1."""
        return JSONResponse(self._described)

    async def docs(self, request: Request) -> Response:
        """A page."""
        wants = self.server.service.wants()
        text = docs.page(self._described, wants, str(request.base_url))
        return HTMLResponse(text, headers=docs.HEADERS)
