"""``python -m mlops_magics.serving FOLDER``: serve a package until told to stop."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mlops_magics import flavors
from mlops_magics.errors import MlopsError, WrongUsage
from mlops_magics.flavors import trust
from mlops_magics.serving import manifest
from mlops_magics.serving.guard import LOCAL, Guard, is_loopback

log = logging.getLogger("mlops_magics.serving")

#: Seconds that requests in work have to end after SIGTERM; less than a supervisor waits.
DRAIN = 4


def arguments() -> argparse.ArgumentParser:
    """What can be set on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m mlops_magics.serving", description="Serve a packaged model over HTTP."
    )
    parser.add_argument("folder", type=Path, help="the package")
    parser.add_argument("--host", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one")
    parser.add_argument("--fd", type=int, help="a socket that listens already, by its number")
    parser.add_argument("--name", default="", help="the deployment's name")
    parser.add_argument("--capture", type=Path, help="keep requests and answers in this file")
    parser.add_argument("--max-body", type=int, default=32, help="largest body, in MB")
    parser.add_argument(
        "--allowed-host", action="append", default=[], help="a further name to answer to"
    )
    parser.add_argument(
        "--open",
        action="store_true",
        help="listen beyond this machine without a token (for a container, whose network decides)",
    )
    parser.add_argument(
        "--replay", action="store_true", help="answer the package's input example and stop"
    )
    return parser


def main(given: Sequence[str] | None = None) -> int:
    """Serve; returns the exit code."""
    options = arguments().parse_args(given)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    try:
        return _replay(options.folder) if options.replay else _serve(options)
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
    listening = _listen(options.host, options.port, options.fd)
    trust.lean = True
    folder = options.folder.resolve()
    package = manifest.checked(folder)
    predictor = flavors.load(folder / manifest.MODEL)

    from mlops_magics.serving.app import Server
    from mlops_magics.serving.capture import Capture
    from mlops_magics.serving.service import Service

    capture = Capture(options.capture.absolute(), package.model) if options.capture else None
    server = Server(
        Service(predictor, manifest.example(folder)),
        {
            "name": options.name,
            "model": package.model,
            "digest": package.model_digest,
            "package": package.digest,
            "run_id": package.run_id,
            "commit": package.commit,
            "mlflow_version": flavors.folder.read(folder / manifest.MODEL).mlflow_version,
        },
        capture,
        options.max_body << 20,
    )
    hosts = [*LOCAL, options.host, *options.allowed_host] if local or options.allowed_host else []
    host, port = listening.getsockname()[:2]
    log.info("Serving %s at http://%s:%d (process %d)", package.model, host, port, os.getpid())
    _run(Guard(server.app(), hosts, token), listening)
    log.info("Stopped")
    return 0


def _run(app: Guard, listening: socket.socket) -> None:
    """Until SIGTERM or SIGINT; then what is in work ends first."""
    import uvicorn

    class Calm(uvicorn.Server):
        """Ends by itself; uvicorn's own would raise the signal once more at the end."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self.handle_exit)
            yield

    config = uvicorn.Config(
        app,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=DRAIN,
    )
    Calm(config).run(sockets=[listening])


def _listen(host: str, port: int, descriptor: int | None) -> socket.socket:
    if descriptor is not None:
        return socket.socket(fileno=descriptor)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
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


def _replay(folder: Path) -> int:
    """Answer the package's example as the server would, on standard output."""
    from mlops_magics.serving.service import Service

    folder = folder.resolve()
    trust.lean = True
    service = Service(flavors.load(folder / manifest.MODEL))
    answer = service.answer(manifest.example(folder), "application/json", "replay")
    sys.stdout.write(answer.body.decode() + "\n")
    return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
