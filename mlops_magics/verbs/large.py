"""Files of more rows than belong into memory: all are counted, a sample is looked at closer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics import drift

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mlops_magics.drift.seen import Seen

#: Rows from which a Parquet or Feather file is read in parts.
LARGE = 1_000_000
#: Rows of it that a model is asked.
SAMPLE = 100_000

_PARQUET, _FEATHER = (".parquet", ".pq"), (".feather", ".arrow")


def file(data: Any) -> Path | None:
    """The Parquet or Feather file that `data` names, if it is a large one."""
    import pyarrow as pa

    if not isinstance(data, str | Path):
        return None
    found = Path(data).expanduser()
    if found.suffix not in (*_PARQUET, *_FEATHER) or not found.is_file():
        return None
    try:
        return found if _rows(found) > LARGE else None
    except (OSError, pa.ArrowException):
        return None  # whoever reads it whole says what is wrong with it


def count(found: Path, profile: Mapping[str, Mapping[str, Any]]) -> Seen:
    """All its rows, of which a part at a time is in memory; other columns are left out."""
    if found.suffix in _PARQUET:
        return drift.seen.of_parquet(profile, found, only=True)
    known = [name for name in _dataset(found).schema.names if name in profile]
    return drift.seen.of_batches(profile, _batches(found, known))


def sample(found: Path) -> pd.DataFrame:
    """Each n-th row of a file."""
    import numpy as np
    import pandas as pd

    parts, start = [], 0
    step = -(-_rows(found) // SAMPLE)
    for batch in _batches(found, None):
        chosen = np.arange(-start % step, batch.num_rows, step)
        parts.append(batch.take(chosen).to_pandas())
        start += batch.num_rows
    frame: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return frame


def _rows(found: Path) -> int:
    import pyarrow.parquet as pq

    if found.suffix in _PARQUET:
        return int(pq.read_metadata(found).num_rows)
    return int(_dataset(found).count_rows())


def _batches(found: Path, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
    """One after the other, as they stand in the file."""
    import pyarrow.parquet as pq

    if found.suffix in _PARQUET:
        with pq.ParquetFile(found, pre_buffer=False) as stored:
            yield from stored.iter_batches(columns=columns, use_threads=False)
        return
    # Without threads or reading ahead, so that no second part is in memory.
    yield from _dataset(found).to_batches(
        columns=columns, use_threads=False, batch_readahead=0, fragment_readahead=0
    )


def _dataset(found: Path) -> Any:
    import pyarrow.dataset

    return pyarrow.dataset.dataset(found, format="feather")
