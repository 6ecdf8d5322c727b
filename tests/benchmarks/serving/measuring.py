"""Starting a server, loading it with `wrk`, and what that takes."""

from __future__ import annotations

import os
import re
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from typing import Any

import httpx
import psutil

from tests.benchmarks.serving.candidates import Candidate

CONNECTIONS = 16
#: Seconds before the load that is measured.
WARM = 1
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class Measured:
    """One server under load.

    Attributes
    ----------
    p50_ms, p50_many_ms : float
        Of one connection, and of sixteen.
    """

    cold_s: float
    p50_ms: float
    p50_many_ms: float
    per_s: float
    rss_mb: float


def measure(candidate: Candidate, seconds: int, starts: int) -> Measured:
    """Start it some times, and load it the last time."""
    colds = []
    for number in range(starts):
        process, port, cold = _start(candidate)
        colds.append(cold)
        if number < starts - 1:
            _stop(process)
    try:
        url = f"http://127.0.0.1:{port}{candidate.path}"
        answer = httpx.post(
            url,
            content=candidate.body,
            headers={"content-type": "application/json"},
            trust_env=False,
            timeout=60,
        )
        assert answer.status_code == 200, (candidate.name, answer.text)
        _load(url, candidate.body, CONNECTIONS, WARM)
        _, p50 = _load(url, candidate.body, 1, seconds)
        per_s, p50_many = _load(url, candidate.body, CONNECTIONS, seconds)
        rss = _memory(process.pid)
    finally:
        _stop(process)
    return Measured(statistics.median(colds), p50, p50_many, per_s, rss)


def _start(candidate: Candidate) -> tuple[subprocess.Popen[bytes], int, float]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = candidate.command(port)
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=candidate.folder,
        env={**os.environ, **candidate.environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}{candidate.ready}"
    with httpx.Client(trust_env=False) as client:
        while not _is_ready(client, url):
            if process.poll() is not None or time.perf_counter() - began > 120:
                _stop(process)
                raise SystemExit(f"It did not start: {' '.join(command)}")
            time.sleep(0.01)
    return process, port, time.perf_counter() - began


def _is_ready(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url, timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    except ProcessLookupError:
        process.wait()


def _load(url: str, body: bytes, connections: int, seconds: int) -> tuple[float, float]:
    """Requests per second, and the middle of their times in ms."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write("wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\n")
        script.write(f"wrk.body = [==[{body.decode()}]==]\n")
        script.flush()
        done = subprocess.run(
            [
                *("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s"),
                *("--latency", "-s", script.name, url),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
    assert "Non-2xx" not in done.stdout, done.stdout
    per_s: Any = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    middle: Any = re.search(r"50%\s+([\d.]+)(us|ms|s)", done.stdout)
    return float(per_s[1]), float(middle[1]) * UNITS[middle[2]]


def _memory(pid: int) -> float:
    """MB of the server's largest process: some start others around it."""
    whole = psutil.Process(pid)
    family: list[Any] = [whole, *whole.children(recursive=True)]
    return float(max(p.memory_info().rss for p in family)) / 1e6
