"""Models without named columns: unnamed columns, arrays (tensors), or no signature at all."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from mlops_magics.flavors.predictors import Input
from mlops_magics.serving.columns import convert
from mlops_magics.serving.refusals import BadRequest, shown

#: What is asked, rows, params (none yet), columns (unknown), absent ones (none).
Loose = tuple[Any, int, None, None, tuple[str, ...]]


def from_json(form: str, value: Any, inputs: Sequence[Input]) -> Loose:
    """What one of the JSON forms holds, as the signature has it.

    Raises
    ------
    BadRequest
        If it does not fit the signature.
    """
    try:
        data = _frame(form, value) if form.startswith("dataframe") else _arrays(value, inputs)
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise BadRequest(f"{form} can't be read as data: {_line(error)}.") from error
    return _fitted(data, inputs)


def from_csv(text: str, inputs: Sequence[Input]) -> Loose:
    """What CSV holds, as the signature has it.

    Raises
    ------
    BadRequest
        If it can't be read or does not fit the signature.
    """
    try:
        return _fitted(pd.read_csv(io.StringIO(text)), inputs)
    except (ValueError, OverflowError) as error:
        raise BadRequest(f"The body is not CSV that can be read: {_line(error)}.") from error


def _frame(form: str, value: Any) -> pd.DataFrame:
    if form == "dataframe_records":
        if not isinstance(value, list):
            raise BadRequest("dataframe_records must be a list of objects, one a row.")
        return pd.DataFrame(value)
    if not isinstance(value, dict) or "data" not in value:
        raise BadRequest("dataframe_split must be an object with columns and data.")
    if strange := [k for k in value if k not in ("columns", "data", "index")]:
        raise BadRequest(
            f"dataframe_split has {shown(strange[0])}, which means nothing there.",
            "It takes columns, data and index.",
        )
    return pd.DataFrame(value["data"], index=value.get("index"), columns=value.get("columns"))


def _arrays(value: Any, inputs: Sequence[Input]) -> Any:
    types = {i.name: i.type for i in inputs if i.shape is not None}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        if not all(isinstance(row, dict) and row.keys() == value[0].keys() for row in value):
            raise BadRequest("The rows have not all the same names.")
        value = {name: [row[name] for row in value] for name in value[0]}
    if isinstance(value, dict):
        return {name: np.array(v, dtype=types.get(name)) for name, v in value.items()}
    return np.array(value, dtype=types.get(None))


def _fitted(data: Any, inputs: Sequence[Input]) -> Loose:
    if not inputs:
        pass
    elif all(i.shape is None for i in inputs):
        data = _columns(data, inputs)
    elif all(i.name is None for i in inputs):
        data = _shaped(_matrix(data, inputs[0]), inputs[0])
    else:
        data = {str(i.name): _shaped(_named(data, i), i) for i in inputs}
    first = next(iter(data.values()), []) if isinstance(data, dict) else data
    rows = len(first) if np.ndim(first) else 0
    if not rows:
        raise BadRequest("There are no rows to predict.")
    return data, rows, None, None, ()


def _columns(data: Any, inputs: Sequence[Input]) -> pd.DataFrame:
    try:
        frame = pd.DataFrame(data)
    except (ValueError, TypeError) as error:
        raise BadRequest(f"The data is no table: {_line(error)}.") from error
    if len(frame.columns) < len(inputs):
        raise BadRequest(
            f"The model needs {len(inputs)} columns and the request has {len(frame.columns)}."
        )
    named = zip(frame.columns, inputs, strict=False)
    return pd.DataFrame(
        {
            label: convert(Input(str(label), i.type, i.required), frame[label].tolist())
            for label, i in named
        }
    )


def _matrix(data: Any, wanted: Input) -> np.ndarray:
    if isinstance(data, dict):
        raise BadRequest("The model takes one array, and the request names several.")
    if not isinstance(data, pd.DataFrame):
        return np.asarray(data)
    if data.shape[1] == 1 and data.dtypes.iloc[0].kind == "O":
        data = np.stack(data.iloc[:, 0].tolist())
    try:
        return np.asarray(data, dtype=wanted.type)
    except (ValueError, TypeError) as error:
        raise BadRequest(f"The model takes numbers ({wanted.type}): {_line(error)}.") from error


def _named(data: Any, wanted: Input) -> np.ndarray:
    if not isinstance(data, dict | pd.DataFrame) or wanted.name not in data:
        raise BadRequest(f"The input {shown(wanted.name)} is missing.")
    values = data[wanted.name]
    values = np.stack(values.tolist()) if isinstance(values, pd.Series) else values
    return np.asarray(values, dtype=wanted.type)


def _shaped(array: np.ndarray, wanted: Input) -> np.ndarray:
    shape = wanted.shape or ()
    if array.dtype.kind not in "biufcSUO" or len(array.shape) != len(shape):
        raise BadRequest(_misshapen(array, shape))
    if any(w not in (-1, a) for a, w in zip(array.shape, shape, strict=True)):
        raise BadRequest(_misshapen(array, shape))
    return array


def _misshapen(array: np.ndarray, shape: tuple[int, ...]) -> str:
    def words(sizes: tuple[int, ...]) -> str:
        return " × ".join("any" if s == -1 else str(s) for s in sizes) or "a single value"

    return f"The model takes an array of {words(shape)} and the request has {words(array.shape)}."


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
