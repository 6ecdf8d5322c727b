"""Where a search is kept, so that it can be taken up again: one Optuna journal a search."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_magics import records, settings
from mlops_magics.errors import BadData, WrongUsage
from mlops_magics.verbs import trials

if TYPE_CHECKING:
    import optuna
    from filelock import FileLock

log = logging.getLogger("mlops_magics")

#: Attributes of the study that are ours.
IDENTITY, RUNS, DATA = "mlops.id", "mlops.runs", "mlops.data"


@dataclass
class Kept:
    """A search as it is kept.

    Attributes
    ----------
    file : Path
        The journal.
    study : optuna.Study
        What is written to it.
    trials : list
        The trials by number; ``None`` for one that has begun and not ended.
    done : int
        How many count: all that ended by themselves, also by failing.
    best : optuna.trial.FrozenTrial or None
        The best of the completed trials; of equals the first.
    warnings : list of str
        What the user should know of it, one sentence each.
    """

    file: Path
    study: optuna.Study
    trials: list[optuna.trial.FrozenTrial | None] = field(default_factory=list)
    done: int = 0
    best: optuna.trial.FrozenTrial | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def runs(self) -> list[str]:
        """The ids of the `tune` runs that worked on it so far."""
        return list(self.study.user_attrs.get(RUNS, ()))

    def note_run(self, run_id: str) -> None:
        """Note that a run works on it from now on."""
        self.study.set_user_attr(RUNS, [*self.runs, run_id])

    @property
    def identity(self) -> str:
        """Tells this search from every other."""
        return str(self.study.user_attrs[IDENTITY])

    @property
    def ended(self) -> list[optuna.trial.FrozenTrial]:
        """The trials that have ended, by number."""
        return [t for t in self.trials if t is not None]

    @property
    def running(self) -> list[int]:
        """The numbers of those that have begun and not ended."""
        return [n for n, t in enumerate(self.trials) if t is None]

    def begin(self) -> int:
        """Note that a trial begins; returns its number."""
        self.trials.append(None)
        return len(self.trials) - 1

    def end(self, number: int, trial: optuna.trial.FrozenTrial) -> None:
        """Note how it ended: as one entry of the journal."""
        trials.check_choices(trial)
        given = {k: records.jsonable(v) for k, v in trial.user_attrs.items()}
        trial.user_attrs = {**given, trials.NUMBER: number}
        self.study.add_trial(trial)
        self._know(number, trial)

    def _know(self, number: int, trial: optuna.trial.FrozenTrial) -> None:
        trial.number = number
        self.trials[number] = trial
        state = trials.state(trial)
        self.done += state != "interrupted"
        if state == "complete" and (self.best is None or self._rank(trial) < self._rank(self.best)):
            self.best = trial

    def _rank(self, trial: optuna.trial.FrozenTrial) -> tuple[float, int]:
        sign = -1 if self.study.direction.name == "MAXIMIZE" else 1
        return sign * (trial.value or 0.0), trial.number

    def lose(self, number: int, reason: str, ended: str = "failed") -> optuna.trial.FrozenTrial:
        """Note that a trial will not end any more, such as when its worker died."""
        optuna = trials.library()
        attrs = {trials.REASON: reason, trials.ENDED: ended}
        lost = optuna.trial.create_trial(state=optuna.trial.TrialState.FAIL, user_attrs=attrs)
        self.end(number, lost)
        return lost


@contextmanager
def opened(
    name: str, digest: str, direction: str, *, resume: bool, data: str = ""
) -> Iterator[Kept]:
    """The search of that name and digest: begun, or taken up where it was left.

    Parameters
    ----------
    digest : str
        Of everything that makes two values comparable: the code, the metric, the folds.
    data : str
        The fingerprint of the dataset, if it is known.

    Raises
    ------
    WrongUsage
        If there is nothing to resume, or another process has the search open.
    BadData
        If the journal can't be read.
    """
    folder = settings.load().state / "studies"
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{name}-{digest[:8]}"
    earlier = _numbered(folder, stem)
    if resume and not earlier:
        others = [p for p in folder.glob(f"{name}-*.journal") if _is_of(p, name)]
        raise WrongUsage(
            f"There is no search for {name} with this code and metric to resume.",
            "The code, the metric or the folds were changed since; begin a new search without "
            "--resume."
            if others
            else "Begin it without --resume.",
        )
    last = max(earlier, default=0)
    number = last if resume else last + 1
    while not (lock := _locked(folder / f"{stem}.{number}.journal")):
        if resume:
            raise WrongUsage(
                f"The search {earlier[number].name} is open in another process.",
                "Wait for it, or interrupt it there.",
            )
        number += 1  # another process has begun one with the same code just now
    file = folder / f"{stem}.{number}.journal"
    kept = None
    try:
        kept = _load(file, direction, data)
        if resume:
            log.info("Going on with %s: %s trials are done.", file.name, kept.done)
            if kept.study.user_attrs[DATA] != data:
                kept.warnings.append(
                    "The data is not what it was when the search began, so its earlier trials are "
                    "not comparable with the later ones."
                )
        elif earlier:
            kept.warnings.append(
                f"There is an earlier search with the same code ({earlier[last].name}); this is a "
                "new one. --resume would have gone on with it."
            )
        yield kept
    finally:
        if kept is not None and not kept.ended:
            file.unlink()  # nothing was tried, so there is nothing to resume
        lock.release()


def _locked(file: Path) -> FileLock | None:
    """The lock of a search, held; ``None`` if another process holds it."""
    from filelock import FileLock, Timeout

    lock = FileLock(f"{file}.open")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock


def _numbered(folder: Path, stem: str) -> dict[int, Path]:
    pattern = re.compile(re.escape(stem) + r"\.(\d+)\.journal")
    found = ((pattern.fullmatch(p.name), p) for p in folder.iterdir())
    return {int(match[1]): path for match, path in found if match}


def _is_of(path: Path, name: str) -> bool:
    return re.fullmatch(re.escape(name) + r"-[0-9a-f]{8}\.\d+\.journal", path.name) is not None


def _load(file: Path, direction: str, data: str) -> Kept:
    optuna = trials.library()
    from optuna.storages.journal import JournalFileBackend

    _mend(file)
    # The lock of a process that was killed would be waited for; nobody else has the search open.
    Path(f"{file}.lock").unlink(missing_ok=True)
    try:
        with trials.quiet():
            storage = optuna.storages.JournalStorage(JournalFileBackend(str(file)))
            study = optuna.create_study(
                study_name=file.stem, storage=storage, direction=direction, load_if_exists=True
            )
            if IDENTITY not in study.user_attrs:
                for key, value in {DATA: data, IDENTITY: uuid.uuid4().hex}.items():
                    study.set_user_attr(key, value)
            kept = Kept(file, study)
            for trial in study.get_trials():
                number = int(trial.user_attrs[trials.NUMBER])
                kept.trials += [None] * (number + 1 - len(kept.trials))
                if kept.trials[number] is None:
                    kept._know(number, trial)
            for number in kept.running:
                kept.lose(number, "its process ended before the trial did", "interrupted")
    except (ValueError, KeyError, AssertionError) as error:
        raise BadData(
            f"The search in {file} can't be read: {type(error).__name__}: {error}.",
            "Begin a new one without --resume.",
        ) from error
    return kept


def _mend(file: Path) -> None:
    """Cut off the last entry where a killed process left it unfinished."""
    if not file.exists():
        return
    content = file.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        with open(file, "r+b") as journal:
            journal.truncate(len(whole))
