"""Compute-bound notebooks on one worker of a cluster against two, of Dask and of Ray.

Run with ``python -m tests.benchmarks.cluster``: prints for each cluster how many times as fast two
workers are as one (aim: at least 1.7 on two idle cores). The scheduler, the workers with a thread
each, and the command are processes of their own, as in use; the rounds alternate, and what is
compared are the durations in the records, from the first notebook handed out to the last one back.
Each measurement has a cluster of its own.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

import nbformat
import psutil
from nbformat.v4 import new_code_cell, new_notebook

ROUNDS, NOTEBOOKS, SECONDS = 2, 8, 4.0

#: So much work, whatever else the core does meanwhile.
WORK = "for _ in range(steps):\n    sum(i * i for i in range(1000))"


def main() -> None:
    """Measure and print."""
    print(f"load at the start {os.getloadavg()[0]:.2f}, {os.cpu_count()} cores")
    print(f"plain processes  ratio {control():6.2f}    (2.00 where two cores are idle)", flush=True)
    clusters: dict[str, Callable[[Path, int], Iterator[str]]] = {"dask": dask, "ray": ray}
    for kind, start in clusters.items():
        if find_spec("distributed" if kind == "dask" else kind) is None:
            continue
        took: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(ROUNDS):
            for workers, times in took.items():
                with tempfile.TemporaryDirectory(prefix="b-", ignore_cleanup_errors=True) as name:
                    folder = Path(name)
                    with contextmanager(start)(folder, workers) as address:
                        times.append(execute(folder, address))
        one, two = (statistics.median(times) for times in took.values())
        for workers, times in took.items():
            shown = ", ".join(f"{t:.1f}" for t in times)
            print(f"{kind} on {workers} {statistics.median(times):6.1f} s  (of {shown})")
        print(f"{kind} ratio {one / two:6.2f}    (aim: 1.70)", flush=True)


def control() -> float:
    """How many times as much two processes do as one, whatever this machine has to do besides."""
    code = "import sys, time; s = time.perf_counter(); steps = int(sys.argv[1])\n"
    code += f"{WORK}\nprint(time.perf_counter() - s)"
    words = [sys.executable, "-c", code, str(steps())]

    def longest(count: int) -> float:
        running = [subprocess.Popen(words, stdout=subprocess.PIPE) for _ in range(count)]
        return max(float(each.communicate()[0]) for each in running)

    return 2 * longest(1) / longest(2)


def execute(folder: Path, address: str) -> float:
    """The command on a grid; seconds."""
    parameters = new_code_cell(
        f"steps: int = {steps()}\nn: int = 0", metadata={"tags": ["parameters"]}
    )
    nbformat.write(new_notebook(cells=[parameters, new_code_cell(WORK)]), folder / "work.ipynb")
    grid = "n=" + ",".join(map(str, range(NOTEBOOKS)))
    done = subprocess.run(
        [script("mlops"), "execute", "work.ipynb", "--grid", grid, "--on", address, "--json"],
        cwd=folder, env={**environment(), "MLOPS_KEYS": str(folder / "keys")},
        check=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    record = json.loads(done.stdout)
    assert all(run["status"] == "finished" for run in record["runs"]), record
    return float(record["duration"])


_steps: list[int] = []


def steps() -> int:
    """How much work takes the seconds that are wanted, on a core of this machine by itself."""
    if not _steps:
        count, begun = 0, time.process_time()
        while time.process_time() - begun < 1:
            sum(i * i for i in range(1000))
            count += 1
        _steps.append(int(count * SECONDS))
    return _steps[0]


def dask(folder: Path, workers: int) -> Iterator[str]:
    """A scheduler, and so many workers of one thread."""
    from distributed import Client

    address = f"tcp://127.0.0.1:{port()}"
    common = ["--no-dashboard", "--host", "127.0.0.1"]
    worker = [sys.executable, "-m", "dask", "worker", address, "--nthreads", "1", "--no-nanny"]
    with ExitStack() as stack:
        scheduler = [sys.executable, "-m", "dask", "scheduler", *common]
        stack.enter_context(process(folder, *scheduler, "--port", address.rpartition(":")[2]))
        for _ in range(workers):
            stack.enter_context(process(folder, *worker, *common))
        with Client(address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=60)
        yield address


def ray(folder: Path, workers: int) -> Iterator[str]:
    """A head that has so many CPUs."""
    client = port()
    options = [f"--num-cpus={workers}", f"--ray-client-server-port={client}", "--port=0"]
    options += [f"--temp-dir={folder / 'r'}", "--include-dashboard=false", "--no-monitor"]
    with process(folder, script("ray"), "start", "--head", "--block", *options):
        log = folder / "log"  # the port is open before there is a node that could serve a client
        while "Ray runtime started" not in log.read_text() or not listening(client):
            time.sleep(0.2)
        yield f"ray://127.0.0.1:{client}"


@contextmanager
def process(folder: Path, *words: str) -> Iterator[None]:
    """One part of a cluster, and what it starts."""
    with open(folder / "log", "ab") as log:
        running = subprocess.Popen(words, cwd=folder, env=environment(), stdout=log, stderr=log)
    try:
        yield
    finally:
        for each in [*psutil.Process(running.pid).children(recursive=True), running]:
            if each.pid == running.pid or psutil.pid_exists(each.pid):
                each.kill()
        running.wait()


def environment() -> dict[str, str]:
    """Byte code is kept, and nothing is sent anywhere."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {
        **kept,
        "RAY_USAGE_STATS_ENABLED": "0",
        "GRPC_ENABLE_FORK_SUPPORT": "0",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def script(name: str) -> str:
    """A program beside this Python."""
    return str(Path(sys.executable).with_name(name))


def listening(number: int) -> bool:
    """Whether something answers at a port of this machine."""
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", number)) == 0


def port() -> int:
    """One that is free."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


if __name__ == "__main__":
    main()
