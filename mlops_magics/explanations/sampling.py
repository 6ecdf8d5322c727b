"""Shapley values of any model, by sampling orders in which a row's values come in.

A walk begins at a reference row and takes over the explained row's values one column after the
other; what the answer changes by is that column's part. Every reference row is walked from in a
random order and in its reverse, which takes out most of the chance. The parts of a walk add up to
the way it goes, so they always add up to the answer.

References
----------
Štrumbelj, E. and Kononenko, I. (2014), Explaining prediction models and individual predictions with
feature contributions, Knowledge and Information Systems 41; Mitchell, R. et al. (2022), Sampling
Permutations for Shapley Value Estimation, JMLR 23 (antithetic pairs).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mlops_magics.explanations import mosaic
from mlops_magics.explanations.mosaic import Ints, Said, Variant
from mlops_magics.goals.samples import Floats


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """Contributions of some rows.

    Attributes
    ----------
    base : float
        The average answer of the reference rows that were walked from.
    values, errors : array of shape (n, columns)
        The contributions, and their standard errors.
    """

    base: float
    values: Floats
    errors: Floats


def spread(answers: Floats, count: int) -> Ints:
    """Reference rows to walk from: evenly over what they are answered with."""
    order = np.argsort(answers, kind="stable")
    if len(order) <= count:
        return order
    even = ((np.arange(count) + 0.5) * len(order) / count).astype(int)
    return np.asarray(order[even], dtype=np.intp)


def contributions(
    rows: pd.DataFrame,
    reference: pd.DataFrame,
    answer: Callable[[pd.DataFrame], Said],
    read: Callable[[Said], Floats],
    seed: int = 0,
) -> Sampled:
    """The contributions of `rows`, each walked to from every row of `reference`, twice.

    Parameters
    ----------
    answer, read : callable
        Rows → what the model says of them → the answers that are explained.
    """
    width = rows.shape[1]
    pool = pd.concat([reference, rows], ignore_index=True)
    # A category, say, keeps its type where both have the same.
    pool = pool.astype(reference.dtypes.to_dict()) if reference.columns.is_unique else pool
    ends = read(answer(pool))
    starts, targets = ends[: len(reference)], ends[len(reference) :]
    chance = np.random.default_rng(seed)
    orders = np.array([chance.permutation(width) for _ in range(len(reference))])
    pairs = [(i, k) for i in range(len(rows)) for k in range(len(reference))]

    variants = (_walks(k, len(reference) + i, orders[k]) for i, k in pairs)
    values = np.zeros((len(rows), width))
    squares = np.zeros_like(values)
    asked: Iterator[Said] = mosaic.ask(answer, pool, variants) if width > 1 else iter(())
    for i, k in pairs:
        between = read(next(asked)) if width > 1 else np.zeros(0)
        there, back = between[: width - 1], between[width - 1 :]
        part = np.zeros(width)
        for order, way in ((orders[k], there), (orders[k][::-1], back)):
            part[order] += np.diff(way, prepend=starts[k], append=targets[i]) / 2
        values[i] += part
        squares[i] += part**2
    count = len(reference)
    mean = values / count
    variance = np.maximum(squares / count - mean**2, 0) * count / max(count - 1, 1)
    return Sampled(base=float(starts.mean()), values=mean, errors=np.sqrt(variance / count))


def _walks(start: int, end: int, order: Ints) -> Variant:
    """The rows between two others, with one more of the end's values each time: there and back."""
    width = len(order)
    rank = np.empty(width, dtype=np.intp)
    rank[order] = np.arange(width)
    step = np.arange(width - 1)
    changed = {
        j: np.where(np.concatenate([rank[j] <= step, width - 1 - rank[j] <= step]), end, start)
        for j in range(width)
    }
    return Variant(np.full(2 * (width - 1), start), changed)
