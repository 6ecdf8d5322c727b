"""Connections: how many may be open, and how long one may be without a request.

uvicorn alone waits for ever for a first byte and for the end of a head, and takes as many
connections as there are file descriptors. Here each connection with nothing in work stands in
one of two lines: for its head to come, or idle after an answer. When all places are taken, the
connection that has stood longest gives way to a new one, so that however many are only held
open, whoever asks is answered. Where every place is at work, the new one is told so (503).
"""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mlops_magics.serving.guard import App, Receive, Scope, Send, refuse

log = logging.getLogger("mlops_magics.serving")

#: Paths that say that the process answers, and nothing else.
ALIVE = ("/ping", "/health", "/livez", "/v2/health/live")
#: Largest head of a request, in bytes.
MOST_HEAD = 64 << 10
#: Files that a model, the capture and the libraries may have open.
RESERVED = 128
#: Connections that the kernel may hold for us, and that one turn of the event loop accepts.
BACKLOG = 2048
#: Seconds between two sentences in the log of one and the same want.
SELDOM = 10.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What connections may take.

    Attributes
    ----------
    connections : int
        How many may be open.
    head : float
        Seconds in which the head of a request must have arrived, the first from the connection on.
    idle : float
        Seconds that a connection may stay open after an answer, with no new request.
    backlog : int
        How many may wait to be accepted.
    """

    connections: int = 1000
    head: float = 10.0
    idle: float = 75.0
    backlog: int = BACKLOG

    def within(self, files: int) -> Limits:
        """As many of both as a process with so many files can have.

        One turn of the event loop accepts a backlog, while those that gave way to the two before
        are still being closed.
        """
        room = max(2, files - RESERVED)
        backlog = max(1, min(self.backlog, room // 8))
        most = max(1, room - 3 * backlog)
        return replace(self, connections=min(self.connections, most), backlog=backlog)


def raise_files() -> int:
    """Let this process have as many files as it may; how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = max(soft, 1 << 20)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Connections:
    """All connections of a server; makes the protocol of each."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        #: Whether each connection ends with its next answer, which says so.
        self.last_answers = False
        # Since when each stands there, the oldest first, which a plain dict would have to look for.
        self.heads: OrderedDict[Connection, float] = OrderedDict()
        self.idle: OrderedDict[Connection, float] = OrderedDict()

    def protocol(self, **uvicorn: Any) -> Connection:
        """The protocol of a new connection, as uvicorn asks for it."""
        return Connection(self, **uvicorn)

    def has_room(self, count: int) -> bool:
        """Whether one of `count` may stay, if need be in place of the one that waits longest."""
        if count <= self.limits.connections:
            return True
        fronts = [_front(line) for line in (self.heads, self.idle) if line]
        if not fronts:
            return False
        min(fronts, key=lambda front: front[1])[0].give_way()
        return True

    def sweep(self) -> None:
        """End those whose head has not come in time, and those that were idle for too long."""
        now = time.monotonic()
        while self.heads and now - (oldest := _front(self.heads))[1] >= self.limits.head:
            oldest[0].slow_head()
        while self.idle and now - (oldest := _front(self.idle))[1] >= self.limits.idle:
            oldest[0].give_way()  # also where the last answer was never taken

    def leave(self, connection: Connection) -> None:
        """Take one out of both lines."""
        self.heads.pop(connection, None)
        self.idle.pop(connection, None)


class Connection(HttpToolsProtocol):
    """One connection: uvicorn's, within limits."""

    def __init__(self, kept: Connections, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self.kept = kept
        self.head_size = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if not self.kept.has_room(len(self.connections)):
            self.app = partial(_full, self.app)
        self.kept.heads[self] = time.monotonic()

    def connection_lost(self, exc: Exception | None) -> None:
        self.kept.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self in self.kept.heads:
            self.head_size += len(data)
            if self.head_size > MOST_HEAD:
                self._refuse(431, "HEAD_TOO_LARGE", f"The head is larger than {MOST_HEAD:,} bytes.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self.cycle is None or self.cycle.response_complete:
            self.kept.leave(self)
            self.kept.heads[self] = time.monotonic()

    def on_headers_complete(self) -> None:
        self.kept.leave(self)
        self.head_size = 0
        if self.kept.last_answers:  # older versions of uvicorn say so in the answer by this
            self.headers.append((b"connection", b"close"))
        super().on_headers_complete()
        if self.kept.last_answers and self.cycle:
            self.cycle.keep_alive = False  # and newer ones by this

    def on_response_complete(self) -> None:
        if not (self.pipeline or self.transport.is_closing() or self in self.kept.heads):
            self.kept.idle[self] = time.monotonic()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "BAD_REQUEST", "This is no HTTP request that can be read.")

    def give_way(self) -> None:
        """End at once."""
        self.kept.leave(self)
        self.connections.discard(self)
        self.transport.abort()

    def slow_head(self) -> None:
        """End, as no whole head has come."""
        self.kept.leave(self)
        if self.head_size == 0:
            self.transport.abort()
        else:
            words = f"The head of the request did not arrive within {self.kept.limits.head:g} s."
            self._refuse(408, "REQUEST_TIMEOUT", words)

    def _refuse(self, status: int, code: str, message: str) -> None:
        self.kept.leave(self)
        body = json.dumps({"error_code": code, "message": message}).encode()
        self.transport.write(
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode()
            + body
        )
        self.transport.close()


def _front(line: OrderedDict[Connection, float]) -> tuple[Connection, float]:
    """Who has stood longest, and since when."""
    return next(iter(line.items()))


async def _full(app: App, scope: Scope, receive: Receive, send: Send) -> None:
    """What a connection is told for which there was no place, but for that the server lives."""
    if scope["path"] in ALIVE:
        return await app(scope, receive, send)
    message = "Every connection that the server may have is at work."
    headers = ((b"retry-after", b"1"), (b"connection", b"close"))
    return await refuse(scope, send, 503, "TEMPORARILY_UNAVAILABLE", message, headers)


def errors_of_loop() -> Callable[[asyncio.AbstractEventLoop, Mapping[str, Any]], None]:
    """A handler of the event loop's errors that tells a want of files in a sentence, seldom.

    The loop itself tries again in a second; in Python before 3.12 it would write two thousand
    tracebacks each time, and as many at the end, when what it would try again is closed.
    """
    told = -SELDOM

    def handle(loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        nonlocal told
        message = str(context.get("message", ""))
        if "_start_serving" in message:
            return
        if "out of system resource" not in message:
            loop.default_exception_handler(dict(context))
        elif (now := time.monotonic()) - told >= SELDOM:
            told = now
            log.error("No connection can be accepted now: %s.", context.get("exception"))

    return handle
