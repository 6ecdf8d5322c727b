"""One at a time, on one machine or on many: who changes the history or an alias of a model.

The embedded store has a lock file beside it. On a server, a registered model of a name that
nobody else uses is the lock: a name can be taken only once, and is free again when it is deleted.
Its owner renews it while at work. One that has not been renewed for the time of a lease, by the
clock of whoever waits, was left behind; it is taken over by renaming it, which only one of several
can do.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode

from mlops_magics import settings
from mlops_magics.errors import StoreUnreachable
from mlops_magics.store import opening, runs

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: What the name of a lock on a server begins with; such models are shown nowhere.
PREFIX = "mlops-lock-"
#: Seconds without a sign of its owner after which a lock counts as left behind, and for which
#: others wait.
LEASE, PATIENCE = 30.0, 120.0


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Hold the lock `name` of the store.

    Raises
    ------
    StoreUnreachable
        If somebody else holds it for two minutes.
    """
    options = settings.load()
    if options.database is None:
        with _on_server(f"{PREFIX}{_plain(name)}"):
            yield
        return
    from filelock import FileLock, Timeout

    opening.connect()  # which makes the folder of a new store
    lock = FileLock(f"{options.database}.{_plain(name)}.lock", timeout=PATIENCE)
    try:
        lock.acquire()
    except Timeout as error:
        raise _held(name) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _on_server(lock: str) -> Iterator[None]:
    client = runs.connect()
    owner = f"Held by {socket.gethostname()}, process {os.getpid()} ({uuid.uuid4().hex[:8]})"
    with runs.reaching("give a lock"):
        _take(client, lock, owner)
    given_back = threading.Event()
    renewing = threading.Thread(
        target=_renew, args=(client, lock, owner, given_back), daemon=True, name=lock
    )
    renewing.start()
    try:
        yield
    finally:
        given_back.set()
        renewing.join()
        with contextlib.suppress(MlflowException):  # the lease ends it if this can't
            if client.get_registered_model(lock).description.startswith(owner):
                client.delete_registered_model(lock)


def _renew(client: MlflowClient, lock: str, owner: str, given_back: threading.Event) -> None:
    beats = 0
    while not given_back.wait(LEASE / 3):
        beats += 1
        with contextlib.suppress(MlflowException):
            if client.get_registered_model(lock).description.startswith(owner):
                client.update_registered_model(lock, f"{owner}, renewed {beats} times")


def _take(client: MlflowClient, lock: str, owner: str) -> None:
    began = time.monotonic()
    sign, since, wait = "", began, 0.02
    while not _created(client, lock, owner):
        now = time.monotonic()
        if (latest := _sign(client, lock)) != sign:
            sign, since = latest, now
        elif now - since > LEASE:
            _clear(client, lock)
        if now - began > PATIENCE:
            raise _held(lock.removeprefix(PREFIX))
        time.sleep(wait)
        wait = min(wait * 1.6, 0.5)


def _created(client: MlflowClient, lock: str, owner: str) -> bool:
    try:
        client.create_registered_model(lock, description=owner)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise
        return False
    return True


def _sign(client: MlflowClient, lock: str) -> str:
    """What the owner has last written; another owner, or the same at work, writes another one."""
    try:
        return str(client.get_registered_model(lock).description)
    except MlflowException:
        return ""  # it was given back


def _clear(client: MlflowClient, lock: str) -> None:
    """Take a lock away that was left behind; of several that try, one succeeds."""
    aside = f"{lock}-{uuid.uuid4().hex}"
    with contextlib.suppress(MlflowException):  # it was given back, or another one took it over
        client.rename_registered_model(lock, aside)
        client.delete_registered_model(aside)


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)


def _held(name: str) -> StoreUnreachable:
    return StoreUnreachable(
        f"Somebody else has been changing {name} for {PATIENCE:.0f} seconds.",
        "Wait until that has ended, and try again.",
    )
