"""Permutation importance: what a metric loses when one column is shuffled.

References
----------
Breiman, L. (2001), Random Forests; Fisher, A., Rudin, C. and Dominici, F. (2019), All Models are
Wrong, but Many are Useful.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from mlops_magics.explanations import mosaic
from mlops_magics.explanations.mosaic import Said, Variant

#: Of the interval, which is that of the mean over the repeats.
LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class Importance:
    """The loss of one column's shuffles.

    Attributes
    ----------
    interval : tuple of float or None
        95 % of the mean over the repeats (Student's t); ``None`` of a single one.
    constant : bool
        Whether the column has one value only, so that no shuffle changes it.
    """

    loss: float
    interval: tuple[float, float] | None = None
    constant: bool = False


def importances(
    pool: pd.DataFrame,
    answer: Callable[[pd.DataFrame], Said],
    loss: Callable[[Said], float],
    repeats: int = 5,
    seed: int = 0,
) -> list[Importance]:
    """The importance of each column of `pool`.

    All columns are shuffled alike in each repeat, so that chance does not set them apart.

    Parameters
    ----------
    answer : callable
        Rows → what the model says of them.
    loss : callable
        What it says of all rows with one column shuffled → how much worse that is.
    """
    count, width = pool.shape
    chance = np.random.default_rng(seed)
    shuffles = [chance.permutation(count) for _ in range(repeats)]
    moving = [j for j in range(width) if not _constant(pool.iloc[:, j])]
    lost = np.zeros((width, repeats))

    as_they_are = np.arange(count)
    variants = (Variant(as_they_are, {j: shuffle}) for j in moving for shuffle in shuffles)
    places = ((j, r) for j in moving for r in range(repeats))
    for place, said in zip(places, mosaic.ask(answer, pool, variants), strict=True):
        lost[place] = loss(said)
    still = set(range(width)) - set(moving)
    return [
        Importance(loss=0.0, constant=True) if j in still else _summed_up(lost[j])
        for j in range(width)
    ]


def _constant(values: pd.Series) -> bool:
    from mlops_magics.evidence import columns

    codes = columns.codes(values)
    return bool((codes == codes[:1]).all())


def _summed_up(lost: np.ndarray) -> Importance:
    mean = float(lost.mean())
    if len(lost) < 2:
        return Importance(loss=mean)
    reach = float(stats.t.ppf((1 + LEVEL) / 2, len(lost) - 1) * lost.std(ddof=1) / len(lost) ** 0.5)
    return Importance(loss=mean, interval=(mean - reach, mean + reach))
