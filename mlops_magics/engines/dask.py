"""A Dask cluster: a scheduler that runs already, and its workers."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self

from mlops_magics.engines import addresses, dask_tasks, pickling, releases, tasks
from mlops_magics.engines.base import Engine
from mlops_magics.errors import MissingExtra, StepFailed, WrongUsage

#: Seconds within which a scheduler must answer, and in which workers that were just started come.
PATIENCE, COMING = 5.0, 15.0


#: Bytes up to which a shared value goes with each task; Dask calls more than that a large graph.
SMALL = 10_000_000


class _Scattered:
    """A large value in the memory of workers, put there again when it was lost.

    Dask soon keeps a single copy of what was sent to all of them, and the worker that has it may
    be the one that dies; the tasks which needed it are cancelled then.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._future: Any = None

    def on(self, client: Any) -> Any:
        """What a task takes for it."""
        if self._future is None or self._future.status not in ("pending", "finished"):
            self._future = client.scatter(self._content, broadcast=True, hash=False)
        return self._future


class DaskEngine(Engine):
    """The workers of a Dask scheduler.

    The scheduler is the one that ``--on tcp://…`` names, else Dask's own setting
    ``scheduler-address`` (the variable ``DASK_SCHEDULER_ADDRESS``). Who can reach a plain ``tcp://``
    scheduler can run code on it, so that one is only taken on this machine; elsewhere it must be
    ``tls://``. Workers need this package with its extra ``tune``, and what the tasks import.
    """

    name = "dask"
    schemes = ("tcp", "tls")

    def __init__(self, jobs: int | None = None, address: str = "", *, light: bool = False) -> None:
        super().__init__(jobs, address, light=light)
        self._client: Any = None
        self._executor: Any = None

    @property
    def workers(self) -> int:
        """The threads of all workers that are connected, at most `jobs`."""
        try:
            threads = sum(map(int, self._client.nthreads().values()))
        except OSError:  # the scheduler is gone, and its workers with it
            return 0
        return min(threads, self.jobs or threads)

    @property
    def near(self) -> bool:
        """A plain address is only taken on this machine."""
        return self.address.startswith("tcp://")

    def __enter__(self) -> Self:
        try:
            import dask
            import distributed
        except ImportError as error:
            raise MissingExtra("Dask", "dask") from error
        self.address = self.address or str(dask.config.get("scheduler-address", None) or "")
        if not self.address:
            raise WrongUsage(
                "No Dask scheduler is known.",
                "Start one with `dask scheduler` and name it: --on tcp://127.0.0.1:8786, or set "
                "DASK_SCHEDULER_ADDRESS.",
            )
        _refuse_unprotected(self.address)
        try:
            self._client = distributed.Client(
                self.address, timeout=PATIENCE, set_as_default=False, heartbeat_interval="1s"
            )
        except (OSError, ValueError, TypeError) as error:
            raise StepFailed(
                f"The Dask scheduler at {self.address} does not answer.",
                "Is it running, and is the address right? `dask scheduler` prints it.",
            ) from error
        try:
            self._check()
        except BaseException:
            self._client.close()
            raise
        # A task is work to be done, not a value to be remembered: the same call is done again.
        self._executor = self._client.get_executor(pure=False)
        return self

    def _check(self) -> None:
        """Workers are there, and have this package in this release."""
        try:
            self._client.wait_for_workers(1, timeout=COMING)
        except TimeoutError as error:
            raise StepFailed(
                f"The Dask scheduler at {self.address} has no workers, and none came in "
                f"{COMING:.0f} s.",
                f"Start some: dask worker {self.address}",
            ) from error
        try:
            found = self._client.run(releases.ours).values()
        except ModuleNotFoundError as error:
            raise StepFailed(
                f"The Dask workers lack the module {error.name!r}.",
                "Install the same packages there as here.",
            ) from error
        releases.check("Dask", found)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # The workers are not ours: their tasks are cancelled, and they stay.
        self._executor.shutdown(wait=False)
        self._client.close()

    def share(self, value: Any) -> Any:
        """With each task, so that no death of a worker loses it; what is large lies on workers."""
        content = pickling.dumps(value)
        return content if len(content) <= SMALL else _Scattered(content)

    def submit(self, function: Callable[..., Any], shared: Any, *arguments: Any) -> Future[Any]:
        """On whichever worker is free; of one that dies the task is done again on another."""
        owner = self._client.id if self.light else ""
        if isinstance(shared, _Scattered):
            shared = shared.on(self._client)
        future: Future[Any] = self._executor.submit(_run, owner, function, shared, *arguments)
        return future

    def recall(self, reason: str) -> None:
        """Heard by light tasks, which look whether they are still wanted."""
        self._client.set_metadata([f"{dask_tasks.RECALL}-{self._client.id}"], reason)


def _run(owner: str, function: Callable[..., Any], content: bytes, *arguments: Any) -> Any:
    value = pickling.loads(content)
    if not owner:  # short tasks of which the attempts need not be told apart
        return function(value, *arguments)
    with tasks.running(dask_tasks.DaskTask(owner)):
        return function(value, *arguments)


def _refuse_unprotected(address: str) -> None:
    host, _ = addresses.host_and_port(address, "tcp://127.0.0.1:8786")
    if address.startswith("tcp://"):
        hint = "Give the scheduler a certificate and name it as tls://…"
        addresses.refuse_elsewhere(address, host, "a tcp:// scheduler", hint)
