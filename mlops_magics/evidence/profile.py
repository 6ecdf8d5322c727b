"""The profile of data: what each column looked like, small enough to keep with its record.

It is shown with the record, and it is the reference against which drift is judged later: the
401 quantiles bin values so finely that the Kolmogorov-Smirnov distance read from them is off by
0.00125 at most, and by 2e-4 on a million continuous ones.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from mlops_magics.evidence import columns

#: Every quarter of a percent, from the least value to the greatest.
QUANTILES = 401
BINS = 20
#: Categories counted one by one; the rest are counted together.
CATEGORIES = 50


def profile(frame: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Column name → statistics, as plain JSON types.

    Every column has ``type``, ``rows``, ``missing`` and ``distinct`` (both without the missing
    values). Beside these

    - integers and numbers have, over their finite values, ``mean``, ``std`` (with n - 1),
      ``min``, ``max``, ``quantiles`` (401), ``ends`` (the means of what lies between the least two
      different quantiles and between the greatest two, where a tail is not straight),
      ``histogram`` (``edges``, one more than ``counts``), and ``infinite``, the count of the
      others;
    - strings and booleans have ``categories`` (value → count, the 50 most frequent, most
      frequent first) and ``other``, the count of the rest;
    - datetimes have ``min`` and ``max`` in ISO 8601.

    What can't be computed, for want of values, is ``None``.
    """
    return {str(name): _column(values) for name, values in frame.items()}


def _column(values: pd.Series) -> dict[str, Any]:
    type = columns.type_of(values)
    base = {"type": type, "rows": len(values), "missing": int(values.isna().sum())}
    match type:
        case "integer" | "number":
            return base | _numbers(columns.numbers(values))
        case "string" | "boolean":
            return base | _categories(values)
        case "datetime":
            return base | {"distinct": columns.distinct(values)} | _times(values)
    return base | {"distinct": columns.distinct(values)}


def _numbers(values: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, Any]:
    given = values[~np.isnan(values)]
    finite = np.sort(given[np.isfinite(given)])  # once, for all that follows
    count = len(finite)
    with np.errstate(over="ignore", invalid="ignore"):
        steps = np.flatnonzero(finite[1:] != finite[:-1])
        infinities = len(np.unique(given[np.isinf(given)]))
        quantiles = _quantiles(finite)
        return {
            "distinct": (len(steps) + 1 if count else 0) + infinities,
            "mean": _number(finite.mean()) if count else None,
            "std": _number(finite.std(ddof=1)) if count > 1 else None,
            "min": _number(finite[0]) if count else None,
            "max": _number(finite[-1]) if count else None,
            "quantiles": quantiles,
            "ends": _ends(finite, np.unique(quantiles)) if quantiles else None,
            "histogram": _histogram(finite),
            "infinite": len(given) - count,
        }


def _quantiles(finite: np.ndarray[Any, Any]) -> list[float] | None:
    if not len(finite):
        return None
    # Values that were really seen: between two of them a quantile of a count means nothing.
    at = np.linspace(0, 1, QUANTILES)
    return [float(q) for q in np.quantile(finite, at, method="inverted_cdf")]


def _ends(finite: np.ndarray[Any, Any], knots: np.ndarray[Any, Any]) -> list[float | None]:
    means = []
    for low, high in (knots[:2], knots[-2:]) if len(knots) > 1 else ():
        between = finite[
            np.searchsorted(finite, low, side="right") : np.searchsorted(finite, high, side="left")
        ]
        means.append(_number(between.mean()) if len(between) else None)
    return means


def _histogram(finite: np.ndarray[Any, Any]) -> dict[str, list[float]] | None:
    if not len(finite) or not math.isfinite(finite[-1] - finite[0]):
        return None
    counts, edges = np.histogram(finite, bins=BINS)
    return {"edges": [float(e) for e in edges], "counts": [int(c) for c in counts]}


def _categories(values: pd.Series) -> dict[str, Any]:
    counts = values.value_counts(dropna=True)
    counts = counts[counts > 0]  # a category may stand for no row
    shown: dict[str, int] = {}
    for value, count in counts.iloc[:CATEGORIES].items():
        shown[str(value)] = shown.get(str(value), 0) + int(count)
    other = int(counts.iloc[CATEGORIES:].sum())
    return {"distinct": len(counts), "categories": shown, "other": other}


def _times(values: pd.Series) -> dict[str, str | None]:
    if not pd.api.types.is_datetime64_any_dtype(values.dtype):
        values = columns.times(values)
    given = values.dropna()
    if not len(given):
        return {"min": None, "max": None}
    return {"min": given.min().isoformat(), "max": given.max().isoformat()}


def _number(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
