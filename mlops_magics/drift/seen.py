"""What came, in one pass: a tally of each column that training had.

A table in memory and batches that are read from a file one after the other are counted alike, so
that data larger than memory gives the figures that it would give in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from mlops_magics.drift import numeric, reading
from mlops_magics.drift.tallies import Categories, Numbers, Others
from mlops_magics.evidence import rows

Profile = Mapping[str, Mapping[str, Any]]
Hashes = np.ndarray[Any, np.dtype[np.uint64]]
Tally = Numbers | Categories | Others

#: So many of the first rows are looked at for copies of each other.
COPIES = 100_000
#: Rows of a file that are read at once.
BATCH = 1 << 14
_ODD = np.uint64(0x9E3779B97F4A7C15)


@dataclass
class Column:
    """A column as it came.

    Attributes
    ----------
    rows, missing : int
    note : str
        What is to be said of its type, in words; empty when it is as it was.
    readable : bool
        Whether it can be read as what it was; else only rows and gaps are counted.
    """

    tally: Tally
    rows: int = 0
    missing: int = 0
    note: str = ""
    readable: bool = True


@dataclass
class Seen:
    """Rows, by column.

    Attributes
    ----------
    columns : dict
        Those of training that came.
    strangers : list of str
        The names of the others.
    hashes : callable
        Gives one hash a row of the first rows; asked only by who wants to know of copies.
    """

    columns: dict[str, Column] = field(default_factory=dict)
    rows: int = 0
    strangers: list[str] = field(default_factory=list)
    hashes: Callable[[], Hashes] = lambda: np.empty(0, dtype=np.uint64)

    @cached_property
    def copies(self) -> int:
        """How many of the first `compared` rows are exact copies of one before."""
        met = self.hashes()
        return len(met) - len(np.unique(met))

    @property
    def compared(self) -> int:
        """How many rows are looked at for that."""
        return min(self.rows, COPIES)


def of(reference: Profile, frame: pd.DataFrame) -> Seen:
    """A table in memory."""
    seen = Seen(rows=len(frame))
    seen.strangers = [str(c) for c in frame.columns if str(c) not in reference]
    for name, values in frame.items():
        if str(name) in reference:
            column = seen.columns[str(name)] = Column(tally(reference[str(name)]))
            _add(column, reference[str(name)], values)
    seen.hashes = lambda: rows.hashes(frame.head(COPIES))
    return seen


def of_batches(reference: Profile, batches: Iterable[pa.RecordBatch]) -> Seen:
    """Batches of Arrow, of which only one is in memory."""
    seen = Seen()
    first: list[Hashes] = []
    for batch in batches:
        if not seen.rows:
            names = batch.schema.names
            seen.strangers = [name for name in names if name not in reference]
            seen.columns = {n: Column(tally(reference[n])) for n in names if n in reference}
        if seen.rows < COPIES:
            first.append(rows.hashes(batch.slice(0, COPIES - seen.rows).to_pandas()))
        seen.rows += batch.num_rows
        for name, column in seen.columns.items():
            _add_arrow(column, reference[name], batch.column(name))
    if first:
        met = np.concatenate(first)
        seen.hashes = lambda: met
    return seen


def of_parquet(reference: Profile, file: Path, *, only: bool = False) -> Seen:
    """A Parquet file, of which a part of one column is in memory.

    Parameters
    ----------
    only : bool
        Whether columns that training did not have are left out.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(file, pre_buffer=False) as stored:
        names = [n for n in stored.schema_arrow.names if n in reference or not only]
        seen = Seen(rows=stored.metadata.num_rows)
        seen.strangers = [name for name in names if name not in reference]
        seen.columns = {n: Column(tally(reference[n])) for n in names if n in reference}
        met = np.zeros(min(seen.rows, COPIES), dtype=np.uint64)
        for name in names:
            start = 0
            for batch in stored.iter_batches(BATCH, columns=[name], use_threads=False):
                if name in reference:
                    _add_arrow(seen.columns[name], reference[name], batch.column(0))
                elif start >= len(met):
                    break
                part = met[start : start + batch.num_rows]
                # Rows are alike if all their columns are, whichever way these are put together.
                part *= _ODD
                if len(part):
                    part ^= rows.hashes(batch.slice(0, len(part)).to_pandas())
                start += batch.num_rows
    seen.hashes = lambda: met
    return seen


def tally(profile: Mapping[str, Any]) -> Tally:
    """An empty one for a column of that profile."""
    kind = str(profile["type"])
    if kind in ("integer", "number"):
        return Numbers(numeric.knots(profile))
    return Categories() if kind in ("string", "boolean") else Others()


def _add(column: Column, profile: Mapping[str, Any], values: pd.Series) -> None:
    column.rows += len(values)
    column.missing += int(values.isna().sum())
    if not column.readable:
        return
    read = reading.read(profile, values)
    column.note = column.note or read.note
    if read.values is None:
        column.readable, column.note = False, read.note
    elif isinstance(column.tally, Numbers):
        column.tally.add(read.values.to_numpy(dtype=float))
    else:
        column.tally.add(read.values)


def _add_arrow(column: Column, profile: Mapping[str, Any], values: pa.Array) -> None:
    """The same, without a way through Python's objects where the type is as it was."""
    kind, counted = values.type, column.tally
    if isinstance(counted, Numbers) and (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
        column.rows += len(numbers)
        column.missing += int(np.isnan(numbers).sum())
        counted.add(numbers)
        return
    text = kind.value_type if pa.types.is_dictionary(kind) else kind
    wanted = pa.types.is_boolean if profile["type"] == "boolean" else _is_text
    if isinstance(counted, Categories) and wanted(text):
        found = values.value_counts()
        names, counts = found.field(0).to_pylist(), found.field(1).to_pylist()
        by_name = {n: c for n, c in zip(names, counts, strict=True) if n is not None}
        column.rows += len(values)
        column.missing += values.null_count
        counted.add_counts(by_name, len(values))
        return
    _add(column, profile, values.to_pandas())


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
