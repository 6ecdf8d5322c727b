"""Columns by name, as numpy has them: what a request for a model with named columns becomes.

A table needs no pandas, so that a server whose model is a graph does without. A model of Python
takes a DataFrame, which `framed` makes when it is its turn: one for all requests that are asked
together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of equal length.

    Attributes
    ----------
    arrays : mapping
        Name → array; text, and whatever has no type of numpy's, as objects, missing as ``None``.
    types : mapping
        Name → the signature's type.
    """

    arrays: Mapping[Any, np.ndarray]
    types: Mapping[Any, str]
    rows: int

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, rows: slice) -> Table:
        """Some of the rows."""
        cut = {name: array[rows] for name, array in self.arrays.items()}
        return Table(cut, self.types, len(range(*rows.indices(self.rows))))

    @property
    def kind(self) -> tuple[Any, ...]:
        """Equal for tables that can be joined."""
        return tuple((name, array.dtype) for name, array in self.arrays.items())

    def missing(self, name: Any) -> np.ndarray:
        """Where a column has no value."""
        array = self.arrays[name]
        if array.dtype.kind == "O":
            return np.array([value is None for value in array], dtype=bool)
        if array.dtype.kind == "M":
            return np.asarray(np.isnat(array))
        gaps = np.isnan(array) if array.dtype.kind == "f" else np.zeros(self.rows, dtype=bool)
        return np.asarray(gaps)

    def lists(self) -> dict[str, list[Any]]:
        """Plain values by column, ``None`` where there is none."""
        found = {}
        for name, array in self.arrays.items():
            values = array.tolist() if array.dtype.kind != "M" else array.astype(str).tolist()
            gaps = np.flatnonzero(self.missing(name)) if array.dtype.kind in "fM" else ()
            for at in gaps:
                values[at] = None
            found[str(name)] = values
        return found


def joined(tables: Sequence[Table]) -> Table:
    """Tables of one kind, one under the other."""
    first = tables[0]
    arrays = {n: np.concatenate([table.arrays[n] for table in tables]) for n in first.arrays}
    return Table(arrays, first.types, sum(table.rows for table in tables))


def framed(data: Any) -> Any:
    """A table as a DataFrame; anything else as it is."""
    if not isinstance(data, Table):
        return data
    import pandas as pd

    columns = {n: _column(array, data.types[n]) for n, array in data.arrays.items()}
    return pd.DataFrame(columns, copy=False)


def _column(array: np.ndarray, kind: str) -> Any:
    if kind != "string":
        return array
    import pandas as pd

    # What pandas itself makes of text: its own type since 3.0, objects before.
    native: Any = pd.Series(["text"]).dtype
    if isinstance(native, pd.StringDtype):
        return pd.array(array, dtype=native)
    return np.array([np.nan if value is None else value for value in array], dtype=object)


def listed(frame: pd.DataFrame) -> dict[str, list[Any]]:
    """A DataFrame's plain values by column, ``None`` where there is none."""
    known = frame.astype(object).where(frame.notna(), None)
    return {str(name): known[name].tolist() for name in known}


def objects(values: Sequence[Any]) -> np.ndarray:
    """Values as they are, one an element, whatever they hold."""
    return np.array([*values, None], dtype=object)[:-1]
