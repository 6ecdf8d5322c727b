"""One request for predictions, in whatever protocol: read, answered, counted, captured.

By ASGI itself, without a framework's way through middleware and routes: most of what a small
request costs would be spent there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mlops_magics.serving import inference, service, tracing
from mlops_magics.serving.batching import Work
from mlops_magics.serving.guard import Receive, Scope, Send
from mlops_magics.serving.refusals import Refusal, SlowBody, TooLarge
from mlops_magics.serving.served import MODEL_HEADER, Request, Served
from mlops_magics.serving.service import Answer, Steps

if TYPE_CHECKING:
    from mlops_magics.serving.app import Server

#: What a client says of itself, and the key by which `monitor` finds the row of a label.
CLIENT, KEY = b"x-client-id", b"x-mlops-key"
#: How much of both is kept.
LONGEST = 200
_TYPE = b"content-type"
_LENGTH = inference.HEADER.encode()

Headers = list[tuple[bytes, bytes]]


class Scoring:
    """The way to a model by one protocol: an ASGI application.

    Parameters
    ----------
    protocol : str
        ``mlflow`` or ``v2``.
    """

    def __init__(self, server: Server, served: Served, protocol: str) -> None:
        self.server = server
        self.served = served
        self.protocol = protocol
        self.refusing: Callable[[Refusal, str], Answer] = (
            inference.refused if protocol == "v2" else service.refused
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        started = time.perf_counter()
        headers: Headers = scope["headers"]
        request_id = tracing.new_id()
        trace = tracing.of([v.decode("latin-1") for n, v in headers if n == b"traceparent"],
                           request_id)  # fmt: skip
        worker = self.served.worker
        body, waited = b"", None
        self.server.in_flight += 1
        try:
            if refusal := worker.refusal():  # at once, whatever would still arrive
                raise refusal
            body = await self._body(receive)
            work = Work(self._steps(body, headers), self.refusing, request_id)
            answer, waited = await worker.run(work, len(body))
        except Refusal as refusal:
            answer = self.refusing(refusal, request_id)
        except _GoneError:
            return  # nobody is there to read it
        finally:
            self.server.in_flight -= 1
        client = said(headers, CLIENT)
        if not client and self.served.logs_requests:
            client = str((scope.get("client") or ("",))[0])
        self.served.note(
            Request(
                self.protocol,
                request_id,
                trace,
                started,
                client,
                said(headers, KEY),
                answer.status,
                answer.rows,
                waited,
                answer.error,
                answer.columns,
                answer.outputs,
                body,
            )
        )
        told = {
            "content-type": "application/json",
            "x-request-id": request_id,
            MODEL_HEADER: self.served.ref_header,
            "traceparent": trace.header,
            "content-length": str(len(answer.body)),
            **answer.headers,
        }
        head = [(n.encode(), v.encode()) for n, v in told.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": head})
        await send({"type": "http.response.body", "body": answer.body})

    def _steps(self, body: bytes, headers: Headers) -> Steps:
        if self.protocol == "v2":
            length = next((v.decode("latin-1") for n, v in headers if n == _LENGTH), None)
            return self.served.inference.steps(body, length)
        return self.served.service.steps(body, _first(headers, _TYPE).decode("latin-1"))

    async def _body(self, receive: Receive) -> bytes:
        """The whole body; of one that is too large nothing is kept."""
        size, chunks = 0, []
        most = self.server.most_body
        try:
            async with asyncio.timeout(self.server.body_timeout):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _GoneError
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    # Read on, so that the client comes to the end and sees the answer.
                    if size <= most:
                        chunks.append(chunk)
                    elif chunks:
                        chunks.clear()
                    if not message.get("more_body", False):
                        break
        except TimeoutError as error:
            raise SlowBody(
                f"The body did not arrive within {self.server.body_timeout:g} s: {size:,} bytes "
                "did."
            ) from error
        if size > most:
            raise TooLarge(
                f"The body has {size:,} bytes and the server takes {most:,}.",
                "Send fewer rows at a time.",
            )
        return b"".join(chunks)


class _GoneError(Exception):
    """The client left before its body was whole."""


def said(headers: Headers, name: bytes) -> str:
    """What a client says of itself, as far as it is kept."""
    return _first(headers, name).decode("latin-1")[:LONGEST]


def _first(headers: Headers, name: bytes) -> bytes:
    return next((value for key, value in headers if key == name), b"")


class Front:
    """Requests for predictions straight to where they are answered, all others to `rest`."""

    def __init__(self, scoring: dict[str, Scoring], rest: Any) -> None:
        self.scoring = scoring
        self.rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, by the ASGI protocol."""
        if scope["type"] == "http" and scope["method"] == "POST":
            found = self.scoring.get(scope["path"])
            if found is not None:
                await found(scope, receive, send)
                return
        await self.rest(scope, receive, send)
