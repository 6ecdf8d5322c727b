"""The one thread in which the model works, and the requests that wait for it.

A thread of its own keeps the server answering what is asked of itself while the model works. One
is enough: models in Python take turns anyway, and two would fight for the interpreter. It is a
daemon, so that a model that never comes back does not keep the process from ending.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

from mlops_magics.serving.refusals import ModelFailed, TimedOut, TooBusy

#: Requests that may wait while the model works on another.
MOST_WAITING = 100
#: Seconds that a request may take, waiting included.
TIMEOUT = 30.0
#: Requests, and bytes of them, that are taken at a time.
MOST_TOGETHER = 32
MOST_BYTES = 64 << 10


class Worker:
    """Answers what is asked, for a bounded number of those who wait.

    But for the thread itself everything here runs in the thread of the event loop.

    Parameters
    ----------
    answering : callable
        What waits → an answer for each.
    most_waiting : int
        How many may wait while one is at work; the next is refused.
    timeout : float
        Seconds after which whoever waits is told so. What the model works at can't be broken
        off: until it comes back everybody else is refused at once.
    """

    def __init__(
        self,
        answering: Callable[[list[Any]], Sequence[Any]],
        most_waiting: int = MOST_WAITING,
        timeout: float = TIMEOUT,
    ) -> None:
        self.answering = answering
        self.most_waiting = most_waiting
        self.timeout = timeout
        self._unsettled = 0  # at work or waiting
        self._overdue: _Job | None = None
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """How many wait while another is at work."""
        return max(0, self._unsettled - 1)

    def refusal(self) -> TooBusy | None:
        """Why one more would be refused; ``None`` if it would not."""
        if self._overdue is not None:
            since = time.perf_counter() - self._overdue.begun
            return TooBusy(f"The model has been at work on one request for {since:.0f} s.")
        if self._unsettled > self.most_waiting:
            return TooBusy(f"{self.waiting} requests wait for the model already.")
        return None

    async def run(self, work: Any, size: int) -> tuple[Any, float]:
        """The answer to `work`, and how many seconds it waited for its turn.

        Parameters
        ----------
        size : int
            Bytes of the request; large ones go alone.

        Raises
        ------
        TooBusy
            If too many wait, or its turn did not come in time.
        TimedOut
            If its turn came and it did not end in time.
        """
        if refusal := self.refusal():
            raise refusal
        loop = asyncio.get_running_loop()
        job = _Job(work, size, loop)
        self._unsettled += 1
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="model", daemon=True)
            self._thread.start()
        self._jobs.put(job)
        timer = loop.call_later(self.timeout, self._expire, job)
        try:
            return await job.future, job.begun - job.queued
        finally:
            timer.cancel()

    def close(self, patience: float = 0.2) -> None:
        """End; nobody waits any more, and a model that hangs is not waited for."""
        self._jobs.put(None)
        if self._thread is not None:
            self._thread.join(patience)

    def _work(self) -> None:
        while jobs := self._next():
            begun = time.perf_counter()
            for job in jobs:
                job.begun = begun
            answers: Sequence[Any] = [None] * len(jobs)
            error = None
            try:
                answers = self.answering([job.work for job in jobs])
            except BaseException as raised:  # whatever it is, the thread must live on
                error = ModelFailed(f"The model failed ({type(raised).__name__}).")
            for job, answer in zip(jobs, answers, strict=True):
                self._tell(job, answer, error)

    def _next(self) -> list[_Job]:
        """The next job, and with it the small ones that wait behind it; none at the end."""
        jobs: list[_Job] = []
        size = 0
        while len(jobs) < MOST_TOGETHER and size <= MOST_BYTES:
            if jobs and self._jobs.empty():  # this thread alone takes from it
                break
            job = self._jobs.get()
            if job is None:
                self._jobs.put(None)  # found again when these are done
                break
            if job.given_up:
                self._tell(job, None, None)
                continue
            jobs.append(job)
            size += job.size
        return jobs

    def _tell(self, job: _Job, answer: Any, error: ModelFailed | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, so nobody waits
            job.loop.call_soon_threadsafe(self._settle, job, answer, error)

    def _settle(self, job: _Job, result: Any, error: ModelFailed | None) -> None:
        self._unsettled -= 1
        if self._overdue is job:
            self._overdue = None
        if job.future.done():
            return
        if error is not None:
            job.future.set_exception(error)
        else:
            job.future.set_result(result)

    def _expire(self, job: _Job) -> None:
        if job.future.done():
            return
        if job.begun:
            self._overdue = job
            refusal: Exception = TimedOut(f"The model did not answer within {self.timeout:g} s.")
        else:
            job.given_up = True
            refusal = TooBusy(f"The model had no time for this request in {self.timeout:g} s.")
        job.future.set_exception(refusal)


class _Job:
    __slots__ = ("begun", "future", "given_up", "loop", "queued", "size", "work")

    def __init__(self, work: Any, size: int, loop: asyncio.AbstractEventLoop) -> None:
        self.work = work
        self.size = size
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.queued = time.perf_counter()
        self.begun = 0.0
        self.given_up = False
