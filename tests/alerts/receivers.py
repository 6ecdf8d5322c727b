"""Real receivers of alerts on this machine: an HTTP server and a mail server."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from tests import certificates


class Hooks:
    """An HTTP server that keeps what is posted; `answers` are its next statuses, then 200."""

    def __init__(self) -> None:
        self.bodies: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.answers: list[int] = []
        self.slow = 0.0
        hooks = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                hooks.bodies.append(self.rfile.read(length).decode())
                hooks.headers.append({k.lower(): v for k, v in self.headers.items()})
                time.sleep(hooks.slow)
                status = hooks.answers.pop(0) if hooks.answers else 200
                self.send_response(status)
                if status in (301, 302, 307, 308):
                    self.send_header("location", f"{hooks.url}/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    @contextmanager
    def running(self) -> Iterator[Hooks]:
        thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield self
        self.server.shutdown()
        self.server.server_close()


class _AnyPort(Controller):
    """One that knows the port it was given before it asks there whether it runs."""

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


class Mails:
    """A mail server with a log-in; with `context` it offers STARTTLS and insists on it."""

    USER, PASSWORD = "alerts@example.org", "much-too-secret"

    def __init__(self, context: ssl.SSLContext | None, *, whole: bool = False) -> None:
        self.mails: list[Message] = []
        self.recipients: list[list[str]] = []
        options: dict[str, Any] = {"authenticator": self._known, "auth_require_tls": bool(context)}
        if whole:
            options |= {"ssl_context": context, "auth_require_tls": False}
        elif context is not None:
            options |= {"tls_context": context, "require_starttls": True}
        self.controller = _AnyPort(
            self, hostname="127.0.0.1", port=0, auth_required=True, **options
        )

    def _known(self, _server: Any, _session: Any, _envelope: Any, _kind: str, data: Any) -> Any:
        good = (data.login.decode(), data.password.decode()) == (self.USER, self.PASSWORD)
        return AuthResult(success=good, handled=False)

    @property
    def port(self) -> int:
        return int(self.controller.port)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append(message_from_bytes(envelope.content))
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 OK"

    @contextmanager
    def running(self) -> Iterator[Mails]:
        self.controller.start()
        yield self
        if self.controller.server is not None:
            self.controller.stop()


def certificate(place: Path) -> ssl.SSLContext:
    """What a server needs of a certificate, which is in ``cert.pem``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates.made(place))
    return context
