"""A task on a Ray worker: its attempts are kept by the cluster's head, which outlives workers."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from mlops_magics.engines import pickling, tasks
from mlops_magics.engines.watching import WatchedTask

#: Where the head keeps what belongs to us among its keys and values.
NAMESPACE = "mlops_magics"


class RayTask(WatchedTask):
    """The task that this worker does.

    Parameters
    ----------
    owner, number : str
        Who sent it, and which of its tasks it is.
    """

    def __init__(self, owner: str, number: str) -> None:
        import ray
        from ray.experimental import internal_kv

        self._kv, self._owner = internal_kv, owner
        key = f"{owner}/{number}"
        # A task is only begun again when the worker of the attempt before is lost, so nobody else
        # writes here. The engine forgets it all when it is left.
        before = json.loads(internal_kv._internal_kv_get(key, namespace=NAMESPACE) or b"[]")
        attempts = self._begin(f"{ray.util.get_node_ip_address()} pid {os.getpid()}", before)
        internal_kv._internal_kv_put(key, json.dumps(attempts), namespace=NAMESPACE)

    def _unwanted(self) -> str:
        from ray.exceptions import RayError

        # If who sent it has gone, Ray ends this very process, and its kernel with it.
        with suppress(RayError, OSError):
            reason = self._kv._internal_kv_get(recall_key(self._owner), namespace=NAMESPACE)
            return (reason or b"").decode()
        return ""


def recall_key(owner: str) -> str:
    """Under which the reason stands for which an engine's tasks are recalled."""
    return f"{owner}/recall"


def run(owner: str, number: str, function: Callable[..., Any], content: bytes, *rest: Any) -> Any:
    """What a worker does; `number` is empty for a task whose attempts need not be told apart."""
    value = pickling.loads(content)
    if not number:
        return function(value, *rest)

    def attempt() -> None:
        try:
            with tasks.running(RayTask(owner, number)):
                done.set_result(function(value, *rest))
        except BaseException as error:
            done.set_exception(error)

    # Beside the main thread, which hears the signals by which the cluster ends this process:
    # they are none that ask a notebook to stop, for it is to be run again elsewhere.
    done: Future[Any] = Future()
    threading.Thread(target=attempt, name="mlops-task", daemon=True).start()
    return done.result()
