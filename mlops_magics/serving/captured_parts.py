"""The files of a capture, whatever their form, as requests one after the other."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from mlops_magics.errors import BadData
from mlops_magics.serving import capture_compaction, capture_folder, capture_inputs
from mlops_magics.serving import capture_journal as journal
from mlops_magics.serving.capture_rules import SMOKE_TEST

#: Seconds to wait for a server of a former version that holds its file.
PATIENCE = 5.0


class Request(NamedTuple):
    """A request that was captured.

    `columns` (by name) and `outputs` (one a row) are ``None`` where nothing was predicted, or where
    nobody asked for them.
    """

    request_id: str
    time: int
    status: int
    latency_ms: float
    client_id: str
    client_key: str
    model: str
    rows: int
    error: str
    columns: dict[str, list[Any]] | None
    outputs: Any | None


class Scan:
    """One look at all that was captured since a time.

    Parameters
    ----------
    since : int
        Microseconds since the epoch.
    inputs : bool
        Whether inputs and outputs are wanted too.

    Attributes
    ----------
    masked : set of str
        Columns that were masked in any of what was seen.
    left_out, left_rows : int
        Requests that the sample left out, and the rows in them.
    damaged : list of (str, int)
        Files of which a part can't be read, and of how many bytes.
    """

    def __init__(self, path: Path, since: int, *, inputs: bool) -> None:
        self.path = path
        self.since = since
        self.inputs = inputs
        self.masked: set[str] = set()
        self.left_out = 0
        self.left_rows = 0
        self.damaged: list[tuple[str, int]] = []

    def requests(self) -> Iterator[Request]:
        """All of them but smoke tests, file by file.

        Raises
        ------
        BadData
            If there is no capture, or a file of it is none.
        """
        if not capture_folder.exists(self.path):
            raise BadData(
                f"There is no capture at {self.path}.",
                "A deployment writes it within a second of its first request.",
            )
        for request in self._all():
            if request.time >= self.since and request.client_id != SMOKE_TEST:
                yield request

    def _all(self) -> Iterator[Request]:
        if (former := capture_folder.former(self.path)) is not None:
            yield from self._former(former)
        place = capture_folder.folder(self.path)
        if place.is_dir():
            try:
                with capture_folder.opened(place) as files:
                    for file, stream in files:
                        compacted = file.suffix == capture_folder.PARQUET
                        yield from (self._parquet if compacted else self._journal)(stream)
            except OSError as error:
                raise BadData(f"The capture in {place} can't be read: {error}.") from error

    def _journal(self, stream: BinaryIO) -> Iterator[Request]:
        facts: dict[str, Any] = {"model": "", "names": [], "masked": []}
        kinds = (journal.REQUESTS, journal.LEFT)
        for frame in journal.frames(stream, kinds, self.since, self.damaged):
            if frame.kind == journal.HEADER:
                facts = json.loads(frame.content)
                continue
            self.masked.update(facts["masked"])
            if frame.kind == journal.LEFT:
                self.left_out += frame.requests
                self.left_rows += journal.left_rows(frame.content)
                continue
            for kept in journal.requests(frame.content):
                wanted = self.inputs and kept.form != journal.NOTHING and kept.time >= self.since
                yield Request(
                    kept.request_id,
                    kept.time,
                    kept.status,
                    kept.latency_ms,
                    kept.client_id,
                    kept.client_key,
                    facts["model"],
                    kept.rows,
                    kept.error,
                    capture_inputs.of(kept, facts["names"]) if wanted else None,
                    json.loads(kept.outputs) if wanted else None,
                )

    def _parquet(self, stream: BinaryIO) -> Iterator[Request]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            file = pq.ParquetFile(stream)
            masked = json.loads(file.metadata.metadata[capture_compaction.MASKED])
            at = file.schema_arrow.get_field_index("time")
            wanted = list(Request._fields[: None if self.inputs else -2])
            names = [{"columns": "inputs"}.get(name, name) for name in [*wanted, "left_out"]]
            for number in range(file.num_row_groups):
                statistics = file.metadata.row_group(number).column(at).statistics
                if statistics is not None and statistics.has_min_max:
                    newest = statistics.max_raw if isinstance(statistics.max_raw, int) else None
                    if newest is not None and newest < self.since:
                        continue
                table = file.read_row_group(number, columns=names)
                times = table.column("time").cast(pa.int64())
                table = table.set_column(table.column_names.index("time"), "time", times)
                if len(table):
                    self.masked.update(masked)
                values = [table.column(name).to_pylist() for name in names]
                for *facts, left in zip(*values, strict=True):
                    if left:
                        self._leave(facts[1], left, facts[7])
                    else:
                        yield self._of_parquet(facts)
        except (pa.ArrowException, KeyError, ValueError) as error:
            raise BadData(f"{stream.name} can't be read as a capture: {error}.") from error

    def _of_parquet(self, facts: list[Any]) -> Request:
        if not self.inputs:
            return Request._make((*facts, None, None))
        *facts, inputs, outputs = facts
        if not inputs or facts[1] < self.since:
            return Request._make((*facts, None, None))
        return Request._make((*facts, json.loads(inputs), json.loads(outputs)))

    def _leave(self, time: int, requests: int, rows: int) -> None:
        if time >= self.since:
            self.left_out += requests
            self.left_rows += rows

    def _former(self, file: Path) -> Iterator[Request]:
        """What a server of a former version wrote, which may write still."""
        fields = "request_id, time, status, latency_ms, client_id, '', model, rows, error"
        fields += ", inputs, outputs" if self.inputs else ", '', ''"
        place = f"{file.absolute().as_uri()}?mode=ro"
        try:
            with closing(sqlite3.connect(place, uri=True, timeout=PATIENCE)) as database:
                if not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    return  # the server is just making it
                asked = f"SELECT {fields} FROM requests WHERE time >= ? ORDER BY time"  # noqa: S608  # our own words
                for *facts, inputs, outputs in database.execute(asked, (self.since,)):
                    known = (json.loads(inputs), json.loads(outputs)) if inputs else (None, None)
                    yield Request._make((*facts, *known))
        except (sqlite3.DatabaseError, ValueError) as error:
            raise BadData(f"{file} can't be read as a capture: {error}.") from error
