"""Opening the store: reachable, migrated exactly once, and silent.

A fresh SQLite file that several processes open at once is migrated by all of them and stays
broken. So the first opening happens under a file lock, and starts from a copy of a file that was
migrated before (0.05 s instead of 2 to 10) where there is one for this MLflow release.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import urllib.error
import urllib.request
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from mlops_magics import settings as settings_
from mlops_magics.errors import StoreUnreachable
from mlops_magics.settings import Settings

# Nothing is sent anywhere; and a server that is away is said to be, not retried for minutes.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger("mlops_magics")

#: Seconds that a store is given to answer.
PATIENCE = 5.0


def connect(settings: Settings | None = None) -> MlflowClient:
    """A client of the store that the settings name; the user's own `mlflow` calls go there too.

    Raises
    ------
    StoreUnreachable
        If the store does not answer; says which and what to check.
    """
    import mlflow

    settings = settings or settings_.load()
    if mlflow.get_tracking_uri() != settings.tracking_uri:
        given = os.environ.get("MLFLOW_TRACKING_URI")
        mlflow.set_tracking_uri(settings.tracking_uri)
        # MLflow also writes it into the environment, where it would be taken for the user's own
        # setting, in another folder as well.
        if given is None:
            os.environ.pop("MLFLOW_TRACKING_URI", None)
        else:
            os.environ["MLFLOW_TRACKING_URI"] = given
    return _open(settings.tracking_uri, settings.artifacts)


def check() -> None:
    """Make sure, within seconds, that the store which the settings name is still there.

    Raises
    ------
    StoreUnreachable
        If its server does not answer, or its file is gone or locked.
    """
    options = settings_.load()
    if options.tracking_uri.startswith(("http://", "https://")):
        _ask(options.tracking_uri)
    if (file := options.database) is None:
        return
    if not (file.is_file() and file.stat().st_size):
        # SQLite would begin an empty file in its place.
        raise StoreUnreachable(f"The store's file {file} is gone.", "Put it back.")
    try:
        with closing(sqlite3.connect(file, timeout=PATIENCE)) as connection:
            connection.execute("BEGIN IMMEDIATE").connection.rollback()
    except sqlite3.Error as error:
        raise StoreUnreachable(
            f"The store's file {file} can't be written: {reason_of(error)}.",
            "Another program may hold it.",
        ) from error


def prepare(settings: Settings) -> None:
    """Make the store that the settings name ready, without turning to it.

    Raises
    ------
    StoreUnreachable
        If it can't be opened.
    """
    _open(settings.tracking_uri, settings.artifacts)


@cache
def _open(uri: str, artifacts: str) -> MlflowClient:
    from mlflow import MlflowClient

    for noisy in (
        "alembic",
        "mlflow.store.db.utils",
        "mlflow.store.model_registry.abstract_store",
        "mlflow.tracking._model_registry.client",
    ):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        if uri.startswith("sqlite:///"):
            return _open_sqlite(Path(uri.removeprefix("sqlite:///")), uri, artifacts)
        if uri.startswith(("http://", "https://")):
            _ask(uri)
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)
    except StoreUnreachable:
        raise
    except Exception as error:  # MLflow, SQLAlchemy and the driver each have their own tree
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else repr(error)
        raise StoreUnreachable(
            f"The store {uri} can't be opened: {reason}.",
            "Check tracking_uri in mlops.toml, MLOPS_TRACKING_URI or MLFLOW_TRACKING_URI.",
        ) from error
    return client


def _ask(uri: str) -> None:
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=PATIENCE):  # noqa: S310  # scheme checked by the caller
            pass
    except urllib.error.HTTPError:
        return  # it answers, if only to ask for a password
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise StoreUnreachable(
            f"The MLflow server {uri} does not answer ({reason}).",
            "Is it running? Check tracking_uri in mlops.toml or MLFLOW_TRACKING_URI.",
        ) from error


def _open_sqlite(file: Path, uri: str, artifacts: str) -> MlflowClient:
    import mlflow
    from mlflow import MlflowClient

    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file.with_name(f"{file.name}.lock"), timeout=120)
    template = _cache_folder() / f"store-{mlflow.__version__}.db"
    _commit_without_waiting(file)
    with lock:
        fresh = not file.exists() or file.stat().st_size == 0
        if fresh and template.exists():
            _copy(template, file)
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)  # migrates if need be
        if fresh:
            _prepare(file, artifacts)
            if not template.exists():
                with suppress(OSError):  # only a speed-up for the next store
                    _copy(file, template)
    return client


def _commit_without_waiting(file: Path) -> None:
    """Let a commit to this file not wait for the disk; a step commits a dozen times.

    In WAL mode that is safe against the death of the process, and against damage in any case; a
    power failure may take back the last commits (https://sqlite.org/pragma.html#pragma_synchronous).
    """
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def connected(connection: Any, _: Any) -> None:
        # Other engines of the process are the user's own.
        if isinstance(connection, sqlite3.Connection):
            places = [Path(row[2]) for row in connection.execute("PRAGMA database_list") if row[2]]
            if file in places:
                connection.execute("PRAGMA synchronous=NORMAL")

    event.listen(Engine, "connect", connected)


def _prepare(file: Path, artifacts: str) -> None:
    with closing(sqlite3.connect(file, timeout=30)) as connection, connection:
        # Many writers at once: readers do not block, commits cost a third.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(
            "UPDATE experiments SET artifact_location = ? WHERE experiment_id = 0",
            (f"{artifacts}/0",),
        )


def _copy(source: Path, target: Path) -> None:
    """Copy a database whole, without the rows of anybody's log in between."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(aside)) as new:
            old.backup(new)
        shutil.move(aside, target)
    finally:
        aside.unlink(missing_ok=True)


def _cache_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("mlops_magics"))


def reason_of(error: BaseException) -> str:
    """The first line of what an exception says, for one-sentence messages."""
    text: Any = str(error).strip()
    return text.splitlines()[0][:300] if text else type(error).__name__
