"""A block of a column as four streams of bytes, read from Arrow's buffers.

*Kinds* has one byte a row, *numbers* eight bytes for each number or time, *text* the bytes of
everything else, and *lengths* tells those texts apart. The bytes are those of `canonical`, but
no Python object is made for a value whose type has a plain Arrow form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pandas.api.types import infer_dtype

from mlops_magics.evidence import canonical

#: Kinds, numbers, text, lengths: each something that can be hashed.
Streams: TypeAlias = tuple[Any, Any, Any, Any]

_NOTHING = b""


def streams(values: pd.Series) -> Streams:
    """One block of a column as its four streams."""
    if isinstance(values.dtype, pd.SparseDtype):
        values = values.astype(values.dtype.subtype)
    if values.dtype == np.float16:
        values = values.astype(np.float64)
    if isinstance(values.dtype, pd.CategoricalDtype) and not _plain(values.cat.categories):
        return _of_encoded([canonical.encode(c) for c in values.cat.categories], values.cat.codes)
    if isinstance(values.dtype, pd.IntervalDtype | pd.PeriodDtype):
        return _of_values(values.astype(object))
    if values.dtype == object:
        return _of_objects(values.to_numpy())
    try:
        return _of_arrow(_as_arrow(values))
    except (pa.ArrowNotImplementedError, pa.ArrowTypeError):  # such as complex numbers
        return _of_values(values.astype(object))


def _plain(categories: pd.Index) -> bool:
    """Whether Arrow can hold these categories as what they are."""
    return (categories.dtype != object or infer_dtype(categories) == "string") and not isinstance(
        categories.dtype, pd.IntervalDtype | pd.PeriodDtype
    )


def _as_arrow(values: Any, type: pa.DataType | None = None) -> pa.Array:
    array = pa.array(values, type=type, from_pandas=True)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    return array.storage if isinstance(array, pa.ExtensionArray) else array


def _of_objects(values: np.ndarray[Any, Any]) -> Streams:
    """Objects: by Arrow where they are all text or all true or false, else one by one."""
    try:
        match infer_dtype(values, skipna=True):
            case "string":
                return _of_arrow(_as_arrow(values, pa.large_string()))
            case "boolean":
                return _of_arrow(_as_arrow(values, pa.bool_()))
    except (UnicodeEncodeError, pa.ArrowInvalid, pa.ArrowTypeError):
        pass  # such as half a surrogate pair, which UTF-8 has no form for
    return _of_values(values)


def _of_values(values: Any) -> Streams:
    encoded = [canonical.encode(v) for v in values]
    return _of_encoded(encoded, range(len(encoded)))


def _of_encoded(encoded: Sequence[tuple[int, bytes]], rows: Any) -> Streams:
    """Streams of the values at `rows` of those encoded; a row of -1 is missing."""
    known = [*encoded, (canonical.MISSING, b"")]
    kinds, fixed, free = bytearray(), [], []
    for row in rows:
        kind, payload = known[row]
        kinds.append(kind)
        if kind in canonical.FIXED:
            fixed.append(payload)
        elif kind not in (canonical.MISSING, canonical.TRUE, canonical.FALSE):
            free.append(payload)
    lengths = np.fromiter(map(len, free), dtype="<i8", count=len(free))
    return kinds, b"".join(fixed), b"".join(free), lengths


def _of_arrow(array: pa.Array) -> Streams:
    """Streams of an Arrow array, from its buffers where its type has a plain one."""
    if pa.types.is_dictionary(array.type):
        return _of_arrow(array.dictionary_decode())
    given = array.drop_null() if array.null_count else array
    read = next((reader for holds, reader in _READERS if holds(array.type)), None)
    parts = read(given) if read else None
    if parts is None:
        return _of_values(array.to_pylist())
    kinds, numbers, text, lengths = parts
    if array.null_count:
        every = np.full(len(array), canonical.MISSING, dtype=np.uint8)
        every[array.is_valid().to_numpy(zero_copy_only=False)] = kinds
        kinds = every
    return np.ascontiguousarray(kinds), numbers, text, lengths


def _all(kind: int, count: int) -> np.ndarray[Any, Any]:
    return np.full(count, kind, dtype=np.uint8)


def _booleans(array: pa.Array) -> Streams:
    values = array.to_numpy(zero_copy_only=False)
    return np.where(values, canonical.TRUE, canonical.FALSE).astype(np.uint8), *(_NOTHING,) * 3


def _integers(array: pa.Array) -> Streams | None:
    try:
        numbers = array.cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid:  # above what eight bytes with a sign hold
        return None
    return _all(canonical.INTEGER, len(array)), _little(numbers), _NOTHING, _NOTHING


def _floats(array: pa.Array) -> Streams:
    numbers = array.cast(pa.float64()).to_numpy() + 0.0  # -0.0 + 0.0 is 0.0
    kinds = _all(canonical.FLOAT, len(array))
    absent = np.isnan(numbers)
    if absent.any():
        kinds[absent] = canonical.MISSING
        numbers = numbers[~absent]
    return kinds, _little(numbers), _NOTHING, _NOTHING


def _texts(kind: int, type: pa.DataType) -> Callable[[pa.Array], Streams]:
    def read(array: pa.Array) -> Streams:
        if pa.types.is_string_view(array.type) or pa.types.is_binary_view(array.type):
            array = array.cast(type)
        if pa.types.is_fixed_size_binary(array.type):
            array = array.cast(type)
        lengths = pc.binary_length(array).cast(pa.int64()).to_numpy()
        return _all(kind, len(array)), _NOTHING, _text_of(array), _little(lengths)

    return read


def _text_of(array: pa.Array) -> Any:
    """The bytes of all texts of an array without nulls, as they lie in its buffer."""
    _, offsets, content = array.buffers()
    if content is None or not len(array):
        return _NOTHING
    wide = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    ends = np.frombuffer(offsets, dtype=np.int64 if wide else np.int32)
    return memoryview(content)[ends[array.offset] : ends[array.offset + len(array)]]


def _times(micro: int, nano: int) -> Callable[[pa.Array], Streams]:
    def read(array: pa.Array) -> Streams:
        kinds, numbers = _counts(array, micro, nano)
        zone = getattr(array.type, "tz", None)
        if zone is None:
            return kinds, _little(numbers), _NOTHING, _NOTHING
        name = canonical.zone_name(pa.lib.string_to_tzinfo(zone)).encode()
        rows = np.empty((len(array), 8 + len(name)), dtype=np.uint8)
        rows[:, :8] = _little(numbers).view(np.uint8).reshape(-1, 8)
        rows[:, 8:] = np.frombuffer(name, dtype=np.uint8)
        zoned = np.where(kinds == micro, canonical.ZONED, canonical.ZONED_NS).astype(np.uint8)
        return zoned, _NOTHING, rows, np.full(len(array), rows.shape[1], dtype="<i8")

    return read


def _counts(array: pa.Array, micro: int, nano: int) -> tuple[Any, Any]:
    """Kinds and counts of times: in µs, or in ns where there is a remainder."""
    kinds = _all(micro, len(array))
    if array.type.unit != "ns":
        to_micro = pa.timestamp("us") if pa.types.is_timestamp(array.type) else pa.duration("us")
        if pa.types.is_timestamp(array.type) and array.type.tz is not None:
            to_micro = pa.timestamp("us", array.type.tz)
        return kinds, array.cast(to_micro).cast(pa.int64()).to_numpy()
    counts = array.cast(pa.int64()).to_numpy()
    whole, rest = np.divmod(counts, 1000)
    if not rest.any():
        return kinds, whole
    kinds[rest != 0] = nano
    return kinds, np.where(rest != 0, counts, whole)


def _little(numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(numbers, dtype=numbers.dtype.newbyteorder("<"))


_READERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], Any]], ...] = (
    (pa.types.is_floating, _floats),
    (pa.types.is_integer, _integers),
    (pa.types.is_boolean, _booleans),
    (pa.types.is_string, _texts(canonical.TEXT, pa.large_string())),
    (pa.types.is_large_string, _texts(canonical.TEXT, pa.large_string())),
    (pa.types.is_string_view, _texts(canonical.TEXT, pa.large_string())),
    (pa.types.is_binary, _texts(canonical.BYTES, pa.large_binary())),
    (pa.types.is_large_binary, _texts(canonical.BYTES, pa.large_binary())),
    (pa.types.is_binary_view, _texts(canonical.BYTES, pa.large_binary())),
    (pa.types.is_fixed_size_binary, _texts(canonical.BYTES, pa.large_binary())),
    (pa.types.is_timestamp, _times(canonical.DATETIME, canonical.DATETIME_NS)),
    (pa.types.is_duration, _times(canonical.DURATION, canonical.DURATION_NS)),
)
