"""Where along a column a model is asked: quantiles of what is ordered, frequent categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from mlops_magics.evidence import columns
from mlops_magics.explanations.mosaic import Ints
from mlops_magics.goals.samples import Floats

#: Places of a column at most: along numbers, and among categories.
NUMBERS, CATEGORIES = 20, 12
#: The quantiles that a number is seen at, where it has more different values than places.
_QUANTILES = np.linspace(0.05, 0.95, NUMBERS - 1)


@dataclass(frozen=True, kw_only=True)
class Places:
    """Values of a column, each with a row that has it.

    Attributes
    ----------
    values : tuple
        In their order, categories the most frequent first; a missing value is ``None`` and last.
    rows : array of int
        A row for each.
    shares : tuple of float
        The share of rows that lie at each place, or nearest to it.
    low, high : int
        The places of the 10th and the 90th percentile of what is ordered; else 0.
    """

    kind: Literal["number", "time", "category"]
    values: tuple[Any, ...]
    rows: Ints
    shares: tuple[float, ...]
    low: int = 0
    high: int = 0

    @property
    def ordered(self) -> bool:
        """Whether there is a lower and a higher."""
        return self.kind != "category"


def numbers(values: pd.Series) -> Floats | None:
    """The values as numbers in their order, NaN where missing; ``None`` of what has no order."""
    kind = columns.type_of(values)
    if kind in ("integer", "number"):
        return columns.numbers(values)
    if kind == "datetime":
        try:
            times = columns.times(values)
        except (ValueError, TypeError):
            return None
        since = (times - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
        return np.asarray(since, dtype=float)
    return None


def of(values: pd.Series) -> Places:
    """The places of a column."""
    found = numbers(values)
    if found is None:
        return _categories(values)
    present = np.flatnonzero(np.isfinite(found))
    order = present[np.argsort(found[present], kind="stable")]
    _, first = np.unique(found[order], return_index=True)
    if len(first) > NUMBERS:
        at = np.round(_QUANTILES * (len(order) - 1)).astype(int)
        _, first = np.unique(found[order][at], return_index=True)
        order = order[at]
    rows = order[first]
    grid = found[rows]
    middle = (grid[1:] + grid[:-1]) / 2
    counts = np.bincount(np.searchsorted(middle, found[present]), minlength=len(grid))
    missing = np.flatnonzero(np.isnan(found))
    tenth, ninetieth = np.quantile(found[present], [0.1, 0.9]) if len(present) else (0.0, 0.0)
    return Places(
        kind="number" if columns.type_of(values) != "datetime" else "time",
        values=(*(plain(values.iloc[i]) for i in rows), *([None] if len(missing) else [])),
        rows=np.append(rows, missing[:1]),
        shares=_shares([*counts[: len(grid)], *([len(missing)] if len(missing) else [])], values),
        low=int(np.abs(grid - tenth).argmin()) if len(grid) else 0,
        high=int(np.abs(grid - ninetieth).argmin()) if len(grid) else 0,
    )


def _categories(values: pd.Series) -> Places:
    codes = columns.codes(values)
    kinds, first, counts = np.unique(codes, return_index=True, return_counts=True)
    known = kinds >= 0
    frequent = np.argsort(-counts[known], kind="stable")[:CATEGORIES]
    rows, shown = first[known][frequent], counts[known][frequent]
    missing = first[~known]
    return Places(
        kind="category",
        values=(*(plain(values.iloc[i]) for i in rows), *([None] * len(missing))),
        rows=np.append(rows, missing),
        shares=_shares([*shown, *counts[~known]], values),
    )


def _shares(counts: list[Any], values: pd.Series) -> tuple[float, ...]:
    return tuple(float(count) / max(len(values), 1) for count in counts)


def plain(value: Any) -> Any:
    """One value as JSON has it; ``None`` where it is missing."""
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return None
    if hasattr(value, "isoformat"):
        return str(value.isoformat()).removesuffix("T00:00:00")
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        return value.item()
    return value if isinstance(value, bool | int | float | str) else str(value)
