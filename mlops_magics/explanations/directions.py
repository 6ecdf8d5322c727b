"""Whether a column raises or lowers the answer, in one word."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from mlops_magics.explanations import places
from mlops_magics.explanations.dependence import Dependence
from mlops_magics.goals.samples import Floats

RAISES, LOWERS, MIXED, CATEGORY, NONE = "raises", "lowers", "mixed", "by category", "none"

#: This share of a curve's way must go in one direction to be called so.
_ONE_WAY = 0.9
#: So closely, by rank, contributions must follow the values.
_FOLLOWS = 0.7


def of_dependence(found: Dependence) -> str:
    """The direction of a partial dependence."""
    if not found.places.ordered:
        return CATEGORY
    steps = np.diff(found.average[: found.places.high + 1][found.places.low :])
    way = float(np.abs(steps).sum())
    if way == 0:
        return NONE
    up = float(steps[steps > 0].sum()) / way
    return RAISES if up >= _ONE_WAY else LOWERS if up <= 1 - _ONE_WAY else MIXED


def of_contributions(values: pd.Series, contributions: Floats) -> str:
    """The direction in which the contributions of a column go along with its values."""
    numbers = places.numbers(values)
    if numbers is None:
        return CATEGORY
    known = np.isfinite(numbers)
    if not contributions.any():
        return NONE
    if known.sum() < 3 or np.ptp(numbers[known]) == 0 or np.ptp(contributions[known]) == 0:
        return MIXED
    follows = float(stats.spearmanr(numbers[known], contributions[known]).statistic)
    return RAISES if follows >= _FOLLOWS else LOWERS if follows <= -_FOLLOWS else MIXED
