"""What a scheduler needs to be told, as the files that it reads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from mlops_magics.errors import UnknownName, WrongUsage
from mlops_magics.schedulers import quoting, times
from mlops_magics.schedulers.times import When

NONE: Mapping[str, str] = MappingProxyType({})

#: By which the runs of a job are found again.
VARIABLE = "MLOPS_SCHEDULE"


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be run, and how often.

    Attributes
    ----------
    commands : tuple of tuple of str
        The words behind ``mlops``, a command each, in order.
    folder : Path
        The project's, in which they run.
    top : Path
        The repository's; the project's folder where there is none.
    program : tuple of str
        How ``mlops`` is called on this machine, with whole paths.
    environment : mapping
        Settings that hold here by variables; never secrets.
    since : datetime
        From which runs are expected, in UTC.
    """

    name: str
    when: When
    commands: tuple[tuple[str, ...], ...]
    folder: Path
    top: Path
    program: tuple[str, ...]
    since: datetime
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Where programs are looked for on this machine."""
        return f"{Path(self.program[0]).parent}:/usr/local/bin:/usr/bin:/bin"

    @property
    def variables(self) -> dict[str, str]:
        """What the job's processes are told beside their words."""
        return {VARIABLE: self.name, **self.environment}

    def shown(self) -> tuple[str, ...]:
        """The commands as one would type them."""
        return tuple(quoting.lines(("mlops",), [c])[0] for c in self.commands)


class Scheduler(ABC):
    """Something that runs commands at given times; one class and one entry-point line.

    Attributes
    ----------
    name : str
        The entry point's name, and what ``--as`` takes.
    here : bool
        Whether the job runs on this machine, with its files and its store.
    needs_cron : bool
        Whether it takes only what a cron expression can say.
    options : mapping
        What ``-o NAME VALUE`` can say to it: name → meaning, in a line.
    """

    name: ClassVar[str]
    here: ClassVar[bool] = False
    needs_cron: ClassVar[bool] = True
    options: ClassVar[Mapping[str, str]] = NONE

    @abstractmethod
    def files(self, job: Job, options: Mapping[str, str]) -> dict[str, str]:
        """The files' names and what stands in them; the first one is the one to look at.

        Raises
        ------
        WrongUsage
            If the job can't be told to it, or an option has no such value.
        """

    def place(self, job: Job) -> Path:
        """The folder of its files where none is asked for."""
        return job.folder / "schedules"

    @abstractmethod
    def install(self, job: Job, files: Sequence[Path]) -> tuple[str, ...]:
        """What one types to make the scheduler take them."""

    @abstractmethod
    def uninstall(self, job: Job, files: Sequence[Path]) -> tuple[str, ...]:
        """What one types to make it forget the job."""

    def check(self, job: Job, options: Mapping[str, str]) -> None:
        """Refuse options that it does not have, and times that it can't keep.

        Raises
        ------
        UnknownName
            Names the first option, and those that there are.
        WrongUsage
            Names the nearest spans.
        """
        for name in options:
            if name not in self.options:
                hint = f"The scheduler {self.name} takes {', '.join(self.options) or 'none'}."
                raise UnknownName("option", name, self.options, hint)
        if self.needs_cron and not job.when.cron:
            raise WrongUsage(
                f"{self.name} goes by cron, which can't say every {job.when.every}.",
                f"The nearest that it can: {times.nearest(job.when.seconds)}.",
            )
        for command in job.commands:
            quoting.check(command)
        quoting.check([*job.variables.values(), str(job.folder), str(job.top), *job.program])
        quoting.check([w for pair in options.items() for w in pair])


def names_of(text: str, what: str) -> list[str]:
    """Names of variables with commas between.

    Raises
    ------
    WrongUsage
        If one is none.
    """
    found = [n.strip() for n in text.split(",") if n.strip()]
    for name in found:
        if not (name.isascii() and name.isidentifier()):
            raise WrongUsage(f"-o {what} takes names of variables, and {name!r} is none.")
    return found


def number(options: Mapping[str, str], name: str, default: int) -> int:
    """An option that is a number from 1 on."""
    value = options.get(name, str(default))
    if not value.isdecimal() or int(value) < 1:
        raise WrongUsage(f"-o {name} is a number from 1 on, not {value!r}.")
    return int(value)
