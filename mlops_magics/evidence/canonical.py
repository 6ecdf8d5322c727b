"""The canonical form of one value: equal values give equal bytes, different ones different bytes.

A value is a *kind* (one byte) and a *payload*. Kinds in `FIXED` have a payload of eight bytes,
`MISSING`, `TRUE` and `FALSE` have none, and every other kind has one of any length. The form
holds values, not their containers: a numpy int16 and a Python int are one kind; ``None``, NaN,
NaT and NA are all `MISSING`; a list, a tuple and an array of equal items are equal; the order
of a mapping's keys and of a set does not count.
"""

from __future__ import annotations

import enum
import fractions
import struct
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd

MISSING, TRUE, FALSE = b"-TF"
INTEGER, FLOAT = b"if"
#: An instant without a zone, in µs since 1970; with a remainder below 1 µs, in ns.
DATETIME, DATETIME_NS = b"dn"
#: A span of time, likewise.
DURATION, DURATION_NS = b"tv"
#: An instant in a zone: eight bytes (µs or ns since 1970, UTC), then the zone's name.
ZONED, ZONED_NS = b"zy"
TEXT, BYTES, BIG, COMPLEX, DECIMAL, DATE, TIME = b"sbgcDae"
SEQUENCE, MAPPING, SET, NAMED = b"lmuo"

FIXED = frozenset([INTEGER, FLOAT, DATETIME, DATETIME_NS, DURATION, DURATION_NS])

# Types whose text says all there is to say about a value.
_NAMED = (uuid.UUID, PurePath, fractions.Fraction, pd.Interval, pd.Period, np.longdouble)
_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS = {"us": 1, "ms": 1000, "s": 1_000_000}


