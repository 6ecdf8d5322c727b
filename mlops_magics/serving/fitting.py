"""Tensors → what the signature asks for, in the form that `bodies` reads like any other."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlops_magics.errors import did_you_mean
from mlops_magics.flavors.predictors import Input
from mlops_magics.serving import bodies, tensors
from mlops_magics.serving.refusals import BadRequest, shown
from mlops_magics.serving.tensors import BYTES, Tensor

#: MLflow's type of a column → datatype.
DATATYPES = {
    "long": "INT64",
    "integer": "INT32",
    "double": "FP64",
    "float": "FP32",
    "boolean": "BOOL",
    "string": BYTES,
    "datetime": BYTES,
    "binary": BYTES,
}
_NUMBERS = ("long", "integer", "double", "float", "boolean")
#: What the one input of a model is called whose signature names none.
UNNAMED = "input"


def described(inputs: Sequence[Input]) -> list[dict[str, Any]]:
    """The inputs for a model's metadata."""
    if inputs and all(i.name is None and i.shape is None for i in inputs):
        types = {DATATYPES.get(i.type, BYTES) for i in inputs}
        datatype = types.pop() if len(types) == 1 else "FP64"
        return [{"name": UNNAMED, "datatype": datatype, "shape": [-1, len(inputs)]}]
    return [
        {
            "name": i.name or UNNAMED,
            "datatype": DATATYPES.get(i.type, BYTES) if i.shape is None else _named_type(i.type),
            "shape": [-1] if i.shape is None else list(i.shape),
        }
        for i in inputs
    ]


def _named_type(dtype: str) -> str:
    try:
        return tensors.NAMES.get(np.dtype(dtype), BYTES)
    except TypeError:
        return BYTES


def fitted(given: Sequence[Tensor], inputs: Sequence[Input]) -> Any:
    """The tensors as the form ``inputs`` has them.

    Raises
    ------
    BadRequest
        If names, types or shapes are not those of the signature.
    """
    if bodies.named(inputs):
        return _columns(given, inputs)
    if any(i.name for i in inputs):  # several arrays
        known = {str(i.name): i for i in inputs}
        _check_names(given, list(known))
        return {t.name: _array(t, known[t.name]) for t in given}
    if not inputs and len(given) > 1:
        return {t.name: _texts(t.array) for t in given}
    if len(given) > 1:
        raise BadRequest(f"The model takes one tensor and the request has {len(given)}.")
    if inputs and inputs[0].shape is None:  # columns without names
        array = given[0].array
        if array.ndim != 2 or array.shape[1] != len(inputs):
            raise BadRequest(
                f"The model takes a tensor of rows × {len(inputs)}, and the request has "
                f"{_sizes(array)}."
            )
        for i in inputs:
            _check_kind(given[0], i)
        return _texts(array).tolist()
    return _array(given[0], inputs[0]) if inputs else _texts(given[0].array)


def _columns(given: Sequence[Tensor], inputs: Sequence[Input]) -> dict[str, list[Any]]:
    names = [str(i.name) for i in inputs]
    one = given[0]
    whole = len(given) == 1 and one.array.ndim == 2 and one.array.shape[1] == len(inputs) > 1
    if whole and one.datatype != BYTES and all(i.type in _NUMBERS for i in inputs):
        return {name: one.array[:, at].tolist() for at, name in enumerate(names)}
    _check_names(given, names)
    known = dict(zip(names, inputs, strict=True))
    columns = {}
    for tensor in given:
        column = known[tensor.name]
        _check_kind(tensor, column)
        if tensor.array.ndim != 1 and tensor.array.shape[1:] != (1,):
            raise BadRequest(
                f"The input {shown(tensor.name)} is a column, with one value a row, and the "
                f"request has {_sizes(tensor.array)}."
            )
        values = tensor.array.ravel()
        columns[tensor.name] = (
            [base64.b64encode(v).decode() if isinstance(v, bytes) else v for v in values.tolist()]
            if column.type == "binary"
            else _texts(values).tolist()
        )
    return columns


def _check_names(given: Sequence[Tensor], names: list[str]) -> None:
    for tensor in given:
        if tensor.name not in names:
            raise BadRequest(
                f"The model has no input {shown(tensor.name)}.", did_you_mean(tensor.name, names)
            )


def _check_kind(tensor: Tensor, column: Input) -> None:
    if column.type in _NUMBERS and tensor.datatype == BYTES:
        raise BadRequest(
            f"The input {shown(tensor.name)} is {BYTES}, and the model needs "
            f"{DATATYPES[column.type]}."
        )


def _array(tensor: Tensor, wanted: Input) -> np.ndarray:
    """The tensor, if nothing of it is lost when it takes the type of the signature."""
    array, dtype = _texts(tensor.array), np.dtype(wanted.type)
    if dtype.kind in "biufc" and not np.can_cast(array.dtype, dtype, "same_kind"):
        raise BadRequest(
            f"The input {shown(tensor.name)} is {tensor.datatype}, and the model needs "
            f"{_named_type(wanted.type)}."
        )
    return array


def _texts(array: np.ndarray) -> np.ndarray:
    """Bytes as the text that they are."""
    if array.dtype.kind != "O":
        return array
    texts = np.empty(array.size, dtype=object)
    try:
        texts[:] = [v.decode() if isinstance(v, bytes) else v for v in array.ravel().tolist()]
    except UnicodeDecodeError as error:
        raise BadRequest("A value of BYTES is not UTF-8.") from error
    return texts.reshape(array.shape)


def _sizes(array: np.ndarray) -> str:
    return " × ".join(map(str, array.shape))
