"""Tensors of the Open Inference Protocol: JSON, and the binary extension, ↔ arrays.

What stands behind a name: numbers and truth as arrays of their type; BYTES, and whatever has a
null among its values, as arrays of objects.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlops_magics.serving.answers import encode
from mlops_magics.serving.parameters import beside
from mlops_magics.serving.refusals import BadRequest, shown

BYTES = "BYTES"
#: Datatype → numpy's type; little-endian, as the binary extension has it.
TYPES: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    **{f"UINT{8 * n}": np.dtype(f"<u{n}") for n in (1, 2, 4, 8)},
    **{f"INT{8 * n}": np.dtype(f"<i{n}") for n in (1, 2, 4, 8)},
    **{f"FP{8 * n}": np.dtype(f"<f{n}") for n in (2, 4, 8)},
}
NAMES = {dtype: name for name, dtype in TYPES.items()}
#: The Python types that JSON may have for a kind of numpy.
_JSON: Mapping[str, tuple[type, ...]] = {
    "b": (bool,),
    "u": (int,),
    "i": (int,),
    "f": (int, float),
    "O": (str,),
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """A named array, and its datatype as the protocol calls it."""

    name: str
    datatype: str
    array: np.ndarray


def split(body: bytes, header: str | None) -> tuple[bytes, bytes]:
    """The JSON of a request, and the binary data behind it.

    Parameters
    ----------
    header : str or None
        ``Inference-Header-Content-Length``: how long the JSON is.

    Raises
    ------
    BadRequest
        If that is no length within the body.
    """
    if header is None:
        return body, b""
    if not (header.isascii() and header.isdigit()) or int(header) > len(body):
        raise BadRequest(
            f"Inference-Header-Content-Length is {header[:20]!r} and the body has {len(body):,} "
            "bytes."
        )
    return body[: int(header)], body[int(header) :]


def read(inputs: Any, blobs: bytes) -> list[Tensor]:
    """The tensors under ``inputs``.

    Raises
    ------
    BadRequest
        If one is not as it says it is.
    """
    if not isinstance(inputs, list) or not inputs:
        raise BadRequest("The request needs inputs: a list of tensors.")
    found: list[Tensor] = []
    at = 0
    for item in inputs:
        name, datatype, shape = _described(item)
        if any(t.name == name for t in found):
            raise BadRequest(f"The input {shown(name)} is there twice.")
        size = beside(item, f" of the input {shown(name)}").get("binary_data_size")
        if size is None:
            array = _from_json(name, datatype, shape, item.get("data"))
        else:
            if type(size) is not int or size < 0 or at + size > len(blobs):
                raise BadRequest(
                    f"The input {shown(name)} has a binary_data_size of {shown(size)} and "
                    f"{len(blobs) - at:,} bytes are left."
                )
            array = _from_binary(name, datatype, shape, blobs[at : at + size])
            at += size
        found.append(Tensor(name, datatype, array))
    if at != len(blobs):
        raise BadRequest(f"{len(blobs) - at:,} bytes are left behind the last input.")
    return found


def _described(item: Any) -> tuple[str, str, tuple[int, ...]]:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise BadRequest("Each input is an object with name, shape, datatype and data.")
    name, datatype, shape = item["name"], item.get("datatype"), item.get("shape")
    if not isinstance(datatype, str) or (datatype not in TYPES and datatype != BYTES):
        raise BadRequest(
            f"The input {shown(name)} has the datatype {shown(datatype)}.",
            f"It may be {', '.join(TYPES)} or {BYTES}.",
        )
    sizes = shape if isinstance(shape, list) else []
    if not sizes or not all(type(n) is int and n >= 0 for n in sizes):
        raise BadRequest(f"The input {shown(name)} needs a shape: a list of whole numbers.")
    return name, datatype, tuple(sizes)


def _from_json(name: str, datatype: str, shape: tuple[int, ...], data: Any) -> np.ndarray:
    if not isinstance(data, list):
        raise BadRequest(f"The input {shown(name)} needs data: a list.")
    while data and all(isinstance(part, list) for part in data):  # nested or not, both are allowed
        data = [value for part in data for value in part]
    _check_count(name, shape, len(data))
    dtype = TYPES.get(datatype, np.dtype(object))
    allowed = _JSON[dtype.kind]
    for value in data:
        if value is not None and type(value) not in allowed:
            raise BadRequest(f"The input {shown(name)} is {datatype} and has {shown(value)}.")
    if None in data and dtype.kind != "f":
        dtype = np.dtype(object)
    try:
        return np.array([*data, None], dtype=object)[:-1].astype(dtype).reshape(shape)
    except (OverflowError, ValueError) as error:
        raise BadRequest(f"A value of {shown(name)} is beyond {datatype}.") from error


def _from_binary(name: str, datatype: str, shape: tuple[int, ...], blob: bytes) -> np.ndarray:
    if datatype == BYTES:
        values = _unpacked(name, blob)
        _check_count(name, shape, len(values))
        return np.array([*values, None], dtype=object)[:-1].reshape(shape)
    dtype = TYPES[datatype]
    wanted = math.prod(shape) * dtype.itemsize
    if len(blob) != wanted:
        raise BadRequest(
            f"The input {shown(name)} has {len(blob):,} bytes, and its shape and datatype make "
            f"{wanted:,}."
        )
    return np.frombuffer(blob, dtype).reshape(shape)


def _check_count(name: str, shape: tuple[int, ...], count: int) -> None:
    if math.prod(shape) != count:
        raise BadRequest(
            f"The input {shown(name)} has {count} values, and its shape makes {math.prod(shape)}."
        )


def _unpacked(name: str, blob: bytes) -> list[bytes]:
    """Each value behind its length in four bytes."""
    values, at = [], 0
    while at < len(blob):
        length = int.from_bytes(blob[at : at + 4], "little")
        at += 4 + length
        if at > len(blob):
            raise BadRequest(f"The bytes of the input {shown(name)} end within a value.")
        values.append(blob[at - length : at])
    return values


def written(raw: Any) -> np.ndarray:
    """What a model returned, as an array of a type that the protocol has.

    Raises
    ------
    BadRequest
        If it is a table of more than numbers, or an object of several.
    """
    if isinstance(raw, Mapping):
        raise BadRequest("This model returns several things by name.", "Ask /invocations.")
    array = np.asarray(raw)
    if array.dtype.newbyteorder("<") not in NAMES:
        if array.dtype.kind not in "OUSM" or array.ndim == 0:
            raise BadRequest(f"This model returns {array.dtype}.", "Ask /invocations.")
        array = array.astype(object)
    return array


def datatype(array: np.ndarray) -> str:
    """The protocol's name for an array's type."""
    return NAMES.get(array.dtype.newbyteorder("<"), BYTES)


def as_json(array: np.ndarray) -> str:
    """The values, one after the other."""
    flat = array.ravel().tolist()
    return encode([v if v is None else str(v) for v in flat] if array.dtype.kind == "O" else flat)


def as_binary(array: np.ndarray) -> bytes:
    """The values as the binary extension has them."""
    if array.dtype.kind != "O":
        return array.astype(array.dtype.newbyteorder("<")).tobytes()
    values: Sequence[bytes] = [
        v if isinstance(v, bytes) else str(v).encode() for v in array.ravel().tolist()
    ]
    return b"".join(struct.pack("<I", len(v)) + v for v in values)
