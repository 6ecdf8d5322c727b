"""A Dask cluster of this machine: a real scheduler and two real workers, each a process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import need


@dataclass
class Cluster:
    """Its address, and the process groups of its workers."""

    address: str
    workers: list[subprocess.Popen[bytes]]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    need("distributed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    processes = [start(tmp_path, "scheduler", "--host", "127.0.0.1", "--port", str(port))]
    try:
        workers = [start_worker(tmp_path, address) for _ in range(2)]
        processes += workers
        wait_for_workers(address, 2)
        yield Cluster(address, workers)
    finally:
        for process in processes:
            process.send_signal(signal.SIGKILL)
            process.wait()


def start_worker(folder: Path, address: str) -> subprocess.Popen[bytes]:
    options = ("--no-nanny", "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1")
    return start(folder, "worker", address, *options)


def start(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    """One process of Dask; what it says is kept in its folder."""
    place = [] if words[0] == "worker" else ["--no-dashboard"]
    with open(folder / f"{words[0]}.log", "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *words, *place],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=log,
            stderr=log,
        )


def wait_for_workers(address: str, count: int) -> None:
    from distributed import Client

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with Client(address, timeout=2, set_as_default=False) as client:
                client.wait_for_workers(count, timeout=60)
                return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(f"{count} workers did not come to {address}.")
