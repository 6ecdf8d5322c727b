"""Whether two answers are the same."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from mlops_magics.serving import graph

#: How far a number may be from the expected one, relative to its size.
EXACT = 1e-9
#: ... where a graph may have answered, which was proven to be no further from the model.
PROVEN = 1e-5


def tolerance(package: Path) -> float:
    """How near to the kept answers those of a package's server must be."""
    return PROVEN if (package / graph.FOLDER).is_dir() else EXACT


def differs(expected: Any, got: Any, where: str = "", within: float = EXACT) -> str:
    """Where two JSON values differ, in words; empty when they agree."""
    if isinstance(expected, float) and isinstance(got, int | float):
        least = 1e-12 if within == EXACT else within
        same = math.isclose(expected, got, rel_tol=within, abs_tol=least)
        return "" if same else f"{where}: {got} instead of {expected}"
    if isinstance(expected, dict) and isinstance(got, dict):
        for key in expected.keys() | got.keys():
            if found := differs(expected.get(key), got.get(key), f"{where} {key}".strip(), within):
                return found
        return ""
    if isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        pairs = enumerate(zip(expected, got, strict=True), start=1)
        return next(
            (d for i, (e, g) in pairs if (d := differs(e, g, f"{where} {i}".strip(), within))), ""
        )
    return "" if expected == got else f"{where}: {got!r} instead of {expected!r}"
