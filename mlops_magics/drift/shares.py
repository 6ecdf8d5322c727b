"""How far two distributions over the same bins are apart.

p and q are the shares of the bins: of the reference and of what is compared with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]

#: Rows added to every bin of both sides, so that an empty one has a logarithm (Jeffreys' prior).
#: A fixed tiny share instead would let one empty bin of a small sample decide the figure.
EPSILON = 0.5

#: What chance gives in this share of samples is taken off the figure that alarms.
CHANCE = 0.95


@dataclass(frozen=True)
class Stability:
    """A population stability index, and what of it is more than chance.

    Attributes
    ----------
    psi : float
        The index itself.
    chance : float
        What it stays under in 95 of 100 samples of this size when nothing has drifted.
    drift : float
        ``max(0, psi - chance)``: the figure that thresholds are held against.
    bins : int
    """

    psi: float
    chance: float
    drift: float
    bins: int


def smooth(counts: ArrayLike, epsilon: float = EPSILON) -> Floats:
    """Counts as shares, after `epsilon` rows were added to every bin."""
    given = np.asarray(counts, dtype=float) + epsilon
    return np.asarray(given / given.sum())


def population_stability(p: ArrayLike, q: ArrayLike) -> float:
    """Σ (q − p) ln(q / p), the symmetric Kullback–Leibler divergence; shares above 0.

    Known as PSI in credit scoring, where under 0.1 counts as stable and over 0.2 as shifted
    (Siddiqi 2006, *Credit Risk Scorecards*).
    """
    reference, current = np.asarray(p, dtype=float), np.asarray(q, dtype=float)
    return float(np.sum((current - reference) * np.log(current / reference)))


def stability(reference: ArrayLike, current: ArrayLike, epsilon: float = EPSILON) -> Stability:
    """The PSI of two rows of counts, and how much of it chance alone may give.

    In small samples PSI is biased upwards: with nothing drifted, PSI / (1/n + 1/m) is about χ²
    with one degree of freedom less than bins (Yurdakul 2018, *Statistical Properties of
    Population Stability Index*). The 95th percentile of that is taken off: with 50 rows in ten
    bins it is 0.34, with 5,000 it is 0.003.
    """
    before, now = np.asarray(reference, dtype=float), np.asarray(current, dtype=float)
    kept = (before > 0) | (now > 0)
    before, now = before[kept], now[kept]
    bins = len(before)
    if bins < 2 or before.sum() == 0 or now.sum() == 0:
        return Stability(0.0, 0.0, 0.0, bins)
    psi = population_stability(smooth(before, epsilon), smooth(now, epsilon))
    chance = float(stats.chi2.ppf(CHANCE, bins - 1) * (1 / before.sum() + 1 / now.sum()))
    return Stability(psi, chance, max(0.0, psi - chance), bins)


def jensen_shannon(p: ArrayLike, q: ArrayLike) -> float:
    """√(½ KL(p‖m) + ½ KL(q‖m)), m = ½(p + q), logarithms to base 2: a distance from 0 to 1.

    As ``scipy.spatial.distance.jensenshannon(p, q, base=2)`` (Endres and Schindelin 2003).
    """
    reference, current = _normalise(p), _normalise(q)
    middle = (reference + current) / 2
    halves = [_divergence(reference, middle), _divergence(current, middle)]
    return float(np.sqrt(max(0.0, sum(halves) / 2)))


def _divergence(p: Floats, q: Floats) -> float:
    held = p > 0
    return float(np.sum(p[held] * np.log2(p[held] / q[held])))


def _normalise(shares: ArrayLike) -> Floats:
    given = np.asarray(shares, dtype=float)
    return np.asarray(given / given.sum())


@dataclass(frozen=True)
class ChiSquare:
    """A test of homogeneity.

    Attributes
    ----------
    statistic, p : float
    cramers_v : float
        √(χ² / n) for two rows: the effect's size, from 0 to 1, whatever the number of rows.
    """

    statistic: float
    p: float
    cramers_v: float


def chi_square(reference: ArrayLike, current: ArrayLike, fewest: float = 0.0) -> ChiSquare:
    """Pearson's χ² for two rows of counts over the same bins, without continuity correction.

    As ``scipy.stats.chi2_contingency([reference, current], correction=False)``.

    Parameters
    ----------
    fewest : float
        Bins in which fewer rows than this are expected on either side are counted together, as
        the χ² distribution does not hold for them (Cochran 1954 asks for 5).
    """
    table = np.array([np.asarray(reference, float), np.asarray(current, float)])
    table = table[:, table.sum(axis=0) > 0]
    if fewest:
        table = _pool(table, fewest)
    if table.shape[1] < 2 or (table.sum(axis=1) == 0).any():
        return ChiSquare(0.0, 1.0, 0.0)
    total = table.sum()
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / total
    statistic = float(((table - expected) ** 2 / expected).sum())
    p = float(stats.chi2.sf(statistic, table.shape[1] - 1))
    return ChiSquare(statistic, p, float(np.sqrt(statistic / total)))


def _pool(table: Floats, fewest: float) -> Floats:
    share = table.sum(axis=1).min() / max(table.sum(), 1.0)
    rare = table.sum(axis=0) * share < fewest
    if rare.sum() < 2:
        return table
    return np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])


def missing_p(reference: tuple[int, int], current: tuple[int, int]) -> float:
    """Probability of such different shares of missing values, were they the same.

    Each side is (missing, rows). Fisher's exact test where few are expected, else χ².
    """
    table = np.array([[m, rows - m] for m, rows in (reference, current)], dtype=float)
    if (table.sum(axis=0) == 0).any() or (table.sum(axis=1) == 0).any():
        return 1.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    if expected.min() < 5:
        return float(stats.fisher_exact(table.astype(int))[1])
    return chi_square(table[0], table[1]).p


def shown(p: float) -> str:
    """A p-value in words."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def correct(p: list[float]) -> list[float]:
    """p-values adjusted for their number (Benjamini and Hochberg 1995)."""
    if not p:
        return []
    adjusted: Any = stats.false_discovery_control(np.clip(p, 0, 1))
    return [float(v) for v in adjusted]
