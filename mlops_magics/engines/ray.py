"""A Ray cluster that runs already, reached through its client server."""

from __future__ import annotations

import itertools
import logging
import os
import signal
import socket
import threading
import uuid
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from types import TracebackType
from typing import Any, Self

from mlops_magics.engines import addresses, pickling, ray_tasks, releases
from mlops_magics.engines.base import Engine
from mlops_magics.errors import MissingExtra, StepFailed, WrongUsage

#: Seconds within which the head must answer, and all nodes must have started a process.
PATIENCE, START = 5.0, 60.0

#: How often a task is begun again whose worker died; as many times as Dask does.
RETRIES = 3

#: Bytes up to which a shared value goes with each task.
SMALL = 10_000_000

#: What Ray is told by variables, unless they are set. It sends nobody anything; a server that
#: talks something else is soon given up; and a notebook ends soon after who asked for it is gone.
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CLIENT_MAX_CONNECTION_TIMEOUT_S": "5",
    "RAY_CLIENT_RECONNECT_GRACE_PERIOD": "10",
}

EXAMPLE = "ray://127.0.0.1:10001"


class RayEngine(Engine):
    """The nodes of a Ray cluster; a task takes one of their CPUs.

    The cluster is the one that ``--on ray://…`` names, else that of the variable ``RAY_ADDRESS``,
    or the one that this process is connected to already. Who can reach an unprotected client
    server can run code on the cluster, so that one is only taken on this machine; elsewhere Ray's
    TLS must be on (``RAY_USE_TLS=1``). Head and workers need this package and what tasks import.

    A process that joins a cluster directly is ended by Ray when the cluster is lost. Ray's client
    is told of it instead, which is why there is no other way in.
    """

    name = "ray"
    schemes = ("ray",)

    def __init__(self, jobs: int | None = None, address: str = "", *, light: bool = False) -> None:
        super().__init__(jobs, address, light=light)
        self._ray: Any = None
        self._context: Any = None
        self._near = False
        self._owner = uuid.uuid4().hex
        self._numbers = itertools.count(1)
        self._running: dict[Future[Any], Any] = {}

    @property
    def workers(self) -> int:
        """The CPUs of all nodes that are alive, at most `jobs`."""
        try:
            with _silence():
                count = int(self._ray.cluster_resources().get("CPU", 0))
        except Exception:  # a dozen kinds, of gRPC's and Ray's own: the cluster does not answer
            return 0
        return min(count, self.jobs or count)

    @property
    def near(self) -> bool:
        """If all nodes are this machine; an address on it may lead elsewhere by a tunnel."""
        return self._near

    def __enter__(self) -> Self:
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        try:
            import grpc  # noqa: F401  # without it Ray has no client
            import ray
        except ImportError as error:
            raise MissingExtra("Ray", "ray") from error
        self._ray = ray
        if not ray.is_initialized():
            self._connect()
        elif self.address:
            raise WrongUsage(
                "This process is connected to a Ray cluster already.",
                "--on ray uses that one; ray.shutdown() ends it.",
            )
        try:
            self._check()
        except BaseException:
            self._close()
            raise
        task = ray.remote(ray_tasks.run)
        self._task = task.options(num_cpus=1, max_retries=RETRIES, name="mlops")
        return self

    def _connect(self) -> None:
        self.address = self.address or os.environ.get("RAY_ADDRESS", "")
        if not self.address:
            raise WrongUsage(
                "No Ray cluster is known.",
                f"Start one with `ray start --head` and name it: --on {EXAMPLE}, or set "
                "RAY_ADDRESS.",
            )
        _refuse_unprotected(self.address)
        host, port = addresses.host_and_port(self.address, EXAMPLE)
        hint = "Is it running, and is the address right? Its client server listens at port 10001."
        try:
            socket.create_connection((host, port), PATIENCE).close()
            with _silence(), _signals_kept():
                self._context = self._ray.init(
                    self.address, log_to_driver=False, logging_level=logging.CRITICAL
                )
            # Whose level Ray sets for itself: it shows here what the cluster logs there.
            logging.getLogger("ray.util.client.logsclient").setLevel(logging.CRITICAL)
        except ConnectionAbortedError as error:  # it answers, and its part for this client hangs
            raise StepFailed(
                f"The Ray cluster at {self.address} could not serve one more client.",
                "Try again; GRPC_ENABLE_FORK_SUPPORT=0 for `ray start` may keep it from that.",
            ) from error
        except OSError as error:  # ConnectionError too, which Ray's client raises
            raise StepFailed(f"No Ray cluster answers at {self.address}.", hint) from error
        except RuntimeError as error:
            if "mismatch" in str(error).lower():
                raise StepFailed(_other(str(error)), "Install the same there.") from error
            raise StepFailed(f"{self.address} refuses to work: {_line(error)}", hint) from error

    def _check(self) -> None:
        """Nodes have CPUs, and this package in this release."""
        if not self.workers:
            raise StepFailed(
                f"The cluster of {self.label} has no CPUs to work on.",
                "Start a node that has some: ray start --address=HEAD:6379",
            )
        ray, nodes = self._ray, [node for node in self._ray.nodes() if node["Alive"]]
        here = socket.gethostname()
        self._near = all(node["NodeManagerHostname"] == here for node in nodes)
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        probe = ray.remote(_probe())
        asked = [
            probe.options(
                num_cpus=0,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
            ).remote()
            for node in nodes
        ]
        try:
            found = ray.get(asked, timeout=START)
        except ray.exceptions.RayError as error:  # the time is over, or a node has just gone
            raise StepFailed(
                f"A node of {self.label} starts no process: {_line(error)}",
                "`ray status` tells how the nodes are.",
            ) from error
        releases.check("Ray", found)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def _close(self) -> None:
        # The nodes are not ours, and stay; tasks are cancelled, and their attempts forgotten.
        with suppress(Exception), _silence():  # also where the cluster is gone
            for reference in list(self._running.values()):
                self._ray.cancel(reference, force=True)
            from ray.experimental import internal_kv

            internal_kv._internal_kv_del(
                self._owner, del_by_prefix=True, namespace=ray_tasks.NAMESPACE
            )
        if self._context is not None:
            with suppress(Exception), _silence():
                self._ray.shutdown()
            self._context = None

    def share(self, value: Any) -> Any:
        """With each task; what is large lies in the cluster's own memory, on its head."""
        content = pickling.dumps(value)
        if len(content) <= SMALL:
            return content
        with _silence():  # Ray warns of large values
            return self._ray.put(content)

    def submit(self, function: Callable[..., Any], shared: Any, *arguments: Any) -> Future[Any]:
        """On whichever CPU is free; of a worker that dies the task is done again."""
        number = str(next(self._numbers)) if self.light else ""
        future: Future[Any] = Future()
        with _silence():
            reference = self._task.remote(self._owner, number, function, shared, *arguments)
        self._running[future] = reference
        reference.future().add_done_callback(partial(self._take, future))
        return future

    def _take(self, future: Future[Any], done: Future[Any]) -> None:
        self._running.pop(future, None)
        error = done.exception()
        if error is None:
            future.set_result(done.result())
        else:
            future.set_exception(self._told(error))

    def _told(self, error: BaseException) -> BaseException:
        """An exception as the task raised it, or in a sentence what became of its worker."""
        from ray import exceptions

        if isinstance(error, exceptions.RayTaskError):
            cause: BaseException = error.cause or error
            return cause
        if isinstance(error, exceptions.RayError):
            return StepFailed(f"Its worker was lost, again and again: {_line(error)}")
        if isinstance(error, ConnectionError):
            return StepFailed(f"The connection to {self.label} was lost.")
        return error

    def recall(self, reason: str) -> None:
        """Heard by light tasks, which look whether they are still wanted."""
        from ray.experimental import internal_kv

        internal_kv._internal_kv_put(
            ray_tasks.recall_key(self._owner), reason, namespace=ray_tasks.NAMESPACE
        )


