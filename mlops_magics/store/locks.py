"""One at a time, on one machine or on many: who changes the history or an alias of a model.

The embedded store has a lock file beside it. On a server, a registered model of a name that
nobody else uses is the lock: a name can be taken only once, and is free again when it is deleted.
One whose owner died is taken over when its lease has run out, by renaming it, which only one of
several can do.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
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
#: Seconds after which a lock counts as left behind, and for which others wait.
LEASE, PATIENCE = 90.0, 120.0


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Hold the lock `name` of the store.

    Raises
    ------
    StoreUnreachable
        If somebody else holds it for two minutes.
    """
    options = settings.load()
    if options.database is not None:
        from filelock import FileLock, Timeout

        opening.connect()  # which makes the folder of a new store
        file = Path(f"{options.database}.{_plain(name)}.lock")
        try:
            with FileLock(file, timeout=PATIENCE):
                yield
        except Timeout as error:
            raise _held(name) from error
        return
    lock = f"{PREFIX}{_plain(name)}"
    client = runs.connect()
    _take(client, lock)
    try:
        yield
    finally:
        with contextlib.suppress(MlflowException):  # the lease ends it if this can't
            client.delete_registered_model(lock)


def _take(client: MlflowClient, lock: str) -> None:
    until = time.monotonic() + PATIENCE
    wait = 0.02
    while not _created(client, lock):
        _clear(client, lock)
        if time.monotonic() > until:
            raise _held(lock.removeprefix(PREFIX))
        time.sleep(wait)
        wait = min(wait * 1.6, 0.5)


def _created(client: MlflowClient, lock: str) -> bool:
    owner = f"{socket.gethostname()} {os.getpid()}"
    try:
        client.create_registered_model(lock, description=f"Held by {owner} for a moment.")
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise
        return False
    return True


def _clear(client: MlflowClient, lock: str) -> None:
    """Take a lock away whose lease has run out; of several that try, one succeeds."""
    try:
        held = client.get_registered_model(lock)
        if time.time() - held.creation_timestamp / 1000 < LEASE:
            return
        aside = f"{lock}-{uuid.uuid4().hex}"
        client.rename_registered_model(lock, aside)
        client.delete_registered_model(aside)
    except MlflowException:
        return  # it was given back, or another one took it over


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)


def _held(name: str) -> StoreUnreachable:
    return StoreUnreachable(
        f"Somebody else has been changing {name} for {PATIENCE:.0f} seconds.",
        "Wait until that has ended, and try again.",
    )
