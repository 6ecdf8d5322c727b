"""A table as one Parquet file that gives every value back as it was.

Parquet holds columns of one type. A column of objects that it can't hold (mixed values, lists
of different things, mappings) is written as JSON text that names the types JSON lacks, so that
it is read again without pickle; which columns those are stands in the file's metadata.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pandas.api.types import infer_dtype, is_object_dtype

from mlops_magics.evidence import canonical
from mlops_magics.evidence.data import fingerprint

#: The metadata that names the columns written as JSON, and those of them that are categories.
_KEY = b"mlops.as_json"

# What Arrow gives back as the objects that it was given.
_NATIVE = ("string", "boolean", "empty")


class NotKeptError(ValueError):
    """The table holds what can't be given back as it was."""


def write(frame: pd.DataFrame, path: Path, digest: str) -> None:
    """Write `frame` to `path`, and read it back to be sure.

    Raises
    ------
    NotKeptError
        If what is read back has not the fingerprint `digest`, or a value can't be written.
    """
    plain = frame.copy(deep=False)
    as_json = {}
    for name in frame.columns:
        if not _is_native(frame[name]):
            as_json[name] = "category" if frame[name].dtype == "category" else ""
            plain[name] = _texts(name, frame[name])
    try:
        table = pa.Table.from_pandas(plain)
        extra = {**(table.schema.metadata or {}), _KEY: json.dumps(as_json).encode()}
        pq.write_table(table.replace_schema_metadata(extra), path, compression="zstd")
        same = fingerprint(read(path)) == digest
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise NotKeptError(f"it can't be written as Parquet ({error})") from error
    if not same:
        raise NotKeptError("Parquet gives some of its values back in another form")


def read(path: Path) -> pd.DataFrame:
    """The table that `write` wrote to `path`."""
    frame = pd.read_parquet(path)
    as_json = json.loads((pq.read_schema(path).metadata or {}).get(_KEY, b"{}"))
    for name, kind in as_json.items():
        values = [_decode(json.loads(text)) for text in frame[name]]
        # Built by hand: pandas would make a row of each list.
        column = np.empty(len(values), dtype=object)
        column[:] = values
        restored = pd.Series(column, index=frame.index, dtype=object)
        frame[name] = restored.astype("category") if kind else restored
    return frame


def _is_native(values: pd.Series) -> bool:
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _is_native(dtype.categories.to_series()) and not isinstance(
            dtype.categories.dtype, pd.IntervalDtype | pd.PeriodDtype
        )
    if isinstance(dtype, pd.SparseDtype) or dtype.kind == "c":
        return False
    if not is_object_dtype(dtype):
        return True
    if infer_dtype(values, skipna=True) not in _NATIVE:
        return False
    try:
        pa.array(values, from_pandas=True)
    except (pa.ArrowException, UnicodeEncodeError):
        return False
    return True


def _texts(name: Any, values: pd.Series) -> pd.Series:
    try:
        texts = [json.dumps(_encode(v)) for v in values]
    except TypeError as error:
        raise NotKeptError(f"column {name!r} holds {error}") from error
    return pd.Series(texts, index=values.index, dtype=object)


def _encode(value: Any) -> Any:
    """Plain JSON; what JSON has no type for as ``{type: text}``."""
    if canonical.encode(value)[0] == canonical.MISSING:
        return None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, np.datetime64):
        value = pd.Timestamp(value)
    if isinstance(value, np.timedelta64):
        value = pd.Timedelta(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        plain = float(value)
        if plain != value:
            raise TypeError("numbers of more than 64 bits")
        return plain if math.isfinite(plain) else {"float": str(plain)}
    if isinstance(value, list | tuple | np.ndarray | pd.Series | pd.Index):
        return [_encode(v) for v in value]
    if isinstance(value, set | frozenset):
        return {"set": [_encode(v) for v in value]}
    if isinstance(value, Mapping):
        return {"mapping": [[_encode(k), _encode(v)] for k, v in value.items()]}
    return _encode_rarer(value)


def _encode_rarer(value: Any) -> Any:
    if isinstance(value, datetime):
        zone = canonical.zone_name(value.tzinfo) if value.tzinfo else None
        return {"datetime": [value.isoformat(), zone]}
    if isinstance(value, timedelta):
        nanoseconds = getattr(value, "nanoseconds", 0)
        return {"timedelta": [value.days, value.seconds, value.microseconds, nanoseconds]}
    if isinstance(value, bytes | bytearray | memoryview):
        return {"bytes": base64.b64encode(bytes(value)).decode()}
    if isinstance(value, complex | np.complexfloating):
        return {"complex": [_encode(value.real), _encode(value.imag)]}
    if isinstance(value, pd.Interval):
        return {"interval": [_encode(value.left), _encode(value.right), value.closed]}
    for kind, type in (("decimal", Decimal), ("date", date), ("time", time), ("uuid", UUID)):
        if isinstance(value, type):
            return {kind: str(value)}
    raise TypeError(f"{value.__class__.__name__} objects")


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(v) for v in value]
    if isinstance(value, dict):
        ((kind, body),) = value.items()
        return _DECODERS[kind](body)
    return value


def _moment(body: list[Any]) -> Any:
    moment, zone = pd.Timestamp(body[0]), body[1]
    if zone is None or zone[0] in "+-":
        return moment
    return moment.tz_convert(ZoneInfo(zone))


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "float": float,
    "set": lambda body: {_decode(v) for v in body},
    "mapping": lambda body: {_decode(k): _decode(v) for k, v in body},
    "datetime": _moment,
    "timedelta": lambda body: pd.Timedelta(
        days=body[0], seconds=body[1], microseconds=body[2], nanoseconds=body[3]
    ),
    "bytes": base64.b64decode,
    "complex": lambda body: complex(_decode(body[0]), _decode(body[1])),
    "interval": lambda body: pd.Interval(_decode(body[0]), _decode(body[1]), body[2]),
    "decimal": Decimal,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "uuid": UUID,
}
