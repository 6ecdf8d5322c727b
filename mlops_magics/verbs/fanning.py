"""Several notebooks at the same time, wherever an engine runs them; the record is the same."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mlops_magics import settings
from mlops_magics.errors import MlopsError
from mlops_magics.records import Execution, Executions
from mlops_magics.verbs import apart, destinations, here

if TYPE_CHECKING:
    from mlops_magics.engines.base import Engine
    from mlops_magics.verbs.finishing import Beside
    from mlops_magics.verbs.here import Here
    from mlops_magics.verbs.jobs import Job

log = logging.getLogger("mlops_magics")

#: Seconds without news after which a line says how far it is.
LINE = 30.0

#: Seconds after which an engine that has lost all its workers is given up.
LOST = 60.0


def run(todo: Sequence[Job], engine: Engine, output: str, beside: Beside) -> Executions:
    """Run all of them; whatever becomes of one, the others go on.

    Raises
    ------
    WrongUsage
        If the workers could not do what is asked.
    MissingExtra, StepFailed
        If the engine can't be used.
    """
    options = settings.load()
    named, folder = destinations.of_several(todo, output, options.notebooks)
    begun = time.monotonic()
    # What is opened first outlives the engine's threads.
    with nullcontext() if engine.apart else here.ready(named, engine.workers) as near, engine:
        workers = engine.workers
        batch = _Batch(named, engine, near, beside)
        batch.run()
    for folder_here in {job.target.parent for job in named if job.remote}:
        with contextlib.suppress(OSError):  # not empty: something did not get to where it belongs
            folder_here.rmdir()
    if beside.report is not None:
        beside.report.write([(job.event, batch.done[job.event]) for job in named])
    return Executions(
        runs=tuple(batch.done[job.event] for job in named),
        folder=folder,
        engine=engine.label,
        jobs=min(workers, len(named)),
        duration=round(time.monotonic() - begun, 3),
        warnings=tuple(batch.warnings),
    )


class _Batch:
    def __init__(
        self, todo: Sequence[Job], engine: Engine, near: Here | None, beside: Beside
    ) -> None:
        self.todo, self.engine, self.near, self.beside = todo, engine, near, beside
        self.done: dict[str, Execution] = {}
        self.warnings: list[str] = []
        self._waiting = list(todo)
        self._running: dict[Future[Any], Job] = {}
        self._line = time.monotonic()

    def run(self) -> None:
        """Hand all out and take what comes back."""
        from mlops_magics.notebooks.stopping import Stopper

        stopper = Stopper()
        task, shared, finish = self._work()
        log.info("running %d notebooks on %s", len(self.todo), self.engine.label)
        with stopper.on_signals():
            stopper.listen(lambda: self._recall(stopper.reason))
            heard = time.monotonic()
            while self._hand_out(task, shared, stopper.reason):
                ended, _ = wait(self._running, timeout=0.5, return_when=FIRST_COMPLETED)
                for future in ended:
                    self._take(self._running.pop(future), future, finish)
                if not ended and time.monotonic() - self._line > LINE:
                    self._tell("%d of %d are done", len(self.done), len(self.todo))
                if ended or self.engine.workers:
                    heard = time.monotonic()
                elif time.monotonic() - heard > LOST:
                    self._give_up()
            stopper.listen(None)

    def _hand_out(self, task: Callable[..., Any], shared: Any, reason: str) -> bool:
        """Hand out as many as may run at a time; whether there are any whose end is waited for."""
        if reason:
            self._leave_out(reason)
        while self._waiting and len(self._running) < (self.engine.jobs or len(self.todo)):
            job = self._waiting.pop(0)
            self._running[self.engine.submit(task, shared, self._sent(job))] = job
        return bool(self._running)

    def _leave_out(self, reason: str) -> None:
        self.done |= {j.event: j.without_result("never ran", reason) for j in self._waiting}
        self._waiting = []

    def _work(self) -> tuple[Callable[..., Any], Any, Callable[[Job, Any], Execution]]:
        """What a worker does, what it needs for that, and what is left to be done here."""
        if self.near is not None:
            shared = self.engine.share((self.near, self.beside))
            return here.perform, shared, lambda _, done: done
        shared = self.engine.share(apart.place_of(self.engine, self.todo))
        finish = apart.Finishing(self.todo, self.beside)
        return apart.perform, shared, finish.finish

    def _sent(self, job: Job) -> Job:
        """What a worker is handed: where the result goes in the end is none of its business."""
        return replace(job, remote=None) if self.engine.apart else job

    def _recall(self, reason: str) -> None:
        # Not in the signal's own handler, which may have interrupted just about anything.
        threading.Thread(target=self.engine.recall, args=(reason,), daemon=True).start()

    def _take(self, job: Job, future: Future[Any], finish: Callable[[Job, Any], Execution]) -> None:
        """Keep what became of a notebook; no failure of one is one of the others."""
        try:
            done = finish(job, future.result())
        except Exception as error:  # of the engine, a worker, or of writing the result
            why = (
                str(error) if isinstance(error, MlopsError) else f"{type(error).__name__}: {error}"
            )
            done = job.without_result("failed", why)
        self.done[job.event] = done
        took = f"{done.duration:.1f} s" if done.duration else done.reason
        attempt = f", attempt {done.attempt}" if done.attempt > 1 else ""
        number = f"{len(self.done)} of {len(self.todo)}"
        self._tell("%s: %s: %s (%s%s)", number, job.label, done.status, took, attempt)

    def _tell(self, line: str, *values: Any) -> None:
        log.info(line, *values)
        self._line = time.monotonic()

    def _give_up(self) -> None:
        self.warnings.append(f"All workers of {self.engine.label} were lost.")
        for job in self._running.values():
            self.done[job.event] = job.without_result("killed", "its worker was lost")
        self._running = {}
        self._leave_out("no worker was left")
