"""``python -m mlops_magics.serving FOLDER``: serve a package until told to stop."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import TYPE_CHECKING

from mlops_magics.errors import MlopsError, WrongUsage
from mlops_magics.flavors import trust
from mlops_magics.serving import capture_rules, logs, manifest, runtimes, tls
from mlops_magics.serving.guard import LOCAL, App, Guard, is_loopback
from mlops_magics.serving.handover import Handover
from mlops_magics.serving.options import arguments

if TYPE_CHECKING:
    from mlops_magics.serving.app import Server
    from mlops_magics.serving.connections import Limits
    from mlops_magics.serving.routing import Routing

log = logging.getLogger("mlops_magics.serving")

#: Seconds that requests in work have to end after SIGTERM; less than a supervisor waits.
DRAIN = 4
#: ... in the first of which, while any is in work, connections are still accepted: whoever asks
#: is told that the server is not ready, and what was sent before they knew is answered.
LINGER = 2


def main(given: Sequence[str] | None = None) -> int:
    """Serve; returns the exit code."""
    options = arguments().parse_intermixed_args(given)
    logs.set_up(options.log_format)
    try:
        if options.replay:
            return _replay(options.folders[0], options.runtime)
        return _serve(options)
    except MlopsError as error:
        log.error("%s", error)
        return error.exit_code


def _serve(options: argparse.Namespace) -> int:
    token = os.environ.get("MLOPS_SERVING_TOKEN", "")
    local = is_loopback(options.host)
    if not (local or token or options.open):
        raise WrongUsage(
            f"{options.host} can be reached from other machines.",
            "Set MLOPS_SERVING_TOKEN, or say --open if something else decides who may ask.",
        )
    secure = tls.files(options.tls_cert, options.tls_key)
    listening = _listen(options.host, options.port, options.fd)
    trust.lean = True

    from mlops_magics.serving import opening
    from mlops_magics.serving.app import Server
    from mlops_magics.serving.capture import Capture

    rules = capture_rules.Rules.given(options)

    def capturing(model: str) -> Capture | None:
        place: Path | None = options.capture and options.capture.absolute()
        if place and len(options.folders) > 1:
            own = f"{place.stem}-{model.replace('/', '-')}{place.suffix}"
            place = place.with_name(own)
        return Capture(place, model, rules) if place else None

    first, *beside = opening.models(options.folders, options.runtime, options.name, capturing)
    server = Server(
        first.service,
        first.about,
        first.capture,
        options.max_body << 20,
        beside=beside,
        most_waiting=options.max_queue,
        timeout=options.timeout,
        body_timeout=options.timeout,
        logs_requests=options.log_format == "json",
        batching=not options.no_batching,
    )
    hosts = [*LOCAL, options.host, *options.allowed_host] if local or options.allowed_host else []
    host, port = listening.getsockname()[:2]
    for served in server.models:
        log.info(
            "Serving %s at %s://%s:%d (%s, process %d)",
            served.ref,
            "https" if secure else "http",
            host,
            port,
            served.about["runtime"],
            os.getpid(),
        )
    from mlops_magics.serving.connections import Limits

    limits = Limits(options.max_connections, idle=options.keep_alive)
    app: App = server.app()
    routing = None
    if options.routes:
        from mlops_magics.serving.routing import Routing

        app = routing = Routing(app, options.routes, port)
    handover = Handover(listening, options.own_fd) if options.own_fd is not None else None
    _run(server, Guard(app, hosts, token), listening, limits, handover, routing, secure)
    log.info("Stopped")
    return 0


def _run(
    server: Server,
    app: Guard,
    listening: socket.socket,
    limits: Limits | None = None,
    handover: Handover | None = None,
    routing: Routing | None = None,
    secure: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Until SIGTERM or SIGINT; then what is in work ends first."""
    import uvicorn

    from mlops_magics.serving import connections, wire

    limits = (limits or connections.Limits()).within(connections.raise_files())
    kept = wire.connections(
        server, app, limits, lambda: not (server.draining or (routing and routing.route))
    )

    class Calm(uvicorn.Server):
        """Ends by itself; uvicorn's own would raise the signal once more at the end."""

        told = 0.0

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self.handle_exit)
            yield

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            if server.draining:  # told twice: at once
                super().handle_exit(sig, frame)
            server.draining = kept.last_answers = True
            self.told = self.told or time.monotonic()

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            asyncio.get_running_loop().set_exception_handler(connections.errors_of_loop())
            await super().startup([] if handover else sockets)
            if handover:
                await handover.open(self, kept)

        async def on_tick(self, counter: int) -> bool:
            kept.sweep()
            if handover:
                handover.tick(self)
            if routing and counter % 5 == 0:
                routing.look()
            since = time.monotonic() - self.told
            if server.draining and not (server.in_flight and since < LINGER):
                self.config.timeout_graceful_shutdown = max(1, DRAIN - int(since))
                self.should_exit = True
            return await super().on_tick(counter)

    config = uvicorn.Config(
        app,
        http=kept.protocol,  # type: ignore[arg-type]  # whatever makes one will do
        backlog=limits.backlog,
        timeout_keep_alive=limits.idle,  # type: ignore[arg-type]  # only added to a time
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=DRAIN,
        **secure,  # type: ignore[arg-type]  # certificate and key, by uvicorn's names
    )
    Calm(config).run(sockets=[listening])


def _listen(host: str, port: int, descriptor: int | None) -> socket.socket:
    if descriptor is not None:
        return socket.socket(fileno=descriptor)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # By its full name: asyncio sends at once (TCP_NODELAY) only on a socket that says it is TCP,
    # and otherwise the second half of an answer waits 40 ms for the client's word.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise WrongUsage(
            f"Port {port} of {host} can't be used: {error.strerror or error}.",
            "Take another with --port; 0 takes a free one.",
        ) from error
    listening.listen(2048)
    return listening


def _replay(folder: Path, runtime: str) -> int:
    """Answer the package's example as the server would, on standard output."""
    from mlops_magics.serving.app import Server
    from mlops_magics.serving.service import Service

    folder = folder.resolve()
    trust.lean = True
    # A whole server, so that whatever that needs is missed now.
    server = Server(Service(runtimes.load(folder, runtime)), {})
    answer = server.service.answer(manifest.example(folder), "application/json", "replay")
    sys.stdout.write(answer.body.decode() + "\n")
    return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
