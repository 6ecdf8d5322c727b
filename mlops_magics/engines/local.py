"""This machine: one task at a time in this process, or several in processes of their own.

Tasks that only drive other processes are run by threads.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mlops_magics.engines import pickling
from mlops_magics.engines.base import Engine
from mlops_magics.engines.threads import Threads

#: What numerical libraries take for the number of their threads.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class LocalEngine(Engine):
    """Processes of joblib's pool (loky), or threads; with one job, this process itself."""

    name = "local"

    def __init__(self, jobs: int | None = None, address: str = "", *, light: bool = False) -> None:
        super().__init__(jobs, address, light=light)
        self._pool: Any = None
        self._threads: Threads | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def workers(self) -> int:
        """As many as were asked for; by default one, of threads as many as there are cores."""
        return self.jobs or (_cores() if self.light else 1)

    @property
    def apart(self) -> bool:
        """With more than one job that takes a process."""
        return self.workers > 1 and not self.light

    @property
    def near(self) -> bool:
        """Always."""
        return True

    def __enter__(self) -> Self:
        if self.light:
            self._threads = Threads(self.workers)
        if self.apart:
            self._folder = tempfile.TemporaryDirectory(prefix="mlops-")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end(kill=error is not None)
        if self._threads is not None:
            self._threads.close(early=error is not None)
        if self._folder is not None:
            self._folder.cleanup()

    def _end(self, kill: bool) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, kill_workers=kill)

    def share(self, value: Any) -> Any:
        """The value itself; for other processes a file, which each reads as often as it needs."""
        if self._folder is None:
            return value
        file = Path(self._folder.name) / f"{len(os.listdir(self._folder.name))}.pickle"
        file.write_bytes(pickling.dumps(value))
        return file

    def submit(self, function: Callable[..., Any], shared: Any, *arguments: Any) -> Future[Any]:
        """At once in this process, or in the next thread or process that is free."""
        if self._threads is not None:
            return self._threads.submit(function, shared, *arguments)
        if not self.apart:
            done: Future[Any] = Future()
            try:
                done.set_result(function(shared, *arguments))
            except Exception as error:
                done.set_exception(error)
            return done
        try:
            return self._open().submit(_run, function, shared, *arguments)
        except BrokenExecutor:  # a process died: the others are gone with it
            self._end(kill=True)
            return self._open().submit(_run, function, shared, *arguments)

    def recall(self, reason: str) -> None:
        """Heard by tasks in threads."""
        if self._threads is not None:
            self._threads.recall.call(reason)

    def _open(self) -> Executor:
        if self._pool is None:
            from joblib.externals.loky import ProcessPoolExecutor

            self._pool = ProcessPoolExecutor(
                self.workers,
                initializer=_leave_interrupts_to_the_parent,
                env=shares(self.workers),
            )
        pool: Executor = self._pool
        return pool


def _cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def shares(jobs: int) -> dict[str, str]:
    """Variables by which so many processes at a time divide the cores between their threads.

    Two that each take all cores take more than twice as long. What is set already stays.
    """
    each = str(max(_cores() // jobs, 1))
    return {name: os.environ.get(name, each) for name in _THREADS}


def _leave_interrupts_to_the_parent() -> None:
    """A terminal and a notebook send Ctrl-C to all processes; the parent ends them in order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run(function: Callable[..., Any], file: Path, *arguments: Any) -> Any:
    return function(pickling.loads(file.read_bytes()), *arguments)
