"""A task on a worker elsewhere, which looks every now and then whether it is still wanted."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from mlops_magics import records
from mlops_magics.engines import tasks

#: Seconds between two looks.
LOOK = 0.5


class WatchedTask(tasks.Task):
    """What clusters have in common, whose workers die and whose askers go."""

    def _begin(self, place: str, before: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Take the attempts before this one; returns them with this one, to be remembered."""
        self.place = place
        self.earlier = tuple(before)
        self.attempt = len(before) + 1
        return [*before, {"place": place, "started": records.now()}]

    @contextmanager
    def recalled(self, stop: Callable[[str], object]) -> Iterator[None]:
        """Looks every now and then; who sent it may also just have gone."""
        if reason := self._unwanted():
            stop(reason)
        done = threading.Event()

        def watch() -> None:
            while not done.wait(LOOK):
                if reason := self._unwanted():
                    stop(reason)
                    return

        watcher = threading.Thread(target=watch, name="mlops-recall", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()

    @abstractmethod
    def _unwanted(self) -> str:
        """Why nobody waits for the result any more; empty if somebody does."""
