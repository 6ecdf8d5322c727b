"""A task on a Dask worker: its attempts are counted by the scheduler, which outlives workers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from mlops_magics import records
from mlops_magics.engines import tasks

#: Under which a task's attempts, and a client's recall, are kept among the scheduler's metadata.
ATTEMPTS, RECALL = "mlops-attempts", "mlops-recall"

#: Seconds between two looks whether the task is still wanted.
LOOK = 0.5


class DaskTask(tasks.Task):
    """The task that this thread of a worker does.

    Parameters
    ----------
    owner : str
        The id of the client that sent it.
    """

    def __init__(self, owner: str) -> None:
        import distributed

        self._worker = distributed.get_worker()
        self._client = distributed.get_client()
        self._owner = owner
        self._key = self._worker.get_current_task()
        self.place = str(self._worker.address)
        # A task is only begun again when the worker of the attempt before is lost, so nobody else
        # writes here. The scheduler forgets the metadata of a task together with the task.
        before: list[Mapping[str, Any]] = list(
            self._client.get_metadata([self._key, ATTEMPTS], default=[])
        )
        begun = {"place": self.place, "started": records.now()}
        self._client.set_metadata([self._key, ATTEMPTS], [*before, begun])
        self.earlier = tuple(before)
        self.attempt = len(before) + 1

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

    def _unwanted(self) -> str:
        state = self._worker.state.tasks.get(self._key)
        if state is None or state.state == "cancelled":
            return "who asked for it has gone"
        with suppress(OSError, TimeoutError):
            return str(self._client.get_metadata([f"{RECALL}-{self._owner}"], default=""))
        return ""
