"""Journals that are full → Parquet, by a process of its own and of the lowest priority.

Where pyarrow is not installed (a server has no other use for it) journals stay as they are, and
whoever reads them from the project's side compacts them then. Written aside, renamed when it is
whole and on the disk, and only then is the journal removed: killed at any moment, nothing is lost,
and a reader takes the Parquet where both are.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from mlops_magics.serving import capture_folder as folders
from mlops_magics.serving import capture_inputs as inputs
from mlops_magics.serving import capture_journal as journal

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger("mlops_magics.serving")

#: Requests, and bytes of their inputs, in a row group: what is in memory at a time, and what a
#: reader can leave out.
GROUP = 20_000
GROUP_BYTES = 32 << 20
#: Seconds after which a journal that nobody writes is full, whatever its size.
FORGOTTEN = 86_400.0
#: Of a Parquet file, in its metadata: the columns that are masked in it, as JSON.
MASKED = b"mlops.masked"
#: Columns whose values come again and again.
_REPEATED = ["model", "client_id", "error", "outputs", "status", "rows"]


class Compaction:
    """The process that compacts a folder, while there is something to compact."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin, unless it is at work, or nothing is to do, or pyarrow is not installed."""
        if self._process is not None and self._process.poll() is None:
            return
        if find_spec("pyarrow") is None or not any(due(self.place)):
            return
        paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(self.place)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def stop(self) -> None:
        """End it; what it was at is done again by the next one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def due(place: Path) -> Iterator[Path]:
    """The journals that are full, or that nobody has written for a day."""
    for file in folders.journals(place):
        with contextlib.suppress(OSError), file.open("rb") as stream:
            if journal.ends(stream) or time.time() - file.stat().st_mtime > FORGOTTEN:
                yield file


def compact(place: Path) -> int:
    """Compact what is full and nobody else is at; how many journals."""
    done = 0
    for file in due(place):
        with folders.locked(file) as stream:
            if stream is not None:
                target = file.with_suffix(folders.PARQUET)
                if not target.exists():  # else killed after that: only the journal is left to go
                    _write(stream, target)
                file.unlink(missing_ok=True)
                done += 1
    return done


def schema() -> pa.Schema:
    """The columns of the Parquet files; `inputs` and `outputs` are JSON.

    A row whose ``left_out`` is not 0 is no request: it counts so many that the sample left out,
    and the rows in them.
    """
    import pyarrow as pa

    return pa.schema(
        [
            ("time", pa.timestamp("us", tz="UTC")),
            ("latency_ms", pa.float64()),
            ("status", pa.int16()),
            ("rows", pa.int64()),
            ("left_out", pa.int64()),
            ("model", pa.string()),
            *((name, pa.string()) for name in ("request_id", "client_id", "client_key", "error")),
            ("outputs", pa.string()),
            ("inputs", pa.string()),
        ]
    )


def _write(stream: BinaryIO, target: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    aside = target.with_name(f"{target.name}.new")
    masked: set[str] = set()
    with pq.ParquetWriter(
        aside, schema(), compression="zstd", compression_level=6, use_dictionary=_REPEATED
    ) as writer:
        rows: list[dict[str, Any]] = []
        size = 0
        for row in _rows(stream, masked):
            rows.append(row)
            size += len(row.get("inputs", ""))
            if len(rows) == GROUP or size > GROUP_BYTES:
                writer.write_table(pa.Table.from_pylist(rows, schema()))
                rows, size = [], 0
        writer.write_table(pa.Table.from_pylist(rows, schema()))
        writer.add_key_value_metadata({MASKED: json.dumps(sorted(masked)).encode()})
    with aside.open("rb") as written:
        os.fsync(written.fileno())
    aside.rename(target)
    directory = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _rows(stream: BinaryIO, masked: set[str]) -> Iterator[dict[str, Any]]:
    """All that a journal holds; the masked columns are added to `masked`."""
    facts: dict[str, Any] = {}
    for frame in journal.frames(stream):
        if frame.kind == journal.HEADER:
            facts = json.loads(frame.content)
            masked.update(facts["masked"])
        elif frame.kind == journal.LEFT:
            rows = journal.left_rows(frame.content)
            yield {"time": frame.newest, "left_out": frame.requests, "rows": rows}
        elif frame.kind == journal.REQUESTS:
            for kept in journal.requests(frame.content):
                yield {
                    **kept._asdict(),
                    "left_out": 0,
                    "model": facts["model"],
                    "outputs": kept.outputs.decode(),
                    "inputs": inputs.text(kept, facts["names"]),
                }


def main() -> int:
    """Compact the folder that is named."""
    os.nice(19)
    compact(Path(sys.argv[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
