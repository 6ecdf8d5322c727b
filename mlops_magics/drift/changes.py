"""When a feature changed: the one day that cuts its windows into a before and an after.

Each cut between two windows is tried: do the rows before it lie in the bins of the profile as those
after it do? By Pearson's χ² of homogeneity, as the likelihood ratio it stands for is less true in
small samples. The cut with the least probability is the change point (Hinkley and Hinkley 1970,
*Inference about the change-point in a sequence of binomial variables*; Horváth and Serbinowska
1995, *Testing for changes in multinomial observations*). It is named if it is

- no accident: its p-value, times the number of cuts that were tried (Bonferroni), and corrected for
  the number of features (Benjamini and Hochberg), is at most 0.05;
- large enough to matter: the PSI of before and after, less what chance gives, is 0.1 or more.

Only the counts of each window are needed, so one pass over the rows is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from mlops_magics.drift import shares
from mlops_magics.drift.categorical import FEWEST
from mlops_magics.drift.quality import FEWEST_ROWS
from mlops_magics.drift.shares import Floats

#: A PSI of before and after, less chance, from which a change is named.
LARGE = 0.1
ALPHA = 0.05


@dataclass(frozen=True)
class Cut:
    """The most telling cut of one feature's windows.

    Attributes
    ----------
    at : int
        The first window after it.
    p : float
        Corrected for the number of cuts.
    psi, drift : float
        Of before and after; the second less what chance gives.
    """

    at: int
    p: float
    psi: float
    drift: float


def find(counts: Floats) -> Cut | None:
    """The most telling cut; ``None`` where there is none to try.

    Parameters
    ----------
    counts : array of shape (windows, bins)
        Rows. A cut leaves at least `FEWEST_ROWS` on each side.
    """
    counts = np.asarray(counts, dtype=float)
    rows = counts.sum(axis=1)
    before = np.cumsum(rows)[:-1]
    after = rows.sum() - before
    # Behind an empty window the cut would be the same one again.
    tried = np.flatnonzero((before >= FEWEST_ROWS) & (after >= FEWEST_ROWS) & (rows[1:] > 0))
    if not len(tried):
        return None
    sides = np.cumsum(counts, axis=0)[tried]
    statistic, freedom = _homogeneity(sides, counts.sum(axis=0))
    best = int(np.argmax(_normal(statistic, freedom)))
    single = stats.chi2.sf(statistic[best], freedom[best]) if freedom[best] else 1.0
    one = sides[best]
    moved = shares.stability(one, counts.sum(axis=0) - one)
    return Cut(
        at=int(tried[best]) + 1,
        p=float(min(1.0, single * len(tried))),
        psi=moved.psi,
        drift=moved.drift,
    )


def named(cuts: Sequence[Cut]) -> list[float | None]:
    """For each feature's cut its p, corrected for all of them; ``None`` where it is no change."""
    corrected = shares.correct([cut.p for cut in cuts])
    return [
        p if p <= ALPHA and cut.drift >= LARGE else None
        for cut, p in zip(cuts, corrected, strict=True)
    ]


def _homogeneity(before: Floats, total: Floats) -> tuple[Floats, Floats]:
    """Pearson's χ² of each cut, and its degrees of freedom.

    Bins in which fewer than 5 rows are expected on a side count as one, as in `shares.chi_square`.
    """
    rows = before.sum(axis=1)
    after = total.sum() - rows
    share = total / total.sum()
    rare = share * np.minimum(rows, after)[:, np.newaxis] < FEWEST
    expected = share * rows[:, np.newaxis]
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(rare, 0.0, (before - expected) ** 2 / share).sum(axis=1)
        pooled = np.where(rare, share, 0.0).sum(axis=1)
        off = np.where(rare, before - expected, 0.0).sum(axis=1)
        each += np.where(pooled > 0, off**2 / pooled, 0.0)
    # What is too much before the cut is too little after it, so the square is that of both sides.
    statistic = each * (1 / rows + 1 / after)
    bins = (~rare & (total > 0)).sum(axis=1) + (pooled > 0)
    return statistic, np.asarray(bins - 1, dtype=float)


def _normal(statistic: Floats, freedom: Floats) -> Floats:
    """χ² as a standard normal value, which does not end at a p of 0 (Wilson and Hilferty 1931)."""
    degrees = np.maximum(freedom, 1.0)
    spread = 2 / (9 * degrees)
    value = (np.cbrt(statistic / degrees) - (1 - spread)) / np.sqrt(spread)
    return np.where(freedom > 0, value, -np.inf)