def encode(value: Any) -> tuple[int, bytes]:
    """The kind and the payload of one value.

    Raises
    ------
    TypeError
        If values of this type have no canonical form; the message names the type.
    OverflowError
        If an instant or a span is outside of ±292,000 years.
    """
    if isinstance(value, str):
        return TEXT, value.encode("utf-8", "surrogatepass")
    if value is None or value is pd.NaT or value is pd.NA:
        return MISSING, b""
    if isinstance(value, enum.Enum):  # before int and str, of which it may be one as well
        return NAMED, _named(value, value.name)
    if isinstance(value, bool | np.bool_):
        return (TRUE if value else FALSE), b""
    if isinstance(value, np.timedelta64 | timedelta):  # the first is a numpy integer as well
        return _duration(value)
    if isinstance(value, int | np.integer):
        return _integer(int(value))
    if isinstance(value, float | np.floating):
        return _float(value)
    if isinstance(value, np.datetime64 | datetime):
        return _instant(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return BYTES, bytes(value)
    return _rarer(value)


def framed(value: Any) -> bytes:
    """One value in a form that says itself where it ends."""
    kind, payload = encode(value)
    return struct.pack("<Bq", kind, len(payload)) + payload


def zone_name(zone: tzinfo) -> str:
    """One name for a time zone, whichever library it comes from: ``UTC``, ``+01:00``, a key."""
    offset = zone.utcoffset(None)
    if offset is None:
        return str(getattr(zone, "key", None) or zone)
    if not offset:
        return "UTC"
    sign, span = ("-", -offset) if offset < timedelta(0) else ("+", offset)
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    return f"{sign}{minutes // 60:02}:{minutes % 60:02}" + (f":{seconds:02}" if seconds else "")


def _integer(value: int) -> tuple[int, bytes]:
    if -(2**63) <= value < 2**63:
        return INTEGER, struct.pack("<q", value)
    return BIG, str(value).encode()


def _float(value: Any) -> tuple[int, bytes]:
    if value != value:
        return MISSING, b""
    plain = float(value)
    if plain != value:  # a long double that a double can't hold
        return NAMED, _named(value, str(value))
    return FLOAT, struct.pack("<d", plain + 0.0)  # -0.0 + 0.0 is 0.0


def _duration(value: Any) -> tuple[int, bytes]:
    if pd.isna(value):
        return MISSING, b""
    if isinstance(value, pd.Timedelta):
        value = value.to_timedelta64()
    elif isinstance(value, timedelta):
        return DURATION, _eight(value // _MICROSECOND)
    return _by_unit(value, DURATION, DURATION_NS)


def _instant(value: Any) -> tuple[int, bytes]:
    if pd.isna(value):
        return MISSING, b""
    zone = getattr(value, "tzinfo", None)
    if isinstance(value, datetime) and not isinstance(value, pd.Timestamp):
        if zone is not None:
            value = value.astimezone(UTC).replace(tzinfo=None)
        kind, payload = DATETIME, _eight((value - _EPOCH) // _MICROSECOND)
    else:
        # numpy's form of a zoned Timestamp is its instant in UTC
        moment = value.to_datetime64() if isinstance(value, pd.Timestamp) else value
        kind, payload = _by_unit(moment, DATETIME, DATETIME_NS)
    if zone is None:
        return kind, payload
    return (ZONED if kind == DATETIME else ZONED_NS), payload + zone_name(zone).encode()


def _by_unit(value: Any, micro: int, nano: int) -> tuple[int, bytes]:
    unit = np.datetime_data(value)[0]
    count = int(value.astype(np.int64))
    if unit == "ns":
        whole, rest = divmod(count, 1000)
        return (nano, _eight(count)) if rest else (micro, _eight(whole))
    if unit in ("ps", "fs", "as"):
        raise TypeError(f"times in {unit}")
    if unit not in _MICROSECONDS:  # minutes to years
        count, unit = int(value.astype(f"{value.dtype.kind}8[s]").astype(np.int64)), "s"
    return micro, _eight(count * _MICROSECONDS[unit])


def _eight(count: int) -> bytes:
    try:
        return struct.pack("<q", count)
    except struct.error as error:
        raise OverflowError("a time outside of ±292,000 years") from error


def _rarer(value: Any) -> tuple[int, bytes]:
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, date):
        return DATE, value.isoformat().encode()
    if isinstance(value, time):
        return TIME, value.isoformat().encode()
    if isinstance(value, np.ndarray):
        return SEQUENCE, _array(value)
    if isinstance(value, list | tuple | pd.Series | pd.Index):
        return SEQUENCE, _sequence(value)
    if isinstance(value, Mapping):
        return MAPPING, b"".join(sorted(framed(k) + framed(v) for k, v in value.items()))
    if isinstance(value, set | frozenset):
        return SET, b"".join(sorted(map(framed, value)))
    if isinstance(value, complex | np.complexfloating):
        if value != value:
            return MISSING, b""
        return COMPLEX, struct.pack("<dd", value.real + 0.0, value.imag + 0.0)
    if isinstance(value, _NAMED):
        return NAMED, _named(value, str(value))
    if np.ndim(value) == 0 and pd.isna(value) is True:
        return MISSING, b""
    raise TypeError(f"{type(value).__name__} objects")


def _named(value: Any, text: str) -> bytes:
    return f"{type(value).__qualname__}\0{text}".encode("utf-8", "surrogatepass")


def _decimal(value: Decimal) -> tuple[int, bytes]:
    if value.is_nan():
        return MISSING, b""
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        return DECIMAL, str(value).encode()  # ±Infinity
    # 1.0 and 1.00 are one value. `normalize` would round to the context's precision.
    text = "".join(map(str, digits)).lstrip("0")
    short = text.rstrip("0")
    if not short:
        return DECIMAL, b"0"
    return DECIMAL, f"{'-' * sign}{short}e{exponent + len(text) - len(short)}".encode()


def _sequence(values: Iterable[Any]) -> bytes:
    encoded = [encode(v) for v in values]
    kinds = bytes(kind for kind, _ in encoded)
    fixed = b"".join(payload for kind, payload in encoded if kind in FIXED)
    free = b"".join(
        struct.pack("<q", len(payload)) + payload for kind, payload in encoded if kind not in FIXED
    )
    return struct.pack("<q", len(kinds)) + kinds + fixed + free


def _array(values: np.ndarray[Any, Any]) -> bytes:
    if values.ndim == 0:
        return framed(values.item())
    if values.ndim > 1 or values.dtype.kind != "f" or values.dtype.itemsize > 8:
        return _sequence(list(values))
    # An embedding: as the sequence of its floats, without a Python step for each.
    given = ~np.isnan(values)
    kinds: bytes = np.where(given, FLOAT, MISSING).astype(np.uint8).tobytes()
    fixed: bytes = (values[given].astype("<f8") + 0.0).tobytes()
    free = struct.pack("<q", 0) * int((~given).sum())
    return struct.pack("<q", len(kinds)) + kinds + fixed + free
