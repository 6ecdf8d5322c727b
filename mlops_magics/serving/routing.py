"""Requests shared between two versions: some go to a canary, or a copy of each to a shadow.

No proxy stands in the way. The server that is deployed hands some requests on to a second server
on this machine, and answers itself what that one does not: a client never sees it fail. Which,
and how many, says a small file, which is looked at twice a second.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import random
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_magics.serving.beside import Compared, Line, Reply, Side
from mlops_magics.serving.guard import App, Receive, Scope, Send

log = logging.getLogger("mlops_magics.serving")

#: Asked for the figures of both versions, on the server's own port only.
PATH = "/beside"
#: Larger bodies are answered here.
MOST_BODY = 1 << 20
#: Seconds in which a body must have come for it to be handed on.
BODY_TIMEOUT = 5.0
#: Seconds that a client waits for the canary before it is answered here.
PATIENCE = 2.0
#: Copies that may be on their way to a shadow; others are left out, and counted.
MOST_COPIES = 64
CANARY, SHADOW = "canary", "shadow"

#: The end of a path → what may stand before it; a path with a version is not among them.
_ASKED = {
    "invocations": re.compile(r"(/models/[^/]+)?"),
    "infer": re.compile(r"/v2/models/[^/]+"),
}
_NONE = re.compile(r"(?!)")
#: Of one connection, not of the request.
_HOP = frozenset((b"host", b"connection", b"content-length", b"transfer-encoding", b"expect"))
_REPLY_HOP = frozenset((b"connection", b"transfer-encoding", b"date", b"keep-alive"))


@dataclass(frozen=True)
class Route:
    """What the file says.

    Attributes
    ----------
    kind : str
        ``canary`` or ``shadow``.
    share : float
        Of the requests; 0.1 for each tenth.
    port : int
        Of the second server.
    """

    id: str
    kind: str
    share: float
    port: int

    @classmethod
    def read(cls, file: Path) -> Route | None:
        """The route; ``None`` if there is none."""
        try:
            return cls(**json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None


class Routing:
    """In front of a server's application.

    Parameters
    ----------
    file : Path
        Where the route stands while there is one.
    port : int
        What clients ask; what comes by another port is never handed on.
    """

    def __init__(self, app: App, file: Path, port: int) -> None:
        self.app = app
        self.file = file
        self.port = port
        self.route: Route | None = None
        self.line = Line(0)
        self._stamp = -1
        self._copies: set[asyncio.Task[None]] = set()
        self._begin()

    def look(self) -> None:
        """See whether the route was changed; called twice a second."""
        for side in (self.stable, self.other):
            side.read()
        try:
            stamp = self.file.stat().st_mtime_ns
        except OSError:
            stamp = -1
        if stamp == self._stamp:
            return
        self._stamp = stamp
        before, now = self.route, Route.read(self.file)
        if now is None or before is None or (now.id, now.port) != (before.id, before.port):
            self.line.close()
            self.line = Line(now.port if now else 0)
        if now is not None and (before is None or now.id != before.id):
            self._begin()
        self.route = now

    def figures(self) -> dict[str, Any]:
        """What was seen of both versions since the route was set."""
        return {
            "id": self.route.id if self.route else "",
            "stable": self.stable.figures(),
            "other": self.other.figures(),
            "compared": self.compared.figures(),
            "left_out": self.left_out,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, by the ASGI protocol."""
        route = self.route
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["server"][1] != self.port and scope["path"] == PATH:
            await _tell(send, self.figures())
        elif route is None or scope["server"][1] != self.port or not _is_question(scope):
            await self.app(scope, receive, send)
        elif route.kind == CANARY and not _is_chosen(scope, route.share):
            await self._answer(scope, receive, send)
        else:
            body, again = await _body(receive)
            if body is None:
                await self._answer(scope, again, send)
            elif route.kind == CANARY:
                await self._hand_on(route, scope, body, again, send)
            else:
                await self._copy(scope, body, again, send)

    def _begin(self) -> None:
        """Nothing was seen yet."""
        self.stable, self.other, self.compared = Side(), Side(), Compared()
        self.left_out = 0

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> _Noted:
        """Answer here, and note how it went."""
        noted, started = _Noted(send), time.perf_counter()
        await self.app(scope, receive, noted)
        if noted.status == 200:
            self.stable.answered(time.perf_counter() - started, noted.body)
        elif noted.status >= 500:
            self.stable.failed(f"HTTP {noted.status}")
        return noted

    async def _hand_on(
        self, route: Route, scope: Scope, body: bytes, receive: Receive, send: Send
    ) -> None:
        """Let the canary answer; what it does not, is answered here."""
        side, started = self.other, time.perf_counter()
        try:
            reply = await self._ask(scope, body)
        except OSError as error:
            side.failed(_why(error))
            await self._answer(scope, receive, send)
            return
        if reply.status == 200:
            side.answered(time.perf_counter() - started, reply.body)
            headers = [h for h in reply.headers if h[0] not in _REPLY_HOP]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": reply.body})
            return
        ours = await self._answer(scope, receive, send)
        if ours.status == 200 or reply.status >= 500:  # else it was the client's mistake
            side.failed(f"HTTP {reply.status}")

    async def _copy(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        """Answer here; afterwards let the shadow answer as well, and compare."""
        ours = await self._answer(scope, receive, send)
        if len(self._copies) >= MOST_COPIES:
            self.left_out += 1
            return
        task = asyncio.create_task(self._compare(scope, body, ours))
        self._copies.add(task)
        task.add_done_callback(self._copies.discard)

    async def _compare(self, scope: Scope, body: bytes, ours: _Noted) -> None:
        side, compared, started = self.other, self.compared, time.perf_counter()
        try:
            reply = await self._ask(scope, body)
        except OSError as error:
            side.failed(_why(error))
            return
        if reply.status == 200:
            side.answered(time.perf_counter() - started, reply.body)
            compared.add(ours.body, reply.body)
        elif ours.status == 200 or reply.status >= 500:
            side.failed(f"HTTP {reply.status}")

    async def _ask(self, scope: Scope, body: bytes) -> Reply:
        path, query = scope.get("raw_path", b"") or scope["path"].encode(), scope["query_string"]
        headers = [h for h in scope["headers"] if h[0] not in _HOP]
        return await self.line.ask(path + b"?" * bool(query) + query, headers, body, PATIENCE)


class _Noted:
    """Sends an answer on, and keeps it."""

    __slots__ = ("_send", "body", "status")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.body = b""

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")
        await self._send(message)


def _is_question(scope: Scope) -> bool:
    """Whether it asks the model, and no version of its own choice."""
    if scope["method"] != "POST":
        return False
    head, _, last = scope["path"].rpartition("/")
    return bool(_ASKED.get(last, _NONE).fullmatch(head))


def _is_chosen(scope: Scope, share: float) -> bool:
    """Whether a request is of the share: always the same by who asks, else by chance."""
    keys = {name: value for name, value in scope["headers"] if name in _KEYS}
    key = next((keys[name] for name in _KEYS if keys.get(name)), None)
    if key is None:
        return random.random() < share  # noqa: S311  # no secret
    drawn = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")
    return drawn < share * 2**64


#: Headers by which a client says who it is, or whom a request is about.
_KEYS = (b"x-client-id", b"x-mlops-key")


async def _body(receive: Receive) -> tuple[bytes | None, Receive]:
    """The body, and a way to read it again; no body if it is large, late or broken off."""
    messages: list[Any] = []
    size, more = 0, True
    waiting = None
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            while more and size <= MOST_BODY:
                message = await receive()
                messages.append(message)
                size += len(message.get("body", b""))
                more = message.get("more_body", False)
    except TimeoutError:
        waiting = True
    again = iter(messages)

    async def replay() -> Any:
        return next(again, None) or await receive()

    whole = not (more or waiting or messages[-1]["type"] != "http.request")
    return (b"".join(m.get("body", b"") for m in messages) if whole else None), replay


def _why(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {PATIENCE:g} s"
    return str(error) or type(error).__name__


async def _tell(send: Send, content: dict[str, Any]) -> None:
    body = json.dumps(content).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
