"""A server, in a process of its own, whose model does what the number it is asked says.

``python -m tests.serving.scripted PORT KEY=VALUE…``: below 0 the model raises, from 1000 on it
sleeps that many seconds less 1000; it answers the double. Besides options of the server there are
``limits``, of its connections, and ``files``: how many may be open, softly and at all.
"""

from __future__ import annotations

import json
import logging
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd

from mlops_magics.flavors import Input, Predictor
from mlops_magics.serving import __main__ as serving
from mlops_magics.serving.app import Server
from mlops_magics.serving.connections import Limits
from mlops_magics.serving.guard import Guard
from mlops_magics.serving.service import Service

ABOUT = {"model": "scripted/7", "digest": "sha256:00", "name": "", "mlflow_version": "3"}
EXAMPLE = b'{"dataframe_records": [{"x": 1.0}]}'


class Scripted(Predictor):
    columns = (Input("x", "double"),)
    flavor = "scripted"
    output = "double"

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        found = frame["x"].to_numpy()
        if (found < 0).any():
            raise RuntimeError("below zero")
        time.sleep(max(0.0, found.max() - 1000))
        return 2 * found


def body(*values: float) -> bytes:
    return json.dumps(
        {"dataframe_split": {"columns": ["x"], "data": [[v] for v in values]}}
    ).encode()


def server(**options: Any) -> Server:
    return Server(Service(Scripted(), EXAMPLE), ABOUT, **options)


@contextmanager
def running(**options: Any) -> Iterator[tuple[httpx.Client, subprocess.Popen[str]]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            __name__,
            str(port),
            *(f"{k}={json.dumps(v)}" for k, v in options.items()),
        ],
        cwd=Path(__file__).parents[2],
        stderr=subprocess.PIPE,
        text=True,
    )
    url = f"http://127.0.0.1:{port}"
    headers = {"content-type": "application/json"}
    try:
        with httpx.Client(base_url=url, trust_env=False, timeout=30, headers=headers) as client:
            for _ in range(600):
                try:
                    client.get("/ping")
                    break
                except httpx.ConnectError:
                    time.sleep(0.05)
            yield client, process
    finally:
        process.kill()
        process.communicate()


def main(
    port: int,
    *,
    limits: Mapping[str, Any] | None = None,
    files: tuple[int, int] | None = None,
    **options: Any,
) -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    if files:
        resource.setrlimit(resource.RLIMIT_NOFILE, tuple(files))
    made = server(**options)
    listening = serving._listen("127.0.0.1", port, None)
    serving._run(made, Guard(made.app()), listening, Limits(**(limits or {})))


if __name__ == "__main__":
    pairs = (pair.split("=", 1) for pair in sys.argv[2:])
    main(int(sys.argv[1]), **{k: json.loads(v) for k, v in pairs})
