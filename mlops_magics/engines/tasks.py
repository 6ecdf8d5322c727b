"""What a task can know of itself while it runs: which attempt it is, where, and if it is wanted.

A cluster does the task of a dead worker again. Whoever runs it must be able to tell the attempts
apart, and to stop when nobody waits for the result any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any


class Task:
    """A task on this machine: its only attempt, and wanted unless its engine recalls it.

    Attributes
    ----------
    attempt : int
        From 1.
    place : str
        The worker that does it; empty in this process.
    earlier : tuple of mapping
        The attempts before: ``place`` and ``started`` of each.
    """

    attempt = 1
    place = ""
    earlier: tuple[Mapping[str, Any], ...] = ()

    def recalled(self, stop: Callable[[str], object]) -> AbstractContextManager[None]:
        """Within, call `stop` with the reason if the task is recalled."""
        return nullcontext()


_current: ContextVar[Task | None] = ContextVar("task", default=None)


def current() -> Task:
    """The task that runs in this thread; outside of any, one that stands for no other."""
    return _current.get() or Task()


@contextmanager
def running(task: Task) -> Iterator[None]:
    """Make `task` the current one."""
    token = _current.set(task)
    try:
        yield
    finally:
        _current.reset(token)
