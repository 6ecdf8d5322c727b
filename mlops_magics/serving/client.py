"""Asking a server, from the project's own side."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote

import httpx
import pandas as pd

from mlops_magics.serving.parameters import METHOD
from mlops_magics.serving.served import MODEL_HEADER


@dataclass(frozen=True)
class Reply:
    """What a server answered; `content` is its JSON, or a text where it is none.

    `model` is the version that answered, where it says so.
    """

    status: int
    content: Any
    request_id: str
    latency_ms: float
    model: str = ""

    @property
    def message(self) -> str:
        """The server's sentence, when it refused."""
        if isinstance(self.content, dict):
            return str(self.content.get("message", ""))
        return str(self.content)[:300]


@cache
def _client() -> httpx.Client:
    # Made once, as it prepares for TLS each time. A proxy of the environment has no business
    # between a machine and itself, and a kept connection would outlive the server it leads to.
    return httpx.Client(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))


def _token() -> dict[str, str]:
    """What a server of ours wants to be told where it has a token, as it got it from here."""
    token = os.environ.get("MLOPS_SERVING_TOKEN", "")
    return {"authorization": f"Bearer {token}"} if token else {}


def ping(url: str, timeout: float = 2.0) -> bool:
    """Whether a server answers that it is well."""
    try:
        answer = _client().get(f"{url}/ping", timeout=timeout)
    except httpx.HTTPError:
        return False
    return answer.status_code == 200


def ask(url: str, body: bytes, *, client_id: str = "", timeout: float = 60.0) -> Reply:
    """Send a body of JSON to a server.

    Raises
    ------
    httpx.HTTPError
        If the server can't be reached or breaks off.
    """
    headers = {"content-type": "application/json", **_token()}
    if client_id:
        headers["x-client-id"] = client_id
    client = _client()
    started = time.perf_counter()
    answer = client.post(f"{url}/invocations", content=body, headers=headers, timeout=timeout)
    took = (time.perf_counter() - started) * 1000
    try:
        content = answer.json()
    except ValueError:
        content = answer.text
    request_id, model = (answer.headers.get(n, "") for n in ("x-request-id", MODEL_HEADER))
    return Reply(answer.status_code, content, request_id, took, unquote(model))


def settle(url: str, patience: float = 2.0) -> None:
    """Wait until the server has written what it captured, or can't, for at most `patience` s."""
    until = time.monotonic() + patience
    with contextlib.suppress(httpx.HTTPError, ValueError):
        while time.monotonic() < until:
            reply = _client().get(f"{url}/metadata", headers=_token(), timeout=patience)
            capture = reply.json().get("capture")
            if not capture or not capture["waiting"]:
                return
            time.sleep(0.005)


def body(frame: pd.DataFrame, *, probabilities: bool = False) -> bytes:
    """A table as a request; every digit of a number is kept, and what is missing is null."""
    table = {
        "columns": [str(c) for c in frame.columns],
        "data": [list(row) for row in zip(*(_plain(frame[c]) for c in frame.columns), strict=True)],
    }
    content: dict[str, Any] = {"dataframe_split": table}
    if probabilities:
        content["params"] = {METHOD: "predict_proba"}
    return json.dumps(content, default=str).encode()


def _plain(column: pd.Series) -> Sequence[Any]:
    if column.dtype.kind == "M":
        column = column.map(lambda t: t.isoformat(), na_action="ignore")
    values: list[Any] = column.astype(object).where(column.notna(), None).tolist()
    return values
