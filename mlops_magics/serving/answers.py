"""What the model returned → JSON, as MLflow's scoring server writes it, with null for NaN."""

from __future__ import annotations

import base64
import json
import math
import sys
from datetime import date, datetime, time
from typing import Any

import numpy as np


def encode(raw: Any) -> str:
    """Predictions as one JSON value: a list, with tables as a list of objects.

    NaN and infinities become ``null``: JSON has no word for them.
    """
    plain = _plain(raw)
    try:
        return json.dumps(plain, default=_encode_other, allow_nan=False, separators=(",", ":"))
    except ValueError:
        return json.dumps(
            _finite(plain), default=_encode_other, allow_nan=False, separators=(",", ":")
        )


def _plain(raw: Any) -> Any:
    if isinstance(raw, np.ndarray):
        return raw.tolist()
    pd = sys.modules.get("pandas")  # whoever returns its objects has imported it
    if pd is not None and isinstance(raw, pd.Series):
        raw = pd.DataFrame(raw)
    if pd is not None and isinstance(raw, pd.DataFrame):
        return raw.to_dict(orient="records")
    return raw


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, np.generic | np.ndarray):
        return _finite(value.tolist())
    return value


def _encode_other(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return _finite(value.tolist())
    pd = sys.modules.get("pandas")
    if pd is not None and (value is pd.NaT or value is pd.NA):
        return None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray):
        return base64.encodebytes(value).decode("ascii")
    raise TypeError(f"The model returned a {type(value).__name__}, which has no form in JSON.")
