"""Who may ask: only by a name of this server, and with the token where one is set.

A page in a browser can make its own domain name point at 127.0.0.1 and then read what a local
server answers (DNS rebinding). The browser still sends the page's name as the host, so a server
on the loopback interface answers to local names only.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOCAL = ("localhost", "127.0.0.1", "::1")
#: Asked by whatever watches over a container; they tell nothing but that the server is there.
OPEN_PATHS = ("/ping", "/health", "/livez", "/readyz", "/v2/health/live", "/v2/health/ready")
#: Ways to write a host's name that are remembered.
MOST_KNOWN = 100


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server bound to `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Guard:
    """Answers 403 to a strange host and 401 without the token; passes everything else on.

    Parameters
    ----------
    hosts : iterable of str
        Names to answer to; empty for any.
    token : str
        What ``Authorization: Bearer …`` must carry; empty for nothing.
    """

    def __init__(self, app: App, hosts: Iterable[str] = (), token: str = "") -> None:
        self.app = app
        self.hosts = frozenset(h.lower() for h in hosts)
        self.token = token.encode()
        self._known: set[bytes] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, by the ASGI protocol."""
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            host = headers.get(b"host", b"")
            if not self.answers_to(host):
                named = _name(host.decode("latin-1"))
                message = f"This server does not answer to the name {named[:100]!r}."
                return await refuse(scope, send, 403, "FORBIDDEN", message)
            is_open = scope["path"] in OPEN_PATHS
            if not (is_open or self.admits(headers.get(b"authorization", b""))):
                message = "Send the server's token as 'Authorization: Bearer …'."
                return await refuse(scope, send, 401, "UNAUTHENTICATED", message)
        return await self.app(scope, receive, send)

    def answers_to(self, host: bytes) -> bool:
        """Whether that, as a request's ``Host``, is a name of this server."""
        if not self.hosts or host in self._known:
            return True
        if _name(host.decode("latin-1")) not in self.hosts:
            return False
        if len(self._known) < MOST_KNOWN:
            self._known.add(host)
        return True

    def admits(self, authorization: bytes) -> bool:
        """Whether that, as a request's ``Authorization``, carries the token."""
        given = authorization.removeprefix(b"Bearer ")
        return not self.token or hmac.compare_digest(given, self.token)


def _name(host: str) -> str:
    """The host without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if host.count(":") == 1 else host.lower()


async def refuse(
    scope: Scope,
    send: Send,
    status: int,
    code: str,
    message: str,
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    """Answer with a sentence, in the form of the path's protocol."""
    content = {"error_code": code, "message": message}
    if scope["path"].startswith("/v2"):
        content = {"error": message}
    body = json.dumps(content).encode()
    head = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})
