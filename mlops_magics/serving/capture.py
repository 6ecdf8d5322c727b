"""Every request and its answer, kept off the hot path.

The server drops a request's facts into a bounded queue and goes on. One thread writes them to
SQLite (WAL, synchronous NORMAL) in batches of 100 or every half second, whichever comes first,
so that a killed server loses half a second and a full disk loses captures, never answers.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("mlops_magics.serving")

BATCH = 100
INTERVAL = 0.5  # seconds
#: What may wait to be written; beyond it requests are answered and not captured.
MOST_ROWS = 10_000
MOST_BYTES = 64 << 20

SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
    request_id TEXT NOT NULL,
    time INTEGER NOT NULL,      -- microseconds since the epoch, UTC
    status INTEGER NOT NULL,
    latency_ms REAL NOT NULL,
    client_id TEXT NOT NULL,
    model TEXT NOT NULL,
    rows INTEGER NOT NULL,
    error TEXT NOT NULL,
    inputs TEXT NOT NULL,       -- JSON: column → values; empty where nothing was predicted
    outputs TEXT NOT NULL       -- JSON: one prediction a row
);
CREATE INDEX IF NOT EXISTS requests_by_time ON requests (time);
"""


@dataclass(frozen=True, slots=True)
class Captured:
    """One request and its answer; `size` is about its bytes."""

    request_id: str
    time: int
    status: int
    latency_ms: float
    client_id: str
    rows: int
    error: str
    columns: Mapping[str, Sequence[Any]] | pd.DataFrame | None
    outputs: str
    size: int


class Capture:
    """A writer of requests to one SQLite file, which other processes may read meanwhile.

    Parameters
    ----------
    path : Path
        Made if it does not exist; a new version of a model goes on with the same file.
    model : str
        The version that is recorded with each request.
    """

    def __init__(self, path: Path, model: str) -> None:
        self.path = path
        self.model = model
        self.written = 0
        self.dropped = 0
        self.error = ""
        self._waiting: deque[Captured] = deque()
        self._bytes = 0
        self._unsettled = 0  # waiting, or in the batch that is being written
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def put(self, captured: Captured) -> None:
        """Keep a request, unless too much waits already; then it is counted as dropped."""
        with self._lock:
            if len(self._waiting) >= MOST_ROWS or self._bytes + captured.size > MOST_BYTES:
                self.dropped += 1
                return
            self._waiting.append(captured)
            self._bytes += captured.size
            self._unsettled += 1
            full = len(self._waiting) >= BATCH
        # Waking the thread for each request would cost each request a switch of threads.
        if full:
            self._wake.set()

    def hurry(self) -> None:
        """Write what waits now rather than within half a second."""
        self._wake.set()

    def close(self, timeout: float = 5.0) -> None:
        """Write what waits and stop."""
        self._closing = True
        self._wake.set()
        self._thread.join(timeout)

    @property
    def waiting(self) -> int:
        """How many are still to be written."""
        return self._unsettled

    def state(self) -> dict[str, Any]:
        """How it goes, for whoever asks the server."""
        return {
            "file": str(self.path),
            "written": self.written,
            "waiting": self.waiting,
            "dropped": self.dropped,
            "error": self.error,
        }

    def _run(self) -> None:
        database: sqlite3.Connection | None = None
        try:
            database = _open(self.path)  # so that a reader finds it before the first request
        except (sqlite3.Error, OSError) as error:
            self._failed(error, 0)
        while True:
            self._wake.wait(INTERVAL)
            self._wake.clear()
            while batch := self._take():
                try:
                    database = database or _open(self.path)
                    self._write(database, batch)
                except Exception as error:  # whatever it is, the next batch may do better
                    self._failed(error, len(batch))
                    _close(database)
                    database = None
                    break  # and try again after the interval, with what came meanwhile
                finally:
                    with self._lock:
                        self._unsettled -= len(batch)
            if self._closing and not self._waiting:
                _close(database)
                return

    def _take(self) -> list[Captured]:
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            self._bytes -= sum(c.size for c in batch)
        return batch

    def _write(self, database: sqlite3.Connection, batch: list[Captured]) -> None:
        rows = [
            (
                c.request_id,
                c.time,
                c.status,
                c.latency_ms,
                c.client_id,
                self.model,
                c.rows,
                c.error.encode("utf-8", "replace").decode(),  # half a character is no text
                _columns(c.columns),
                c.outputs,
            )
            for c in batch
        ]
        with database:
            database.executemany("INSERT INTO requests VALUES (?,?,?,?,?,?,?,?,?,?)", rows)
        if self.error:
            log.warning("Capture works again; %d requests were not captured.", self.dropped)
            self.error = ""
        self.written += len(batch)

    def _failed(self, error: Exception, lost: int) -> None:
        if not self.error:
            log.error("Capture to %s fails: %s. Predictions go on.", self.path, error)
        self.error = str(error) or type(error).__name__
        self.dropped += lost
        time.sleep(0.05)


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path, timeout=5)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    database.executescript(SCHEMA)
    return database


def _close(database: sqlite3.Connection | None) -> None:
    if database is not None:
        try:
            database.close()
        except sqlite3.Error:  # on a full disk even this may fail
            log.debug("The capture file could not be closed.")


def _columns(columns: Mapping[str, Sequence[Any]] | pd.DataFrame | None) -> str:
    if columns is None:
        return ""
    frame: Any = columns
    if hasattr(frame, "notna"):  # a DataFrame, told without pandas
        known = frame.astype(object).where(frame.notna(), None)
        columns = {str(name): known[name].tolist() for name in known}
    return json.dumps({str(n): list(v) for n, v in columns.items()}, default=str)
