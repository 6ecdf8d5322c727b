"""Reading what a server captured, also while it writes; nothing of the file is copied."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from mlops_magics.errors import BadData

#: The client id of the requests by which a deployment is tested before it is called up.
SMOKE_TEST = "mlops-smoke-test"

#: Names that `features` adds; an input column called so gets ``_input`` behind its name.
_OURS = ("request_id", "prediction")


def read(path: Path, since: datetime | str | None = None) -> pd.DataFrame:
    """One row a request, oldest first.

    Parameters
    ----------
    path : Path
        A deployment's capture file.
    since : datetime or str, optional
        Leave out what came before; without a time zone it is UTC.

    Returns
    -------
    DataFrame
        ``request_id``, ``time`` (UTC), ``status`` (HTTP), ``latency_ms`` (in the server),
        ``client_id``, ``model``, ``rows`` (predicted), ``error``. Smoke tests are left out.

    Raises
    ------
    BadData
        If the file does not exist or is no capture.
    """
    fields = "request_id, time, status, latency_ms, client_id, model, rows, error"
    with _rows(path, fields, since) as rows:
        frame = pd.DataFrame(list(rows), columns=fields.split(", "))
    frame["time"] = pd.to_datetime(frame["time"].astype("int64"), unit="us", utc=True)
    return frame


def features(path: Path, since: datetime | str | None = None) -> pd.DataFrame:
    """One row a predicted row, oldest first: ``request_id``, the inputs, ``prediction``.

    For a request that asked for probabilities the prediction is the most probable class.

    Raises
    ------
    BadData
        If the file does not exist or is no capture.
    """
    table: dict[str, list[Any]] = {name: [] for name in _OURS}
    filled = 0
    with _rows(path, "request_id, inputs, outputs", since, "AND inputs != ''") as rows:
        for request_id, inputs, outputs in rows:
            columns, predictions = json.loads(inputs), json.loads(outputs)
            count = len(predictions)
            ours = zip(_OURS, ([request_id] * count, predictions), strict=True)
            for name, values in [*((_renamed(n), v) for n, v in columns.items()), *ours]:
                column = table.setdefault(name, [])
                column.extend([None] * (filled - len(column)))  # a column that came later
                column.extend(values)
            filled += count
    for column in table.values():
        column.extend([None] * (filled - len(column)))
    last = table.pop("prediction")
    return pd.DataFrame({**table, "prediction": last})


def _renamed(name: str) -> str:
    return f"{name}_input" if name in _OURS else name


@contextmanager
def _rows(
    path: Path, fields: str, since: datetime | str | None, more: str = ""
) -> Iterator[Iterator[tuple[Any, ...]]]:
    if not path.is_file():
        raise BadData(
            f"There is no capture at {path}.",
            "A deployment writes it within a second of its first request.",
        )
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as db:
        try:
            if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                yield iter(())  # the server is just making it
                return
            yield db.execute(
                f"SELECT {fields} FROM requests WHERE time >= ? AND client_id != ? {more} "  # noqa: S608  # our own words
                "ORDER BY time",
                (_microseconds(since), SMOKE_TEST),
            )
        except sqlite3.DatabaseError as error:
            raise BadData(f"{path} can't be read as a capture: {error}.") from error


def _microseconds(since: datetime | str | None) -> int:
    if since is None:
        return 0
    try:
        moment = datetime.fromisoformat(since) if isinstance(since, str) else since
    except ValueError as error:
        raise BadData(f"{since!r} is no time.", "For example 2026-01-31T12:00:00.") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1_000_000)
