"""Every request and its answer, kept off the hot path.

The server drops a request's facts into a bounded queue and goes on. One thread appends them to a
journal (`capture_journal`) every half second, or when many wait, so that a killed server loses
half a second and a full disk loses captures, never answers. What was sent is kept as it was sent:
to find its columns is the reader's work, not the server's.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics.serving import capture_folder, capture_inputs
from mlops_magics.serving import capture_journal as journal
from mlops_magics.serving.capture_compaction import Compaction
from mlops_magics.serving.capture_rules import UNSAID, Rules
from mlops_magics.serving.capture_writing import Writer
from mlops_magics.serving.table import listed

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("mlops_magics.serving")

#: Requests in one frame: between two, others have their turn at Python.
BATCH = 100
#: So many that wait are written at once.
MANY = 500
INTERVAL = 0.5  # seconds
#: What may wait to be written; beyond it requests are answered and not captured.
MOST_ROWS = 10_000
MOST_BYTES = 64 << 20
#: Seconds between two looks at what is too much or too old.
PRUNING = 600.0
#: Requests, rows in them and the newest time of what was left out and is not told yet.
_NONE = 0, 0, 0


@dataclass(slots=True)  # not frozen: that would double what making one costs
class Captured:
    """One request and its answer.

    Attributes
    ----------
    columns : mapping, DataFrame or None
        The input columns of a request that was answered.
    outputs : str
        JSON: one prediction a row.
    size : int
        About its bytes in memory.
    client_key : str
        The client's own key, by which labels find their rows later.
    body : bytes
        In place of `columns`, and much cheaper: the JSON of an answered request in a form of
        MLflow's protocol, to a model that takes columns by name.
    """

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
    client_key: str = ""
    body: bytes = b""


class Capture:
    """A writer of requests to a folder, which other processes may read meanwhile.

    Parameters
    ----------
    path : Path
        Made if it does not exist; a new version of a model goes on in the same folder.
    model : str
        The version that is recorded with each request.
    rules : Rules
        What is kept, and for how long.

    Attributes
    ----------
    names : tuple of str
        The columns that the model takes by name; needed before the start if bodies are to be kept.
    """

    def __init__(self, path: Path, model: str, rules: Rules | None = None) -> None:
        self.path = capture_folder.folder(path)
        self.model = model
        self.rules = rules or Rules()
        self.names: tuple[str, ...] = ()
        self.written = 0
        self.dropped = 0
        self.left = 0
        self.removed = 0
        self.error = ""
        self._all = self.rules.sample >= 1
        self._masked = frozenset(self.rules.mask)
        self._waiting: deque[Captured] = deque()
        self._bytes = 0
        self._unsettled = 0  # waiting, or in the batch that is being written
        self._left = _NONE
        self._compaction = Compaction(self.path)
        self._tidied = -PRUNING
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        if self.names and (strange := sorted(self._masked.difference(self.names))):
            log.warning("Nothing to mask: %s has no column %s.", self.model, ", ".join(strange))
        self._thread.start()

    def put(self, captured: Captured) -> None:
        """Keep a request, unless too much waits already; then it is counted as dropped."""
        with self._lock:
            if not self._all and self._is_left(captured):
                return
            waiting = len(self._waiting) + 1
            if waiting > MOST_ROWS or self._bytes + captured.size > MOST_BYTES:
                self.dropped += 1
                return
            self._waiting.append(captured)
            self._bytes += captured.size
            self._unsettled += 1
        # Waking the thread for each request would cost each request a switch of threads.
        if waiting >= MANY and not self._wake.is_set():
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
        """How it goes, for whoever asks the server.

        ``left_out`` counts requests that the sample left out, ``removed`` files that went because
        of their size or age.
        """
        return {
            "folder": str(self.path),
            "written": self.written,
            "waiting": self.waiting,
            "dropped": self.dropped,
            "left_out": self.left,
            "removed": self.removed,
            "sample": self.rules.sample,
            "masked": list(self.rules.mask),
            "error": self.error,
        }

    def _is_left(self, captured: Captured) -> bool:
        name = captured.client_key or captured.request_id
        if self.rules.keeps(name, captured.status, captured.client_id):
            return False
        requests, rows, newest = self._left
        self._left = requests + 1, rows + captured.rows, max(newest, captured.time)
        self.left += 1
        return True

    def _run(self) -> None:
        facts = {"model": self.model, "names": self.names, "masked": self.rules.mask}
        writer = Writer(self.path, journal.header(facts), self.rules.keep_mb)
        self._attempt(writer.open)  # so that a reader finds it before the first request
        while True:
            self._attempt(partial(self._tidy, writer))
            if not self._closing:
                self._wake.wait(INTERVAL)
            self._wake.clear()
            while batch := self._take():
                if not self._attempt(partial(self._write, writer, batch), len(batch)):
                    break  # and try again after the interval, with what came meanwhile
                if writer.filled:
                    self._attempt(partial(self._tidy, writer))
            if self._left is not _NONE:
                self._attempt(partial(self._tell_left, writer))
            if self._closing and not self._waiting:
                writer.close()
                self._compaction.stop()
                return

    def _take(self) -> list[Captured]:
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            self._bytes -= sum(c.size for c in batch)
        return batch

    def _attempt(self, action: Callable[[], None], count: int = 0) -> bool:
        try:
            action()
        except Exception as error:  # whatever it is, the next time may do better
            self._failed(error, count)
            return False
        finally:
            with self._lock:
                self._unsettled -= count
        return True

    def _write(self, writer: Writer, batch: list[Captured]) -> None:
        parts = []
        for captured in batch:
            try:
                parts.append(self._kept(captured))
            except Exception as error:
                self.dropped += 1
                log.error("The request %s can't be captured: %s", captured.request_id, error)
        if not parts:
            return
        newest = max(captured.time for captured in batch)
        writer.append(journal.frame(journal.REQUESTS, b"".join(parts), newest, len(parts)))
        if self.error:
            log.warning("Capture works again; %d requests were not captured.", self.dropped)
            self.error = ""
        self.written += len(parts)

    def _kept(self, captured: Captured) -> bytes:
        c, form, inputs = captured, journal.NOTHING, b""
        if c.body and self.names and not self._masked:
            form, inputs = journal.SENT, c.body
        elif c.body and self.names:
            columns: Any = capture_inputs.sent(c.body, self.names)
            form, inputs = journal.COLUMNS, capture_inputs.written(columns, self._masked)
        elif c.columns is not None:
            columns = c.columns if isinstance(c.columns, Mapping) else listed(c.columns)
            form, inputs = journal.COLUMNS, capture_inputs.written(columns, self._masked)
        error = UNSAID if c.error and self._masked else c.error
        facts = c.time, c.latency_ms, c.status, c.rows, form, c.request_id, c.client_id
        return journal.request(*facts, c.client_key, error, c.outputs.encode(), inputs)

    def _tell_left(self, writer: Writer) -> None:
        with self._lock:
            (requests, rows, newest), self._left = self._left, _NONE
        try:
            writer.append(journal.left(requests, rows, newest))
        except OSError:
            with self._lock:
                more = self._left
                self._left = requests + more[0], rows + more[1], max(newest, more[2])
            raise

    def _tidy(self, writer: Writer) -> None:
        if not writer.filled and time.monotonic() - self._tidied < PRUNING:
            return
        writer.filled, self._tidied = 0, time.monotonic()
        self.removed += capture_folder.prune(self.path, self.rules.keep_mb, self.rules.keep_days)
        self._compaction.start()

    def _failed(self, error: Exception, lost: int) -> None:
        if not self.error:
            log.error("Capture to %s fails: %s. Predictions go on.", self.path, error)
        self.error = str(error) or type(error).__name__
        self.dropped += lost
        time.sleep(0.05)
