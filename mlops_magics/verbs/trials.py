"""The trials of a search: run with Optuna in memory, kept in its journal once they have ended.

Optuna's own loop writes to the journal at every step of a trial. Here a trial is asked for,
run and told in memory, by whichever process does the work, and the finished trial is appended to
the journal by one process only, as one entry. So a journal holds nothing but what was done, no
trial can be counted twice, and a worker needs neither the file nor a connection to it.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mlops_magics.errors import MissingExtra, WrongUsage

if TYPE_CHECKING:
    import optuna

    from mlops_magics.verbs.objective import Objective

#: User attributes of a trial that are ours: its place in the search, and why it has no value.
NUMBER, REASON, ENDED = "mlops.number", "mlops.reason", "mlops.ended"

#: How a trial can end.
STATES = ("complete", "pruned", "failed", "interrupted")


def library() -> Any:
    """The module `optuna`.

    Raises
    ------
    MissingExtra
        If it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise MissingExtra("Optuna", "tune") from error
    return optuna


@dataclass
class Outcome:
    """A trial that has ended, and the exception that ended it, if one did."""

    trial: optuna.trial.FrozenTrial
    error: BaseException | None = None


@dataclass
class Search:
    """How a trial is run, wherever that is.

    Attributes
    ----------
    direction : str
        ``maximize`` or ``minimize``.
    seed : int
        Together with the number of trials that were done before, it decides what is suggested.
    """

    objective: Objective
    direction: str
    seed: int
    _study: Any = field(default=None, repr=False)
    _known: int = 0

    def run(self, past: Sequence[optuna.trial.FrozenTrial | None], done: int) -> Outcome:
        """Run the next trial.

        Parameters
        ----------
        past : sequence
            The trials so far by number; ``None`` stands for one that is still running.
        done : int
            How many of them count; the same seed and the same count give the same random numbers.

        Returns
        -------
        Outcome
            Of any exception but an interruption, which passes after the trial is told.
        """
        optuna = library()
        study = self._prepared(past)
        study.sampler = optuna.samplers.TPESampler(seed=_mixed(self.seed, done))
        trial = study.ask()
        self._known = len(past) + 1
        try:
            value = self.objective(trial)
        except optuna.TrialPruned:
            return Outcome(self._told(trial, state=optuna.trial.TrialState.PRUNED))
        except KeyboardInterrupt as error:
            trial.set_user_attr(REASON, "interrupted")
            trial.set_user_attr(ENDED, "interrupted")
            return Outcome(self._told(trial, state=optuna.trial.TrialState.FAIL), error)
        except Exception as error:
            trial.set_user_attr(REASON, _sentence(error))
            return Outcome(self._told(trial, state=optuna.trial.TrialState.FAIL), error)
        if value != value:
            trial.set_user_attr(REASON, f"{self.objective.metric} is not a number (NaN)")
            return Outcome(self._told(trial, state=optuna.trial.TrialState.FAIL))
        return Outcome(self._told(trial, value))

    def _prepared(self, past: Sequence[optuna.trial.FrozenTrial | None]) -> Any:
        """A study in memory that knows the past; the same one while this process does it all."""
        if self._study is None or self._known != len(past):
            optuna = library()
            with quiet():
                self._study = optuna.create_study(
                    direction=self.direction, pruner=optuna.pruners.MedianPruner()
                )
            running = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING)
            self._study.add_trials([running if t is None else t for t in past])
        return self._study

    def _told(self, trial: Any, value: float | None = None, state: Any = None) -> Any:
        trial.set_user_attr(NUMBER, trial.number)
        return self._study.tell(trial, value, state=state)

    def portable(self) -> Search:
        """The search for other processes."""
        return replace(self, objective=self.objective.portable(), _study=None, _known=0)


def run_apart(search: Search, past: Sequence[Any], done: int) -> bytes:
    """`Search.run` in another process; its outcome as bytes, which can surely be read again."""
    from mlops_magics.engines import pickling

    with quiet():
        outcome = search.run(past, done)
    if outcome.error is not None:
        shown = "".join(traceback.format_exception(outcome.error))
        outcome.error.add_note(f"\nWhere it was raised, in a worker:\n\n{shown}")
    try:
        content = pickling.dumps(outcome)
        pickling.loads(content)
    except Exception:  # an exception that can't be pickled: its words can
        error = RuntimeError(_sentence(outcome.error or ValueError("no outcome")))
        for note in getattr(outcome.error, "__notes__", ()):
            error.add_note(note)
        content = pickling.dumps(Outcome(outcome.trial, error))
    return content


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out Optuna's own messages: the verb says what there is to say."""
    logging = library().logging
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)


def state(trial: optuna.trial.FrozenTrial) -> str:
    """How a trial ended: one of `STATES`."""
    ended = str(trial.user_attrs.get(ENDED, ""))
    return ended or {"COMPLETE": "complete", "PRUNED": "pruned"}.get(trial.state.name, "failed")


def check_choices(trial: optuna.trial.FrozenTrial) -> None:
    """Refuse choices that are no plain values: a journal and a table can't hold them.

    Raises
    ------
    WrongUsage
        Naming the parameter.
    """
    for name, distribution in trial.distributions.items():
        for choice in getattr(distribution, "choices", ()):
            if not (choice is None or isinstance(choice, bool | int | float | str)):
                raise WrongUsage(
                    f"A choice of {name!r} is of type {type(choice).__name__}; it can be a text, a "
                    "number, True, False or None.",
                    "Choose by name, and look the object up in a dict.",
                )


def _mixed(seed: int, done: int) -> int:
    """A seed of its own for each trial, the same whether the search was interrupted or not."""
    import numpy as np

    return int(np.random.SeedSequence([seed, done]).generate_state(1)[0])


def _sentence(error: BaseException) -> str:
    first = (str(error).splitlines() or [""])[0][:500]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
