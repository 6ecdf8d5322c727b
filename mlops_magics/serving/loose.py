"""Models without named columns: unnamed columns, arrays (tensors), or no signature at all."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_magics.flavors.predictors import Input
from mlops_magics.serving import delimited
from mlops_magics.serving.columns import convert
from mlops_magics.serving.refusals import BadRequest, shown
from mlops_magics.serving.table import Table

if TYPE_CHECKING:
    import pandas as pd

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
        if not form.startswith("dataframe"):
            data = _arrays(value, inputs)
        elif _is_one_array(inputs):
            data = _rows(form, value)
        else:
            data = _frame(form, value)
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
    if _is_one_array(inputs):
        return _fitted(delimited.numbers(delimited.read(text)), inputs)
    import pandas as pd

    try:
        return _fitted(pd.read_csv(io.StringIO(text)), inputs)
    except (ValueError, OverflowError) as error:
        raise BadRequest(f"The body is not CSV that can be read: {_line(error)}.") from error


def _is_one_array(inputs: Sequence[Input]) -> bool:
    """Whether rows are lists of values: no table is needed to read them."""
    return len(inputs) == 1 and inputs[0].name is None and inputs[0].shape is not None


def _rows(form: str, value: Any) -> list[Any]:
    """The rows of a table whose names mean nothing to the model."""
    if form == "dataframe_records":
        records = _records(value)
        known = dict.fromkeys(name for row in records for name in row)
        return [[row.get(name) for name in known] for row in records]
    table = _split(value)
    names, rows = table.get("columns"), table["data"]
    if not isinstance(rows, list):
        raise BadRequest("dataframe_split needs data: a list of rows.")
    if names is not None and any(np.shape(row)[:1] != (len(names),) for row in rows):
        raise BadRequest(f"The rows of data have not all {len(names)} values, one a column.")
    return rows


def _frame(form: str, value: Any) -> pd.DataFrame:
    import pandas as pd

    if form == "dataframe_records":
        return pd.DataFrame(_records(value))
    table: Any = _split(value)
    return pd.DataFrame(table["data"], index=table.get("index"), columns=table.get("columns"))


def _records(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise BadRequest("dataframe_records must be a list of objects, one a row.")
    return value


def _split(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or "data" not in value:
        raise BadRequest("dataframe_split must be an object with columns and data.")
    if strange := [k for k in value if k not in ("columns", "data", "index")]:
        raise BadRequest(
            f"dataframe_split has {shown(strange[0])}, which means nothing there.",
            "It takes columns, data and index.",
        )
    return value


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
    rows = len(first) if isinstance(first, Table) or np.ndim(first) else 0
    if not rows:
        raise BadRequest("There are no rows to predict.")
    return data, rows, None, None, ()


def _columns(data: Any, inputs: Sequence[Input]) -> Table:
    import pandas as pd

    try:
        frame = pd.DataFrame(data)
    except (ValueError, TypeError) as error:
        raise BadRequest(f"The data is no table: {_line(error)}.") from error
    if len(frame.columns) < len(inputs):
        raise BadRequest(
            f"The model needs {len(inputs)} columns and the request has {len(frame.columns)}."
        )
    named = zip(frame.columns, inputs, strict=False)
    arrays = {
        label: convert(Input(str(label), i.type, i.required), frame[label].tolist())
        for label, i in named
    }
    types = dict(zip(arrays, (i.type for i in inputs), strict=True))
    return Table(arrays, types, len(frame))


def _matrix(data: Any, wanted: Input) -> np.ndarray:
    if isinstance(data, dict):
        raise BadRequest("The model takes one array, and the request names several.")
    if isinstance(data, np.ndarray):
        return data
    try:
        array = np.array(data, dtype=wanted.type)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadRequest(f"The model takes numbers ({wanted.type}): {_line(error)}.") from error
    # A column that holds whole rows.
    nested = wanted.shape is not None and array.ndim == len(wanted.shape) + 1
    return array[:, 0] if nested and array.shape[1] == 1 else array


def _named(data: Any, wanted: Input) -> np.ndarray:
    if not hasattr(data, "keys") or wanted.name not in data:
        raise BadRequest(f"The input {shown(wanted.name)} is missing.")
    values = data[wanted.name]
    values = values if isinstance(values, np.ndarray) else np.stack(values.tolist())
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
