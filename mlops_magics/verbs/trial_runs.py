"""The trials of a search as child runs of its run, written while it goes on."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlops_magics import store
from mlops_magics.errors import StoreUnreachable
from mlops_magics.verbs import trials
from mlops_magics.verbs.objective import is_number

if TYPE_CHECKING:
    from mlops_magics.verbs.studies import Kept

log = logging.getLogger("mlops_magics")

#: How long finished trials wait for others, to be written with them: seconds, and how many.
WAIT, BATCH = 2.0, 200

#: How a trial ended → the status of its run.
_STATUS = {
    "complete": "finished",
    "pruned": "finished",
    "failed": "failed",
    "interrupted": "interrupted",
}


@dataclass
class TrialRuns:
    """Writes ended trials below the run `parent`; each once, also after a search is resumed.

    Attributes
    ----------
    ids : dict
        Number of the trial → id of its run.
    trouble : str
        Why some could not be written; empty when all were.
    """

    parent: str
    experiment: str
    metric: str
    kept: Kept
    ids: dict[int, str] = field(default_factory=dict)
    trouble: str = ""
    _outer: str = field(default_factory=lambda: store.children.active())
    _waiting: list[Any] = field(default_factory=list)
    _written: float = field(default_factory=time.monotonic)

    def catch_up(self) -> None:
        """Find the runs of the trials that are kept, and write those that have none yet."""
        if not self.kept.ended:
            return
        there = store.children.of(self.experiment, self.kept.identity)
        self.ids |= {int(key): run_id for key, run_id in there.items()}
        self._waiting = [t for t in self.kept.ended if t.number not in self.ids]
        self.flush()

    def add(self, trial: Any) -> None:
        """Take a trial that has ended; it is written soon."""
        self._waiting.append(trial)
        with suppress(StoreUnreachable):  # the next trial is tried all the same
            store.children.adopt(self.parent, self._outer)
        if len(self._waiting) >= BATCH or time.monotonic() - self._written > WAIT:
            self.flush()

    def flush(self) -> None:
        """Write what waits; if the store is away, it goes on waiting."""
        self._written = time.monotonic()
        if not self._waiting:
            return
        children = [self._child(t) for t in self._waiting]
        try:
            ids = store.children.write(self.parent, self.kept.identity, children)
        except StoreUnreachable as error:
            if not self.trouble:
                log.warning("%s The search goes on, and its trials are kept.", error.message)
            self.trouble = (
                f"{len(children)} trials have no run of their own yet, as the store did not take "
                "them; --resume writes them."
            )
            return
        self.trouble = ""
        self.ids |= {int(key): run_id for key, run_id in ids.items()}
        self._waiting.clear()

    def _child(self, trial: Any) -> store.children.Child:
        state = trials.state(trial)
        started, ended = _ms(trial.datetime_start), _ms(trial.datetime_complete)
        # What was reported on the way are steps of one metric; the value itself is another.
        metrics = [("reported", v, step, ended) for step, v in trial.intermediate_values.items()]
        if trial.value is not None and state == "complete":
            metrics.append((self.metric, float(trial.value), 0, ended))
        metrics.append(("duration_s", (ended - started) / 1000, 0, ended))
        own = {k: v for k, v in trial.user_attrs.items() if not k.startswith("mlops.")}
        metrics += [(k, float(v), 0, ended) for k, v in own.items() if is_number(v)]
        reason = trial.user_attrs.get(trials.REASON)
        return store.children.Child(
            key=str(trial.number),
            name=f"trial {trial.number}",
            status=_STATUS[state],
            started=started,
            ended=ended,
            params=trial.params,
            metrics=metrics,
            tags={
                "mlops.verb": "trial",
                "mlops.study": self.kept.study.study_name,
                "mlops.trial": str(trial.number),
                "state": state,
                **({"mlops.reason": reason} if reason else {}),
                **{k: v for k, v in own.items() if not is_number(v)},
            },
        )


def _ms(moment: Any) -> int:
    return int(moment.timestamp() * 1000)
