"""What a request can have done wrong: one sentence each, and the HTTP status on the class."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from mlops_magics.errors import MlopsError


class Refusal(MlopsError):
    """A request that is not answered with predictions; `code` as in MLflow's error bodies."""

    code: ClassVar[str] = "INTERNAL_ERROR"


class BadRequest(Refusal):
    """The request itself is at fault."""

    status = 400
    code = "BAD_REQUEST"


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


def shown(value: Any) -> str:
    """A value as a message shows it: short, and whatever it holds."""
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=repr)
    return text if len(text) <= 60 else f"{text[:59]}…"