def _probe() -> Callable[[], str]:
    """Goes by value, so that a node without this package answers as well."""

    def release() -> str:
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("mlops_magics")
        except PackageNotFoundError:
            return ""

    return release


def _refuse_unprotected(address: str) -> None:
    if not address.startswith("ray://"):
        raise WrongUsage(
            f"{address!r} is no address of a Ray client server.",
            f"It is named as {EXAMPLE}; a process that joins a cluster directly is ended with it.",
        )
    host, _ = addresses.host_and_port(address, EXAMPLE)
    if os.environ.get("RAY_USE_TLS", "").lower() not in ("1", "true"):
        hint = "Give the cluster certificates, and set RAY_USE_TLS=1 there and here."
        addresses.refuse_elsewhere(address, host, "a Ray server without TLS", hint)


def _other(text: str) -> str:
    """Ray's table of releases, there and here, as a sentence."""
    found = [line.split(":", 1) for line in text.splitlines() if ":" in line]
    words = [f"{k.strip()} {v.strip()}" for k, v in found if k.strip() in ("Ray", "Python")]
    there, here = " and ".join(words[:2]), " and ".join(words[2:4])
    return f"The cluster has {there}, and this is {here}." if here else _line(text)


def _line(error: object) -> str:
    """The first sentence of what can be a page."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray puts its own handler of SIGTERM in the place of whichever is there."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread() and before is not None:
            signal.signal(signal.SIGTERM, before)


@contextmanager
def _silence() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
