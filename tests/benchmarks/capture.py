"""What keeping every row costs the server, against SQLite that is handed the same rows.

Run with ``python -m tests.benchmarks.capture``, two minutes: prints the microseconds of processor
time a row that the server takes with capture beyond what it takes without, until it has ended (aim:
at most 20), and those that a process of the lowest priority takes later to make Parquet of it, of
requests with one row and with a hundred; and those of SQLite in WAL mode, for batches of a hundred
rows and for a row at a time.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import psutil

from tests.benchmarks.serving import credit_models

ROUNDS, SECONDS, AIM = 3, 4, 20.0


def main() -> None:
    """Measure and print."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed: apt-get install wrk")
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        made = credit_models.make("logistic", place)
        for rows in (1, 100):
            body = json.dumps({"dataframe_records": [made.row] * rows})
            found: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
            for round_ in range(ROUNDS):
                for kept, times in found.items():
                    folder = place / f"kept-{rows}-{round_}" if kept else None
                    times.append(_served(made.package, body, rows, place, folder))
            plain = statistics.median(used for used, _ in found[False])
            more = statistics.median(used for used, _ in found[True]) - plain
            later = statistics.median(compacted for _, compacted in found[True])
            print(
                f"{rows:3} rows a request: {plain:6.1f} µs a row, with capture {more:5.1f} more  "
                f"(aim: {AIM:.0f}), later {later:5.1f} for Parquet",
                flush=True,
            )
        for batch, count in ((100, 50_000), (1, 5_000)):
            took = _sqlite(place / f"{batch}.db", json.dumps(made.row), count, batch)
            print(f"SQLite, {batch:3} rows a transaction: {took:6.1f} µs a row", flush=True)


def _served(
    package: Path, body: str, rows: int, place: Path, capture: Path | None
) -> tuple[float, float]:
    """Processor time a row, in µs, of one server under load until it has ended, and of Parquet."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    options = ["--capture", str(capture)] if capture else []
    command = [sys.executable, "-m", "mlops_magics.serving", ".", "--port", str(port), *options]
    process = subprocess.Popen(
        command, cwd=package, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}/invocations"
    headers = {"content-type": "application/json"}
    with httpx.Client(trust_env=False, timeout=60) as client:
        while not _answers(client, url, body, headers):
            time.sleep(0.05)
    warmed = _load(url, body, place, 1)
    before = _used(process.pid)
    sent = _load(url, body, place, SECONDS)
    process.send_signal(signal.SIGTERM)
    _, _, all_of_it = os.wait4(process.pid, 0)
    process.returncode = 0  # waited for
    used = (all_of_it.ru_utime + all_of_it.ru_stime - before) / sent
    later = _compacted(capture) / (warmed + sent) if capture else 0.0
    return used / rows * 1e6, later / rows * 1e6


def _compacted(folder: Path) -> float:
    """Processor time that it takes to make Parquet of what was kept."""
    day = 86_400
    for file in folder.rglob("*.journal"):
        os.utime(file, (time.time() - 2 * day, time.time() - 2 * day))  # not written any more
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    module = "mlops_magics.serving.capture_compaction"
    subprocess.run([sys.executable, "-m", module, str(folder)], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert not list(folder.rglob("*.journal"))
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _answers(client: httpx.Client, url: str, body: str, headers: dict[str, str]) -> bool:
    try:
        return client.post(url, content=body, headers=headers).status_code == 200
    except httpx.HTTPError:
        return False


def _used(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def _load(url: str, body: str, place: Path, seconds: int) -> int:
    """How many requests were answered."""
    script = place / "load.lua"
    script.write_text(
        "wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\n"
        f"wrk.body = [==[{body}]==]\n"
    )
    words = ["wrk", "-t1", "-c16", f"-d{seconds}s", "-s", str(script), url]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "Non-2xx" not in done.stdout, done.stdout
    found = re.search(r"(\d+) requests in", done.stdout)
    assert found is not None
    return int(found[1])


def _sqlite(path: Path, row: str, count: int, batch: int) -> float:
    """Processor time a row, in µs."""
    rows: Sequence[tuple[str, float, str, str]] = [
        (f"{n:032x}", time.time(), row, '{"predictions":[1]}') for n in range(batch)
    ]
    with sqlite3.connect(path) as store:
        store.execute("PRAGMA journal_mode = WAL")
        store.execute("PRAGMA synchronous = NORMAL")
        store.execute("CREATE TABLE captured (id TEXT, at REAL, input TEXT, answer TEXT)")
        begun = time.process_time()
        for _ in range(count // batch):
            store.executemany("INSERT INTO captured VALUES (?, ?, ?, ?)", rows)
            store.commit()
        return (time.process_time() - begun) / count * 1e6


if __name__ == "__main__":
    main()
