"""What an engine can do: run plain functions somewhere and say what became of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, ClassVar, Self


class Engine(ABC):
    """A place where tasks run at the same time; one class and one entry-point line.

    It is a context manager: workers are at hand inside of it, and nothing that it started is left
    afterwards. An exception that leaves the block also ends what is still running.

    Parameters
    ----------
    jobs : int, optional
        How many tasks may run at a time; by default as many as there are workers.
    address : str
        Where it is, as given; empty for its own default.
    light : bool
        Whether tasks only drive other processes, as a kernel is one, so that threads will do.

    Attributes
    ----------
    name : str
        The entry point's name, and what ``--on`` takes.
    schemes : tuple of str
        Of which addresses it is the engine: ``("tcp", "tls")``.
    """

    name: ClassVar[str]
    schemes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, jobs: int | None = None, address: str = "", *, light: bool = False) -> None:
        self.jobs = jobs
        self.address = address
        self.light = light

    @property
    def label(self) -> str:
        """How a record names it."""
        return f"{self.name} {self.address}".strip()

    @property
    @abstractmethod
    def workers(self) -> int:
        """How many tasks can run at a time now; 0 when all workers are lost."""

    @property
    def apart(self) -> bool:
        """Whether tasks run in other processes, so that what they take must be pickled."""
        return True

    @property
    def near(self) -> bool:
        """Whether its workers are on this machine, and so have its files."""
        return False

    @abstractmethod
    def __enter__(self) -> Self:
        """Make workers available.

        Raises
        ------
        MissingExtra
            If a package that it needs is not installed.
        WrongUsage, StepFailed
            If there is nothing to work on; in seconds, and in one sentence.
        """

    @abstractmethod
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let go of the workers; of unfinished tasks too."""

    @abstractmethod
    def share(self, value: Any) -> Any:
        """Hand a value to the workers once, for many tasks; returns what `submit` takes for it."""

    @abstractmethod
    def submit(self, function: Callable[..., Any], shared: Any, *arguments: Any) -> Future[Any]:
        """Run ``function(value, *arguments)`` on a worker, with the value that was shared.

        Where tasks run apart, each gets a value of its own. A worker that dies is an exception of
        the future, unless the task was done again elsewhere.
        """

    def recall(self, reason: str) -> None:  # noqa: B027  # an engine that can't leaves it
        """Tell the tasks that nobody wants them any more; those that listen end early.

        A task listens through ``engines.tasks.current().recalled``. By default they go on.
        """
