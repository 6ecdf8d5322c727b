"""Reading what a server captured, also while it writes; nothing of it is copied."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlops_magics.errors import BadData
from mlops_magics.serving import capture_compaction
from mlops_magics.serving.capture_folder import exists, folder
from mlops_magics.serving.capture_rules import SMOKE_TEST
from mlops_magics.serving.captured_parts import Request, Scan

__all__ = ["OURS", "SMOKE_TEST", "Seen", "compact", "exists", "features", "look", "read"]

#: Columns that `features` adds; an input column called so gets ``_input`` behind its name.
OURS = ("request_id", "request_row", "client_key", "prediction")
_FIELDS = Request._fields[:-2]


@dataclass(frozen=True)
class Seen:
    """All that was captured since a time.

    Attributes
    ----------
    requests, rows : DataFrame
        As `read` and `features` give them.
    left_out, left_rows : int
        Requests, and rows in them, that were answered and not kept, as `capture_sample` has it.
    masked : tuple of str
        Columns whose values were not kept.
    damaged : tuple of (str, int)
        Files of which a part can't be read, and of how many bytes.
    """

    requests: pd.DataFrame
    rows: pd.DataFrame
    left_out: int
    left_rows: int
    masked: tuple[str, ...]
    damaged: tuple[tuple[str, int], ...] = ()


def look(path: Path, since: datetime | str | None = None) -> Seen:
    """Requests and predicted rows of one moment.

    Raises
    ------
    BadData
        If there is no capture, or it can't be read.
    """
    scan = Scan(path, _microseconds(since), inputs=True)
    requests, rows = [], _Rows()
    for request in scan.requests():
        requests.append(request[:-2])
        rows.add(request)
    masked = tuple(sorted(scan.masked))
    damaged = tuple(scan.damaged)
    return Seen(_requests(requests), rows.frame(), scan.left_out, scan.left_rows, masked, damaged)


def read(path: Path, since: datetime | str | None = None) -> pd.DataFrame:
    """One row a request, oldest first.

    Parameters
    ----------
    path : Path
        A deployment's capture.
    since : datetime or str, optional
        Leave out what came before; without a time zone it is UTC.

    Returns
    -------
    DataFrame
        ``request_id``, ``time`` (UTC), ``status`` (HTTP), ``latency_ms`` (in the server),
        ``client_id``, ``client_key``, ``model``, ``rows`` (predicted), ``error``. Smoke tests are
        left out.

    Raises
    ------
    BadData
        If there is no capture, or it can't be read.
    """
    scan = Scan(path, _microseconds(since), inputs=False)
    return _requests([request[:-2] for request in scan.requests()])


def features(path: Path, since: datetime | str | None = None) -> pd.DataFrame:
    """One row a predicted row, oldest first, with the inputs by name between `OURS`.

    ``request_row`` is the row's place in its request, from 0. For a request that asked for
    probabilities the prediction is the most probable class.

    Raises
    ------
    BadData
        If there is no capture, or it can't be read.
    """
    return look(path, since).rows


def compact(path: Path) -> int:
    """Compact what is full and was not compacted by its server; how many files.

    Whoever reads does this after it: a server without pyarrow can't.
    """
    place = folder(path)
    return capture_compaction.compact(place) if place.is_dir() else 0


def _requests(found: list[tuple[Any, ...]]) -> pd.DataFrame:
    frame = pd.DataFrame(found, columns=list(_FIELDS))
    times = frame["time"].astype("int64")
    frame["time"] = pd.to_datetime(times, unit="us", utc=True)
    return _in_order(frame, times.to_numpy())


class _Rows:
    """Predicted rows by column, filled request by request: a dictionary each would be too much."""

    def __init__(self) -> None:
        self.table: dict[str, list[Any]] = {}
        self.ours: dict[str, list[Any]] = {name: [] for name in OURS}
        self.times: list[int] = []

    def add(self, request: Request) -> None:
        """Add what was predicted for a request."""
        if request.columns is None or request.outputs is None:
            return
        filled, said = len(self.times), request.outputs
        count = len(next(iter(request.columns.values()), said))
        if not isinstance(said, list) or len(said) != count:
            said = [None] * count  # a model that does not answer row by row
        for name, values in request.columns.items():
            column = self.table.setdefault(f"{name}_input" if name in OURS else name, [])
            column.extend([None] * (filled - len(column)))  # a column that came later
            column.extend(values)
        self.ours["request_id"] += [request.request_id] * count
        self.ours["request_row"] += range(count)
        self.ours["client_key"] += [request.client_key] * count
        self.ours["prediction"] += said
        self.times += [request.time] * count

    def frame(self) -> pd.DataFrame:
        """All rows."""
        for column in self.table.values():
            column.extend([None] * (len(self.times) - len(column)))
        *first, last = OURS
        columns = {name: self.ours[name] for name in first} | self.table | {last: self.ours[last]}
        return _in_order(pd.DataFrame(columns), np.array(self.times, dtype=np.int64))


def _in_order(frame: pd.DataFrame, times: np.ndarray) -> pd.DataFrame:
    if (np.diff(times) >= 0).all():
        return frame
    return frame.iloc[np.argsort(times, kind="stable")].reset_index(drop=True)


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
