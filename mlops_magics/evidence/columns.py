"""What a column holds: its type in our words, its distinct values, its numbers and its times."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.api.types import (
    infer_dtype,
    is_bool_dtype,
    is_float_dtype,
    is_integer_dtype,
    is_object_dtype,
)

from mlops_magics.evidence import canonical

# What pandas infers of a column of objects → our word.
_INFERRED = {
    "string": "string",
    "boolean": "boolean",
    "integer": "integer",
    "floating": "number",
    "mixed-integer-float": "number",
    "decimal": "number",
    "datetime": "datetime",
    "datetime64": "datetime",
    "date": "datetime",
}


def type_of(values: pd.Series) -> str:
    """``integer``, ``number``, ``boolean``, ``string``, ``datetime`` or ``object``.

    A category has the type of its categories. What is none of the others is an ``object``:
    mixed values, lists, spans of time, a column of objects that are all missing.
    """
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return type_of(dtype.categories.to_series())
    if isinstance(dtype, pd.SparseDtype):
        dtype = dtype.subtype
    if isinstance(dtype, pd.ArrowDtype):
        return _of_arrow(dtype.pyarrow_dtype)
    if isinstance(dtype, pd.StringDtype):
        return "string"
    if is_object_dtype(dtype):
        return _INFERRED.get(infer_dtype(values, skipna=True), "object")
    if is_bool_dtype(dtype):
        return "boolean"
    if is_integer_dtype(dtype):
        return "integer"
    if is_float_dtype(dtype):
        return "number"
    return "datetime" if pd.api.types.is_datetime64_any_dtype(dtype) else "object"


def _of_arrow(type: pa.DataType) -> str:
    if pa.types.is_dictionary(type):
        type = type.value_type
    tests = {
        "boolean": pa.types.is_boolean,
        "integer": pa.types.is_integer,
        "number": lambda t: pa.types.is_floating(t) or pa.types.is_decimal(t),
        "string": lambda t: pa.types.is_string(t) or pa.types.is_large_string(t),
        "datetime": lambda t: pa.types.is_timestamp(t) or pa.types.is_date(t),
    }
    return next((word for word, test in tests.items() if test(type)), "object")


def distinct(values: pd.Series) -> int:
    """How many different values there are, missing ones apart."""
    try:
        return int(values.nunique())
    except TypeError:  # lists, mappings: what has no hash
        encoded = {canonical.encode(v) for v in values}
        return len({e for e in encoded if e[0] != canonical.MISSING})


def numbers(values: pd.Series) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A column of integers, numbers or booleans as floats, missing ones as NaN."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype if values.notna().all() else object)
    if isinstance(values.dtype, pd.SparseDtype):
        values = values.astype(values.dtype.subtype)
    return values.to_numpy(dtype=np.float64, na_value=np.nan)


def times(values: pd.Series) -> pd.Series:
    """A column of datetimes, dates or ISO 8601 text as instants in UTC, missing ones as NaT.

    Raises
    ------
    ValueError
        If a text is not a date.
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    return pd.to_datetime(values, utc=True, format=_format(values))


def _format(values: pd.Series) -> str | None:
    return "ISO8601" if type_of(values) == "string" else None


def codes(values: pd.Series) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Each different value as a number of its own, in order of appearance; missing as -1."""
    try:
        return np.asarray(pd.factorize(values)[0], dtype=np.int64)
    except TypeError:  # lists, mappings: what has no hash
        encoded = pd.Series([canonical.framed(v) for v in values])
        found = np.asarray(pd.factorize(encoded)[0], dtype=np.int64)
        found[values.isna().to_numpy()] = -1
        return found
