"""Drift of categories against a profile of the training data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlops_magics.drift import shares
from mlops_magics.drift.shares import Floats
from mlops_magics.drift.tallies import Categories

#: Categories in which fewer rows are expected are counted together for χ².
FEWEST = 5.0
#: Bars of the picture; the rest is one bar.
BARS = 12

#: How the categories that a profile does not list by name are called in pictures: where it
#: lists all of them, such a category is new.
OTHER = "other"
NEW = "not in training"
MISSING = "missing"


def compare(profile: Mapping[str, Any], seen: Categories) -> dict[str, Any]:
    """How categories differ from a column's profile.

    A category that the profile does not name counts as ``other``, like those that it counted
    together; where it named them all, that is a new category. Missing values are one more.

    Returns
    -------
    dict
        ``psi``, ``chance``, ``drift``, ``bins`` (categories and epsilon), ``jensen_shannon``,
        ``chi2``, ``chi2_p``, ``cramers_v``, ``histogram`` and ``p``, uncorrected.
    """
    names, before, now = _binned(profile, seen)
    stability = shares.stability(before, now)
    test = shares.chi_square(before, now, fewest=FEWEST)
    return {
        "psi": stability.psi,
        "chance": stability.chance,
        "drift": stability.drift,
        "bins": {"categories": names, "epsilon": shares.EPSILON},
        "jensen_shannon": shares.jensen_shannon(before, now) if before.sum() else None,
        "chi2": test.statistic,
        "chi2_p": test.p,
        "cramers_v": test.cramers_v,
        "p": test.p,
        "histogram": _histogram(names, before, now),
    }


def binned(profile: Mapping[str, Any], seen: Categories) -> tuple[list[str], Floats]:
    """The categories that a profile tells apart, and how often each came."""
    names, _, now = _binned(profile, seen)
    return names, now


def _binned(profile: Mapping[str, Any], seen: Categories) -> tuple[list[str], Floats, Floats]:
    known: Mapping[str, int] = profile["categories"]
    names = [*known, OTHER if profile["other"] else NEW, MISSING]
    before = np.array([*known.values(), profile["other"], profile["missing"]], dtype=float)
    other = sum(count for name, count in seen.counts.items() if name not in known)
    now = [*(seen.counts.get(name, 0) for name in known), other, seen.missing]
    return names, before, np.array(now, dtype=float)


def _histogram(names: list[str], before: Any, now: Any) -> dict[str, Any]:
    named = len(names) - 2
    order = np.argsort(-(before[:named] + now[:named]), kind="stable")
    shown, rest = order[:BARS], order[BARS:]
    labels = [names[i] for i in shown]
    sides = []
    for side in (before, now):
        bars = [*side[shown], side[rest].sum() + side[named], side[named + 1]]
        sides.append(np.array(bars) / max(side.sum(), 1.0))
    labels += names[named:]
    kept = [i for i in range(len(labels)) if sides[0][i] or sides[1][i] or i < len(shown)]
    return {
        "labels": [labels[i] for i in kept],
        "reference": sides[0][kept],
        "current": sides[1][kept],
    }
