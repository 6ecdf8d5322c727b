"""Tasks that only drive other processes: threads of this process, and how they are recalled."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from mlops_magics.engines import tasks


class Recall:
    """Where all tasks of an engine hear that they are not wanted any more."""

    def __init__(self) -> None:
        self.reason = ""
        self._stops: set[Callable[[str], object]] = set()
        self._lock = threading.RLock()  # a signal may come while this very thread holds it

    def call(self, reason: str) -> None:
        """Tell those that run, and those that begin later."""
        with self._lock:
            if self.reason:
                return  # they have been told
            self.reason = reason
            stops = list(self._stops)
        for stop in stops:
            stop(reason)

    @contextmanager
    def heard(self, stop: Callable[[str], object]) -> Iterator[None]:
        """Call `stop` when the recall comes, at once if it came before."""
        with self._lock:
            self._stops.add(stop)
            reason = self.reason
        if reason:
            stop(reason)
        try:
            yield
        finally:
            with self._lock:
                self._stops.discard(stop)


class _Task(tasks.Task):
    def __init__(self, recall: Recall) -> None:
        self._recall = recall

    def recalled(self, stop: Callable[[str], object]) -> AbstractContextManager[None]:
        return self._recall.heard(stop)


class Threads:
    """A pool of threads."""

    def __init__(self, count: int) -> None:
        self.recall = Recall()
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="mlops")

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Run it in the next thread that is free."""
        return self._pool.submit(self._run, function, *arguments)

    def _run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        with tasks.running(_Task(self.recall)):
            return function(*arguments)

    def close(self, *, early: bool) -> None:
        """Wait for the threads; `early` recalls what runs and drops what has not begun."""
        if early:
            self.recall.call("what it was part of has ended")
        self._pool.shutdown(wait=True, cancel_futures=early)
