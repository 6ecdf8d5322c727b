"""Whether two answers are the same."""

from __future__ import annotations

import math
from typing import Any


def differs(expected: Any, got: Any, where: str = "") -> str:
    """Where two JSON values differ, in words; empty when they agree (floats to 9 digits)."""
    if isinstance(expected, float) and isinstance(got, int | float):
        same = math.isclose(expected, got, rel_tol=1e-9, abs_tol=1e-12)
        return "" if same else f"{where}: {got} instead of {expected}"
    if isinstance(expected, dict) and isinstance(got, dict):
        for key in expected.keys() | got.keys():
            if found := differs(expected.get(key), got.get(key), f"{where} {key}".strip()):
                return found
        return ""
    if isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        pairs = enumerate(zip(expected, got, strict=True), start=1)
        return next((d for i, (e, g) in pairs if (d := differs(e, g, f"{where} {i}".strip()))), "")
    return "" if expected == got else f"{where}: {got!r} instead of {expected!r}"
