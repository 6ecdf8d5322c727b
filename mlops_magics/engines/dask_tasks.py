"""A task on a Dask worker: its attempts are counted by the scheduler, which outlives workers."""

from __future__ import annotations

from contextlib import suppress

from mlops_magics.engines.watching import WatchedTask

#: Under which a task's attempts, and a client's recall, are kept among the scheduler's metadata.
ATTEMPTS, RECALL = "mlops-attempts", "mlops-recall"


class DaskTask(WatchedTask):
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
        # A task is only begun again when the worker of the attempt before is lost, so nobody else
        # writes here. The scheduler forgets the metadata of a task together with the task.
        before = list(self._client.get_metadata([self._key, ATTEMPTS], default=[]))
        attempts = self._begin(str(self._worker.address), before)
        self._client.set_metadata([self._key, ATTEMPTS], attempts)

    def _unwanted(self) -> str:
        state = self._worker.state.tasks.get(self._key)
        if state is None or state.state == "cancelled":
            return "who asked for it has gone"
        with suppress(OSError, TimeoutError):
            return str(self._client.get_metadata([f"{RECALL}-{self._owner}"], default=""))
        return ""
