"""Files of more rows than belong into memory: all are counted, a sample is looked at closer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

#: Rows from which a Parquet file is read in parts.
LARGE = 1_000_000
#: Rows of it that a model is asked.
SAMPLE = 100_000


def file(data: Any) -> Path | None:
    """The Parquet file that `data` names, if it is a large one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not isinstance(data, str | Path):
        return None
    found = Path(data).expanduser()
    if found.suffix != ".parquet" or not found.is_file():
        return None
    try:
        return found if pq.read_metadata(found).num_rows > LARGE else None
    except (OSError, pa.ArrowException):
        return None  # whoever reads it whole says what is wrong with it


def sample(found: Path) -> pd.DataFrame:
    """Each n-th row of a file."""
    import numpy as np
    import pandas as pd
    import pyarrow.parquet as pq

    parts, start = [], 0
    with pq.ParquetFile(found, pre_buffer=False) as stored:
        step = -(-stored.metadata.num_rows // SAMPLE)
        for batch in stored.iter_batches(use_threads=False):
            chosen = np.arange(-start % step, batch.num_rows, step)
            parts.append(batch.take(chosen).to_pandas())
            start += batch.num_rows
    frame: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return frame
