"""The fingerprint of data, and its schema.

The fingerprint is a SHA-256 over every value of every column, in order, in the values'
`canonical` form. It is the same for equal data whether it comes from CSV, Parquet or memory,
and in whatever chunks, as long as the values are the same: a column of ``1, 2`` and one of
``1.0, 2.0`` are not. Containers (object, category, Arrow or numpy), widths of integers and how
a missing value is written do not count; names and order of columns and rows do. The index
counts when it is named or does not hold integers.

Each column is hashed as four streams: one byte of *kind* a row, the eight bytes of numbers and
times, the bytes of text, and the lengths that tell the texts apart. Values are read through
Arrow's buffers in blocks of rows, so that memory stays small and no Python object is made for
a number or a text. The digest covers no block boundary, which makes it independent of chunks.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pyarrow as pa

from mlops_magics.errors import BadData
from mlops_magics.evidence import canonical
from mlops_magics.evidence.columns import distinct, type_of
from mlops_magics.evidence.streams import Streams, streams
from mlops_magics.records import Column

#: Rows read at a time: a block of numbers stays in the processor's cache.
BLOCK = 1 << 16

#: Leads every digest, so that a later form can never be mistaken for this one.
_FORM = b"mlops-fingerprint-1\0"


def fingerprint(frame: pd.DataFrame) -> str:
    """``sha256:…`` over every value of `frame`.

    Raises
    ------
    BadData
        If a column holds objects that have no canonical form; says which and what to do.
    """
    whole = Fingerprint()
    whole.update(frame)
    return whole.hexdigest()


def schema(frame: pd.DataFrame) -> tuple[Column, ...]:
    """The columns of `frame`: name, type, missing and distinct values."""
    return tuple(
        Column(
            name=str(name),
            type=type_of(values),
            missing=int(values.isna().sum()),
            distinct=distinct(values),
        )
        for name, values in frame.items()
    )


class Fingerprint:
    """A fingerprint built from one chunk of rows after the other."""

    def __init__(self) -> None:
        self._rows = 0
        self._names: bytes | None = None
        self._columns: list[_ColumnHash] = []

    def update(self, chunk: pd.DataFrame) -> None:
        """Add rows.

        Raises
        ------
        BadData
            If the columns are not those of the first chunk, or a value has no canonical form.
        """
        columns = list(_columns(chunk))
        names = b"".join(role + canonical.framed(label) for role, label, _ in columns)
        if self._names is None:
            self._names = names
            self._columns = [_ColumnHash() for _ in columns]
        elif names != self._names:
            raise BadData("The chunks of one dataset must have the same columns in the same order.")
        for (_, label, values), hashed in zip(columns, self._columns, strict=True):
            try:
                for start in range(0, len(chunk), BLOCK):
                    hashed.update(streams(values.iloc[start : start + BLOCK]))
            except (TypeError, OverflowError, pa.ArrowInvalid) as error:
                raise BadData(
                    f"Column {label!r} can't be fingerprinted: it holds {error}.",
                    "Turn its values into text, numbers or dates, or leave the column out.",
                ) from error
        self._rows += len(chunk)

    def hexdigest(self) -> str:
        """``sha256:…`` of all rows so far."""
        root = hashlib.sha256(_FORM + struct.pack("<qq", self._rows, len(self._columns)))
        root.update(self._names or b"")
        for column in self._columns:
            root.update(column.digest())
        return f"sha256:{root.hexdigest()}"


class _ColumnHash:
    """The state of one column."""

    def __init__(self) -> None:
        self._streams = tuple(hashlib.sha256() for _ in range(4))

    def update(self, parts: Streams) -> None:
        for hashed, part in zip(self._streams, parts, strict=True):
            hashed.update(part)

    def digest(self) -> bytes:
        return b"".join(hashed.digest() for hashed in self._streams)


def _columns(frame: pd.DataFrame) -> Iterator[tuple[bytes, Any, pd.Series]]:
    """Role, label and values of everything in `frame` that counts."""
    index = frame.index
    if any(n is not None for n in index.names) or not pd.api.types.is_integer_dtype(index.dtype):
        for level, name in enumerate(index.names):
            yield b"x", name, index.get_level_values(level).to_series()
    for position, label in enumerate(frame.columns):  # by position: a label may stand twice
        yield b"c", label, frame.iloc[:, position]
