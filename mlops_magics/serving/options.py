"""What can be set on the server's command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from mlops_magics.serving import capture_rules, logs, runtimes


def arguments() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m mlops_magics.serving", description="Serve a packaged model over HTTP."
    )
    parser.add_argument(
        "folders",
        metavar="folder",
        nargs="+",
        type=Path,
        help="the package; each further one is served beside it, by its model's name",
    )
    parser.add_argument("--host", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one")
    parser.add_argument("--fd", type=int, help="a socket that listens already, by its number")
    parser.add_argument(
        "--own-fd",
        type=int,
        help="a further socket; the other one is only taken up when a signal says so",
    )
    parser.add_argument(
        "--routes", type=Path, help="a file that says which requests a second server is to have"
    )
    parser.add_argument("--name", default="", help="the deployment's name")
    parser.add_argument("--capture", type=Path, help="keep requests and answers in this folder")
    capture_rules.add(parser)
    parser.add_argument("--max-body", type=int, default=32, help="largest body, in MB")
    parser.add_argument(
        "--max-queue",
        type=int,
        default=100,
        help="how many requests may wait for the model; the next are refused (503)",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=30.0,
        help="seconds in which a request must be answered (504), and a body have arrived (408)",
    )
    parser.add_argument(
        "--max-connections",
        type=int,
        default=1000,
        help="how many may be open; the next takes the place of one that asks nothing",
    )
    parser.add_argument(
        "--keep-alive",
        type=float,
        default=75.0,
        help="seconds that a connection may stay open after an answer",
    )
    parser.add_argument(
        "--runtime",
        choices=runtimes.CHOICES,
        default=runtimes.AUTO,
        help="answer by the model's graph (onnx), its own library (native), or the faster of both",
    )
    parser.add_argument(
        "--no-batching",
        action="store_true",
        help="answer each request by a call of the model of its own, also those that waited",
    )
    parser.add_argument(
        "--log-format",
        choices=logs.FORMATS,
        default="text",
        help="json: every line of the log is one object, and each request has a line",
    )
    parser.add_argument("--tls-cert", type=Path, help="serve HTTPS with this certificate (PEM)")
    parser.add_argument("--tls-key", type=Path, help="... and this key (PEM)")
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
