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
from mlops_magics.drift.tallies import Categories


def figures(profile: Mapping[str, Any], before: pd.Series, now: pd.Series) -> dict[str, Any]:
    """What replaces the figures of a profile.

    Parameters
    ----------
    before, now : Series
        A column of training, and as it came.

    Returns
    -------
    dict
        For numbers ``ks``, ``ks_p``, ``wasserstein`` and ``wasserstein_std``; for categories
        ``chi2``, ``chi2_p``, ``cramers_v`` and ``jensen_shannon``; for both ``p``, of values and
        gaps, and ``exact``, which is true. Empty where a side has no value, or can't be read as it
        was.
    """
    one, other = (reading.read(profile, values).values for values in (before, now))
    if one is None or other is None or not (one.notna().any() and other.notna().any()):
        return {}
    gaps = [(int(side.isna().sum()), len(side)) for side in (one, other)]
    missing = shares.missing_p(gaps[0], gaps[1])
    if profile["type"] in ("integer", "number"):
        numbers = [side.dropna().to_numpy(dtype=float) for side in (one, other)]
        found, p = _numbers(profile, numbers[0], numbers[1])
    else:
        found, p = _categories(one, other)
    return {"exact": True, **found, "p": numeric.both(missing, p)}


def _numbers(profile: Mapping[str, Any], one: Any, other: Any) -> tuple[dict[str, Any], float]:
    distance, p = numeric.kolmogorov_smirnov(one, other)
    found: dict[str, Any] = {"ks": distance, "ks_p": p}
    finite = [side[np.isfinite(side)] for side in (one, other)]
    if all(len(side) for side in finite):
        found["wasserstein"] = moved = numeric.wasserstein(*finite)
        std = profile.get("std") or 0.0
        found["wasserstein_std"] = moved / std if std > 0 else None
    return found, p


def _categories(one: pd.Series, other: pd.Series) -> tuple[dict[str, Any], float]:
    before, now = Categories(), Categories()
    before.add(one)
    now.add(other)
    names = list({**before.counts, **now.counts})
    was, here = ([side.counts.get(name, 0) for name in names] for side in (before, now))
    test = shares.chi_square(was, here, fewest=categorical.FEWEST)
    return {
        "chi2": test.statistic,
        "chi2_p": test.p,
        "cramers_v": test.cramers_v,
        "jensen_shannon": shares.jensen_shannon(was, here),
    }, test.p
