"""What no route answers, in the same form as other errors."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mlops_magics.errors import did_you_mean


def answered(request: Request, error: Exception, paths: Sequence[str]) -> Response:
    """A sentence for an unknown path or method, in the form of the path's protocol."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = getattr(error, "headers", None)
    path = request.url.path
    if status == 404:
        code, message = "NOT_FOUND", f"There is no {path[:100]!r}. {did_you_mean(path, paths)}"
    elif status == 405:
        code = "METHOD_NOT_ALLOWED"
        allowed = (headers or {}).get("Allow", "")
        message = f"{path} does not take {request.method}. Use {allowed}."
    else:
        code, message = "ERROR", str(getattr(error, "detail", error))
    content = {"error_code": code, "message": message}
    if path.startswith("/v2"):
        content = {"error": message}
    return JSONResponse(content, status, headers)
