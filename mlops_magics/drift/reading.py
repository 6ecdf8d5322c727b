"""A current column, read as the type that it had in training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mlops_magics.evidence import columns

_NUMBERS = ("integer", "number")
_CALLED = {
    "integer": "whole numbers",
    "number": "numbers",
    "string": "text",
    "boolean": "true and false",
    "datetime": "times",
    "object": "mixed values",
}


@dataclass(frozen=True)
class Reading:
    """What came of it.

    Attributes
    ----------
    values : Series or None
        ``None`` where the type has changed beyond reading.
    note : str
        What is to be said of the type, in words; empty when it is as it was.
    """

    values: pd.Series | None
    note: str = ""


def read(profile: Mapping[str, Any], values: pd.Series) -> Reading:
    """Read a column as its profile's type: text that holds numbers as numbers, and the like."""
    was, now = str(profile["type"]), columns.type_of(values)
    if now == was or (was in _NUMBERS and now in _NUMBERS) or not values.notna().any():
        return Reading(_floats(values) if was in _NUMBERS else values)
    said = f"holds {_CALLED[now]}, and held {_CALLED[was]} in training"
    read = _convert(was, profile, values)
    if read is None:
        return Reading(None, f"{said}.")
    return Reading(read, f"{said}; what it holds can be read as such.")


def _convert(was: str, profile: Mapping[str, Any], values: pd.Series) -> pd.Series | None:
    given = values.notna()
    if was in _NUMBERS:
        # A true or false is no amount, though pandas would make it 1 or 0.
        if columns.type_of(values) not in ("string", "object"):
            return None
        numbers = pd.to_numeric(values.astype(object), errors="coerce")
        return _floats(numbers) if (numbers.notna() == given).all() else None
    if was == "string":
        text = values.where(~given, values.astype(str)).astype(object).where(given, None)
        known = text[given].isin(list(profile["categories"])).mean()
        return text if known >= 0.5 else None
    if was == "boolean":
        truth = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}
        read = values[given].map(lambda v: truth.get(str(v).lower()))
        return read.reindex(values.index) if read.notna().all() else None
    if was == "datetime":
        try:
            return columns.times(values)
        except (ValueError, TypeError):
            return None
    return values


def _floats(values: pd.Series) -> pd.Series:
    if columns.type_of(values) in _NUMBERS:
        return pd.Series(columns.numbers(values), index=values.index)
    return pd.Series(np.full(len(values), np.nan), index=values.index)  # nothing but gaps
