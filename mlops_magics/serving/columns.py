"""One column as it came in → one column as the signature has it, or a sentence that says why not.

The conversions are those that MLflow's scoring server makes, except where it would change a
value without a word: a fraction for an integer column is cut there and refused here, as is any
text for a boolean, a number for text, and a missing word in ``inputs`` stays missing instead of
becoming the word "None".
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlops_magics.flavors.predictors import Input
from mlops_magics.serving.refusals import BadRequest, shown
from mlops_magics.serving.table import objects

_WANTED = {
    "long": "a whole number",
    "integer": "a whole number",
    "double": "a number",
    "float": "a number",
    "boolean": "true or false",
    "string": "text",
    "datetime": "a date and time without a time zone",
    "binary": "text in base64",
}


def convert(column: Input, values: Sequence[Any]) -> Any:
    """An array of the column's type.

    Raises
    ------
    BadRequest
        If a value does not fit; names the column and the first such row.
    """
    conversion = _CONVERSIONS.get(column.type)
    if conversion is None:  # nested types are the model's own business
        return objects(values)
    try:
        converted = conversion(values, column)
    except (ValueError, TypeError, OverflowError, AttributeError):
        converted = None
    if converted is None:
        raise BadRequest(_complaint(column, values, conversion))
    return converted


def _numbers(values: Sequence[Any], column: Input) -> Any:
    array = np.array(values, dtype=np.float64 if column.type == "double" else np.float32)
    return array if array.ndim == 1 else None


def _integers(values: Sequence[Any], column: Input) -> Any:
    target: Any = np.int64 if column.type == "long" else np.int32
    array = np.array(values)
    if array.ndim != 1:
        return None
    if array.dtype.kind not in "iub":
        whole = [_whole(value) for value in values]
        array = np.array(whole)
        if array.dtype.kind not in "iu":
            return None
    bounds = np.iinfo(target)
    if array.size and (array.min() < bounds.min or array.max() > bounds.max):
        return None
    return array.astype(target)


def _whole(value: Any) -> int:
    if isinstance(value, float) and value != int(value):
        raise ValueError
    return int(value)


def _booleans(values: Sequence[Any], column: Input) -> Any:
    if all(type(v) is bool for v in values):
        return np.array(values, dtype=bool)
    known = [None if _missing(v) else _truth(v) for v in values]
    if None not in known:
        return np.array(known, dtype=bool)
    # Missing truth stays missing; as a plain boolean it would turn into False.
    return None if column.required else np.array(known, dtype=object)


def _truth(value: Any) -> bool:
    if isinstance(value, bool | int | float) and value in (0, 1):
        return bool(value)
    raise ValueError


def _text(values: Sequence[Any], column: Input) -> Any:
    if not all(type(v) is str or _missing(v) for v in values):
        return None
    return objects([None if _missing(v) else v for v in values])


def _datetimes(values: Sequence[Any], column: Input) -> Any:
    if not all(type(v) in (str, int) or _missing(v) for v in values):
        return None
    import pandas as pd

    found = pd.to_datetime(pd.Series(list(values)))
    if not pd.api.types.is_datetime64_dtype(found.dtype):
        return None
    return found.astype("datetime64[ns]").to_numpy()


def _binaries(values: Sequence[Any], column: Input) -> Any:
    decoded = [None if _missing(v) else base64.b64decode(v, validate=True) for v in values]
    return objects(decoded)


_CONVERSIONS: dict[str, Callable[[Sequence[Any], Input], Any]] = {
    "long": _integers,
    "integer": _integers,
    "double": _numbers,
    "float": _numbers,
    "boolean": _booleans,
    "string": _text,
    "datetime": _datetimes,
    "binary": _binaries,
}


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _complaint(column: Input, values: Sequence[Any], conversion: Any) -> str:
    wanted = f"needs {_WANTED[column.type]} ({column.type})"
    for row, value in enumerate(values, start=1):
        try:
            fits = conversion([value], column) is not None
        except (ValueError, TypeError, OverflowError, AttributeError):
            fits = False
        if not fits and _missing(value):
            return (
                f"Column {shown(column.name)} {wanted} and has no value in row {row}: the model "
                "learned it without missing values."
            )
        if not fits:
            return f"Column {shown(column.name)} {wanted} and row {row} has {shown(value)}."
    return f"Column {shown(column.name)} {wanted}, and its values do not go together."
