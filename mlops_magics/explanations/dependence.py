"""Partial dependence: the average answer when a column has one value in all rows.

References
----------
Friedman, J. (2001), Greedy Function Approximation: A Gradient Boosting Machine, section 8.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mlops_magics.explanations import mosaic, places
from mlops_magics.explanations.mosaic import Said, Variant
from mlops_magics.explanations.places import Places
from mlops_magics.goals.samples import Floats

#: Rows that the average is taken over, at most.
ROWS = 500


@dataclass(frozen=True, kw_only=True)
class Dependence:
    """The average answer at each place of a column."""

    places: Places
    average: tuple[float, ...]


def dependences(
    pool: pd.DataFrame,
    features: Sequence[int],
    answer: Callable[[pd.DataFrame], Said],
    read: Callable[[Said], Floats],
) -> dict[int, Dependence]:
    """The partial dependence on each of some columns.

    Parameters
    ----------
    pool : DataFrame
        The rows that the places are taken from; the first `ROWS` are averaged over, so they are
        to be in the order of chance.
    features : sequence of int
        Which columns.
    """
    grids = {j: places.of(pool.iloc[:, j]) for j in features}
    over = np.arange(min(len(pool), ROWS))
    variants = (
        Variant(over, {j: np.full(len(over), row)})
        for j, grid in grids.items()
        for row in grid.rows
    )
    averages = (float(read(said).mean()) for said in mosaic.ask(answer, pool, variants))
    return {
        j: Dependence(places=grid, average=tuple(next(averages) for _ in grid.rows))
        for j, grid in grids.items()
    }
