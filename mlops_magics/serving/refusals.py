"""What a request can have done wrong: one sentence each, and the HTTP status on the class."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from mlops_magics.errors import MlopsError


class Refusal(MlopsError):
    """A request that is not answered with predictions; `code` as in MLflow's error bodies."""

    code: ClassVar[str] = "INTERNAL_ERROR"
    headers: ClassVar[Mapping[str, str]] = {}


class BadRequest(Refusal):
    """The request itself is at fault."""

    status = 400
    code = "BAD_REQUEST"


class SlowBody(Refusal):
    """The body did not arrive in time; whoever sends so slowly loses the connection."""

    status = 408
    code = "REQUEST_TIMEOUT"
    headers: ClassVar[Mapping[str, str]] = {"connection": "close"}


class TooLarge(Refusal):
    """The body is larger than the server takes."""

    status = 413
    code = "BODY_TOO_LARGE"


class UnsupportedType(Refusal):
    """The body's content type is none that the server reads."""

    status = 415
    code = "UNSUPPORTED_CONTENT_TYPE"


class ModelFailed(Refusal):
    """The model raised, and the request was not at fault."""

    status = 500


class TooBusy(Refusal):
    """The server can't take this request now; the same request may be answered later.

    503 and not 429, which is for a client that asks too much: here it is the model that is behind.
    """

    status = 503
    code = "TEMPORARILY_UNAVAILABLE"
    headers: ClassVar[Mapping[str, str]] = {"retry-after": "1"}


class TimedOut(Refusal):
    """The model was at work on the request and did not come back in time."""

    status = 504
    code = "DEADLINE_EXCEEDED"


def shown(value: Any) -> str:
    """A value as a message shows it: short, and whatever it holds."""
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=repr)
    return text if len(text) <= 60 else f"{text[:59]}…"
