"""The loop of a search: trials are handed to an engine, and kept as they come back."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mlops_magics.errors import StepFailed, WrongUsage
from mlops_magics.verbs import trials

if TYPE_CHECKING:
    from mlops_magics.engines.base import Engine
    from mlops_magics.verbs.studies import Kept
    from mlops_magics.verbs.trials import Outcome, Search

log = logging.getLogger("mlops_magics")

#: When so many trials at the beginning have all failed, the code is wrong and not the values.
FIRST = 5

#: Seconds between two lines of progress, and to wait for workers when all are lost.
LINE, LOST = 1.0, 60.0


@dataclass
class Loop:
    """Runs trials until there are as many as wanted, or the time is over.

    Attributes
    ----------
    wanted : int
        How many trials there shall be in all, those of earlier sessions included.
    timeout : float
        Seconds after which no trial is begun any more; 0 for no end.
    told : callable
        Is given each trial that has ended.
    """

    kept: Kept
    search: Search
    engine: Engine
    wanted: int
    timeout: float
    told: Callable[[Any], None]
    late: bool = False
    _failed: int = 0
    _running: dict[Future[Any], int] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)
    _at_first: int = 0
    _line: float = 0.0

    def run(self) -> None:
        """Search.

        Raises
        ------
        KeyboardInterrupt
            On Ctrl-C; the trials that were running are kept as interrupted.
        WrongUsage
            If what the code leaves can't be optimised.
        StepFailed
            If all workers are lost.
        Exception
            The user's own, if the first trials all failed, or none succeeded.
        """
        __tracebackhide__ = True
        self._at_first = self.kept.done
        task: Callable[..., Any] = trials.Search.run
        search = self.search
        if self.engine.apart:
            task, search = trials.run_apart, search.portable()
        shared = self.engine.share(search)
        heard = time.monotonic()
        try:
            while True:
                self._fill(task, shared)
                if not self._running and (self.late or self.kept.done >= self.wanted):
                    return
                ended, _ = wait(self._running, timeout=1, return_when=FIRST_COMPLETED)
                if not self._running:
                    time.sleep(1)  # all workers are lost; new ones may come
                for future in ended:
                    self._take(self._running.pop(future), future)
                if ended or self.engine.workers:
                    heard = time.monotonic()
                elif time.monotonic() - heard > LOST:
                    raise StepFailed(
                        f"All workers of {self.engine.label} are lost.",
                        "What was done is kept: start workers, and go on with --resume.",
                    )
        except BaseException as error:
            why = "interrupted" if isinstance(error, KeyboardInterrupt) else "the search ended"
            for number in self.kept.running:
                self.told(self.kept.lose(number, why, "interrupted"))
            raise

    def _fill(self, task: Callable[..., Any], shared: Any) -> None:
        """Hand out trials while there is room."""
        while self.kept.done + len(self._running) < self.wanted:
            self.late = bool(self.timeout) and time.monotonic() - self._began >= self.timeout
            if self.late or len(self._running) >= self.engine.workers:
                return
            past, done = list(self.kept.trials), self.kept.done + len(self._running)
            number = self.kept.begin()
            self._running[self.engine.submit(task, shared, past, done)] = number

    def _take(self, number: int, future: Future[Any]) -> None:
        """Keep what became of a trial, and stop where going on makes no sense."""
        __tracebackhide__ = True
        lost = future.exception() if not future.cancelled() else None
        if future.cancelled() or lost is not None:
            # The objective's own exceptions are part of an outcome: this one is the engine's.
            reason = f"its worker was lost: {type(lost).__name__ if lost else 'cancelled'}"
            trial, error = self.kept.lose(number, reason), None
        else:
            outcome = _outcome(future.result())
            trial, error = outcome.trial, outcome.error
            self.kept.end(number, trial)
        self.told(trial)
        if isinstance(error, KeyboardInterrupt):
            raise error
        if trials.state(trial) != "failed":
            self._failed = -1
        elif self._failed >= 0:
            self._failed += 1
        best = self.kept.best
        hopeless = self._failed >= FIRST or (self.kept.done >= self.wanted and self._failed > 0)
        if error is not None and best is None and (isinstance(error, WrongUsage) or hopeless):
            raise error.with_traceback(_theirs(error.__traceback__))
        if best is None and hopeless:
            raise StepFailed(
                f"The first {self._failed} trials all failed; the last: "
                f"{trial.user_attrs.get(trials.REASON, 'no reason known')}."
            )
        self._tell(trial)

    def _tell(self, trial: Any) -> None:
        now = time.monotonic()
        if now - self._line < LINE and self.kept.done < self.wanted:
            return
        self._line = now
        log.info(self._sentence(trial, now))

    def _sentence(self, trial: Any, now: float) -> str:
        """``12 of 50 trials · 0.842 (best 0.861, trial 7) · about 2 min left``."""
        state, best = trials.state(trial), self.kept.best
        result = f"{trial.value:.4g}" if state == "complete" else state
        if reason := trial.user_attrs.get(trials.REASON):
            result += f" ({reason})" if state == "failed" else ""
        if best is not None:
            result += f" (best {best.value:.4g}, trial {best.number})"
        here = self.kept.done - self._at_first
        left = (now - self._began) / max(here, 1) * (self.wanted - self.kept.done)
        if self.timeout:
            left = min(left, self._began + self.timeout - now)
        minutes = f"about {left / 60:.0f} min left" if left >= 90 else f"about {left:.0f} s left"
        rest = f" · {minutes}" if self.kept.done < self.wanted and left > 0 else ""
        return f"{self.kept.done} of {self.wanted} trials · {result}{rest}"


def _outcome(result: Any) -> Outcome:
    from mlops_magics.engines import pickling

    outcome: Outcome = pickling.loads(result) if isinstance(result, bytes) else result
    return outcome


def _theirs(traceback: TracebackType | None) -> TracebackType | None:
    """The part of a traceback below this package: the user's own."""
    ours = str(Path(__file__).parents[1]) + os.sep
    inner = traceback
    while inner is not None and inner.tb_frame.f_code.co_filename.startswith(ours):
        inner = inner.tb_next
    return inner or traceback
