"""Copies of names for code that may change what they stand for."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from types import FunctionType, ModuleType
from typing import Any, TypeVar

Key = TypeVar("Key")


def made(values: Mapping[Key, Any]) -> dict[Key, Any]:
    """Copies of the values that could be changed; what two of them share stays shared."""
    lasting = (v for v in values.values() if isinstance(v, ModuleType | FunctionType | type))
    memo: dict[int, Any] = {id(v): v for v in lasting}
    found: dict[Key, Any] = {}
    for key, value in values.items():
        try:
            found[key] = _frame(value, memo) if _is_frame(value) else copy.deepcopy(value, memo)
        except Exception:  # a lock, a connection, a generator: nothing to be copied
            found[key] = value
    return found


def _is_frame(value: Any) -> bool:
    return hasattr(value, "iloc") and type(value).__module__.partition(".")[0] == "pandas"


def _frame(value: Any, memo: dict[int, Any]) -> Any:
    """A copy that pandas makes when it is written to, where it does so (from 3.0 on)."""
    import pandas as pd

    lazy = int(pd.__version__.partition(".")[0]) >= 3
    memo[id(value)] = made = value.copy(deep=not lazy)
    return made
