"""Whole rows, told apart by a hash."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mlops_magics.evidence import columns


def hashes(frame: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """One hash a row, equal for equal values in the same order of columns.

    Numbers count by their value, whatever type holds them, and text by its letters: rows from a
    file and rows from memory compare.
    """
    plain = {i: _plain(frame.iloc[:, i]) for i in range(frame.shape[1])}
    hashed = pd.util.hash_pandas_object(pd.DataFrame(plain), index=False)
    return np.asarray(hashed, dtype=np.uint64)


def _plain(values: pd.Series) -> Any:
    type = columns.type_of(values)
    if type in ("integer", "number", "boolean"):
        return columns.numbers(values) + 0.0  # -0.0 is 0.0
    if type == "datetime":
        return columns.times(values).to_numpy()
    if type == "object":
        # What has no hash is told apart by what it holds.
        return [repr(v) for v in values]
    return values.astype(object).where(values.notna(), None).to_numpy()
