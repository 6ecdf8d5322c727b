"""Figures from all values of both sides, where the rows of training can be had.

Beside a profile, distances between numbers are read at 401 quantiles, and of categories the 50 most
frequent are told apart. Here nothing is left out: the figures are scipy's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mlops_magics.drift import categorical, numeric, reading, shares


def figures(
    profile: Mapping[str, Any], before: pd.Series, now: pd.Series, missing_p: float
) -> dict[str, Any]:
    """What replaces the figures of a profile.

    Parameters
    ----------
    before, now : Series
        A column of training, and as it came.
    missing_p : float
        Of the share of missing values, as `numeric.compare` gives it.

    Returns
    -------
    dict
        For numbers ``ks``, ``ks_p``, ``wasserstein``, ``wasserstein_std`` and ``p``; for
        categories ``chi2``, ``chi2_p``, ``cramers_v``, ``jensen_shannon`` and ``p``; ``exact`` is
        true. Empty where a side has no value, or can't be read as it was.
    """
    one, other = (reading.read(profile, values).values for values in (before, now))
    if one is None or other is None or not (one.notna().any() and other.notna().any()):
        return {}
    if profile["type"] not in ("integer", "number"):
        return _categories(one, other)
    numbers = [side.dropna().to_numpy(dtype=float) for side in (one, other)]
    return _numbers(profile, numbers[0], numbers[1], missing_p)


def _numbers(profile: Mapping[str, Any], one: Any, other: Any, missing_p: float) -> dict[str, Any]:
    distance, p = numeric.kolmogorov_smirnov(one, other)
    found: dict[str, Any] = {"exact": True, "ks": distance, "ks_p": p}
    found["p"] = numeric.both(missing_p, p)
    finite = [side[np.isfinite(side)] for side in (one, other)]
    if all(len(side) for side in finite):
        found["wasserstein"] = moved = numeric.wasserstein(*finite)
        std = profile.get("std") or 0.0
        found["wasserstein_std"] = moved / std if std > 0 else None
    return found


def _categories(one: pd.Series, other: pd.Series) -> dict[str, Any]:
    counts = pd.DataFrame({i: s.astype(object).where(s.notna(), None).astype(str).value_counts()
                           for i, s in enumerate((one, other))}).fillna(0)  # fmt: skip
    test = shares.chi_square(counts[0], counts[1], fewest=categorical.FEWEST)
    return {
        "exact": True,
        "chi2": test.statistic,
        "chi2_p": test.p,
        "cramers_v": test.cramers_v,
        "jensen_shannon": shares.jensen_shannon(counts[0], counts[1]),
        "p": test.p,
    }
