"""Drift of all columns together: can a classifier tell rows that came from those of training?

A change that no column shows alone, of how columns go together, is seen by it. It learns on one
half of the rows and is asked about the other, and the other way round; the area under its ROC curve
is 0.5 where there is nothing to tell (the classifier two-sample test of Lopez-Paz and Oquab 2017,
*Revisiting Classifier Two-Sample Tests*).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from mlops_magics import records
from mlops_magics.drift import reading, shares
from mlops_magics.drift.quality import FEWEST_ROWS, too_few
from mlops_magics.drift.seen import Profile
from mlops_magics.drift.shares import Floats

#: Rows of each side that are looked at, at most; of each half so many a side for the drivers.
ROWS, ROWS_OF_DRIVERS = 10_000, 1_000
#: An AUC from which it counts as drift. A single normal column whose PSI is 0.2 has been moved by
#: √0.2 standard deviations, which gives Φ(√0.2 / √2) = 0.624.
LARGE = 0.62
ALPHA = 0.05
#: Trees are few and small: what is to be found is in many rows, or it is no drift.
TREES, LEAVES = 40, 15
#: Categories that are told apart, if they came so often; the rest is one.
CATEGORIES, FEWEST_OF_ONE = 200, 5
#: Columns that drive it are named from this share on, so many at most.
SHARE, NAMED = 0.01, 20
#: The greatest number that a tree is given; infinite ones are taken for it.
_GREATEST = 1e300


def measure(
    profile: Profile,
    before: pd.DataFrame,
    now: pd.DataFrame,
    *,
    masked: Collection[str] = (),
    seed: int = 0,
) -> dict[str, Any]:
    """How well the rows of two tables are told apart, and by which columns.

    Parameters
    ----------
    profile : mapping
        Of the columns to look at; datetimes and mixed values are left out.
    before, now : DataFrame
        Rows of training and those that came; of more than `ROWS` a seeded sample.
    masked : collection of str
        Columns whose values were not kept.

    Returns
    -------
    dict
        In plain JSON types ``auc``, its 95 % ``interval``, ``p`` (of an AUC that is not above
        0.5), ``drifted``, ``rows``, ``reference_rows``, ``drivers`` (``feature``; ``lost``, what
        of the AUC is lost where its values are shuffled; ``share`` of all that is lost so; none
        where `p` is above 0.05), ``left_out`` (column → why) and ``reason``; where it can't be
        computed ``reason`` alone.
    """
    if min(len(before), len(now)) < FEWEST_ROWS:
        few = min(len(before), len(now))
        return {"reason": f"{too_few(few, 'tell two sides apart')}."}
    random = np.random.default_rng(seed)
    one, other = (_sample(side, random) for side in (before, now))
    table, left_out = _encode(profile, one, other, masked)
    if not table.names:
        return {"reason": "No column is left that both sides have.", "left_out": left_out}
    came = np.r_[np.zeros(len(one), dtype=bool), np.ones(len(other), dtype=bool)]
    halves = [_Half(table, came, *parts, seed) for parts in _halves(came, random)]
    found = _together(halves)
    drivers = _drivers(table, halves, random) if found["p"] <= ALPHA else []
    drifted = found["p"] <= ALPHA and found["auc"] >= LARGE
    found |= {"drifted": drifted, "rows": len(other), "reference_rows": len(one)}
    found |= {"drivers": drivers, "left_out": left_out}
    return dict(records.jsonable(found | {"reason": _words(found)}))


@dataclass(frozen=True)
class _Table:
    """Columns as a tree takes them: numbers, and codes of categories; NaN where missing."""

    names: list[str]
    values: Floats
    categories: list[bool]


def _sample(frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    if len(frame) <= ROWS:
        return frame
    return frame.iloc[np.sort(random.choice(len(frame), ROWS, replace=False))]


def _encode(
    profile: Profile, one: pd.DataFrame, other: pd.DataFrame, masked: Collection[str]
) -> tuple[_Table, dict[str, str]]:
    names, columns, categories = [], [], []
    left_out: dict[str, str] = {}
    for name, known in profile.items():
        why = _why_not(name, known, one, other, masked)
        sides = [] if why else [reading.read(known, side[name]).values for side in (one, other)]
        given = [side for side in sides if side is not None]
        if why or len(given) < 2:
            left_out[name] = why or "its type has changed"
            continue
        both = pd.concat(given, ignore_index=True)
        numbers = known["type"] in ("integer", "number")
        column = both.to_numpy(dtype=float) if numbers else _codes(both)
        seen = column[~np.isnan(column)]
        if not len(seen) or (len(seen) == len(column) and (seen == seen[0]).all()):
            continue  # it is the same in each row
        names.append(name)
        columns.append(np.clip(column, -_GREATEST, _GREATEST))
        categories.append(not numbers)
    values = np.column_stack(columns) if columns else np.empty((len(one) + len(other), 0))
    return _Table(names, values, categories), left_out


def _why_not(
    name: str,
    known: Mapping[str, Any],
    one: pd.DataFrame,
    other: pd.DataFrame,
    masked: Collection[str],
) -> str:
    if name in masked:
        return "its values are masked"
    if known["type"] == "datetime":
        return "times move on by themselves"
    if known["type"] == "object":
        return "mixed values have no order and no categories"
    if name not in one.columns:
        return "it is missing from the rows of training"
    return "" if name in other.columns else "it is missing from the data"


def _codes(values: pd.Series) -> Floats:
    text = values.astype(object).where(values.notna(), None).map(str, na_action="ignore")
    counts = text.value_counts()
    known = counts[counts >= FEWEST_OF_ONE].index[:CATEGORIES]
    code = {name: float(i) for i, name in enumerate(known)}
    found = text.map(code).astype(float)
    return np.asarray(found.where(found.notna() | text.isna(), float(len(known))))


def _halves(came: Any, random: np.random.Generator) -> list[tuple[Any, Any]]:
    """Rows to learn from and rows to be asked about; each side is cut in the middle."""
    first = np.zeros(len(came), dtype=bool)
    for side in (came, ~came):
        rows = random.permutation(np.flatnonzero(side))
        first[rows[: len(rows) // 2]] = True
    return [(first, ~first), (~first, first)]


class _Half:
    """What was learnt from one half of the rows, and what it says of the other."""

    def __init__(self, table: _Table, came: Any, learnt: Any, asked: Any, seed: int) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier

        self.model = HistGradientBoostingClassifier(
            max_iter=TREES,
            max_leaf_nodes=LEAVES,
            categorical_features=table.categories,
            early_stopping=False,
            random_state=seed,
        ).fit(table.values[learnt], came[learnt])
        self.rows, self.came = np.flatnonzero(asked), came[asked]
        said = self.model.decision_function(table.values[asked])
        self.auc, self.error = _delong(said, self.came)
        self.error_of_none = _mann_whitney(said, self.came)


def _delong(scores: Floats, came: Any) -> tuple[float, float]:
    """The area under the ROC curve and its standard error.

    By placement values (DeLong, DeLong and Clarke-Pearson 1988, *Comparing the areas under two or
    more correlated receiver operating characteristic curves*), these by midranks.
    """
    ranks = stats.rankdata(scores)
    there, here = scores[came], scores[~came]
    above = (ranks[came] - stats.rankdata(there)) / len(here)
    below = 1 - (ranks[~came] - stats.rankdata(here)) / len(there)
    variance = above.var(ddof=1) / len(there) + below.var(ddof=1) / len(here)
    return float(above.mean()), float(np.sqrt(variance))


def _mann_whitney(scores: Floats, came: Any) -> float:
    """The standard error of an AUC where both sides are alike: √((n + m + 1) / 12 n m), less ties.

    Mann and Whitney 1947, *On a test of whether one of two random variables is stochastically
    larger than the other*; ties as Lehmann 1975, *Nonparametrics*, has them.
    """
    count, there = len(scores), int(came.sum())
    ties = np.unique(scores, return_counts=True)[1].astype(float)
    spread = count + 1 - (ties**3 - ties).sum() / (count * (count - 1))
    return float(np.sqrt(spread / (12 * there * (count - there))))


def _together(halves: list[_Half]) -> dict[str, Any]:
    """The mean AUC of both halves, its interval and its p-value.

    The halves depend on each other: what one has by chance, the other learns. So the standard error
    of the mean is taken to be the mean of theirs, which it is at most, however they depend; as if
    they were independent (divided by √2) one in ten of unchanged samples would be called changed.
    """
    auc = float(np.mean([half.auc for half in halves]))
    far = 1.96 * float(np.mean([half.error for half in halves]))
    none = float(np.mean([half.error_of_none for half in halves]))
    p = float(stats.norm.sf((auc - 0.5) / none)) if none > 0 else 1.0
    return {"auc": auc, "interval": [max(0.0, auc - far), min(1.0, auc + far)], "p": p}


def _drivers(
    table: _Table, halves: list[_Half], random: np.random.Generator
) -> list[dict[str, Any]]:
    """What of the AUC is lost where one column's values are dealt out anew (Breiman 2001)."""
    lost = np.zeros(len(table.names))
    for half in halves:
        kept = np.concatenate(
            [
                random.permutation(half.rows[side])[:ROWS_OF_DRIVERS]
                for side in (half.came, ~half.came)
            ]
        )
        came = np.arange(len(kept)) < min(int(half.came.sum()), ROWS_OF_DRIVERS)
        values = table.values[kept]
        whole = _delong(half.model.decision_function(values), came)[0]
        for at in range(len(table.names)):
            shuffled = values.copy()
            shuffled[:, at] = random.permutation(values[:, at])
            lost[at] += whole - _delong(half.model.decision_function(shuffled), came)[0]
    lost = np.clip(lost / len(halves), 0.0, None)
    share = lost / (lost.sum() or 1.0)
    order = [at for at in np.argsort(-lost, kind="stable") if share[at] >= SHARE][:NAMED]
    return [{"feature": table.names[i], "lost": lost[i], "share": share[i]} for i in order]


def _words(found: Mapping[str, Any]) -> str:
    low, high = found["interval"]
    figures = f"AUC {found['auc']:.3f} ({low:.3f} to {high:.3f}), p {shares.shown(found['p'])}"
    by = ", ".join(f"{d['feature']} ({d['share']:.0%})" for d in found["drivers"][:3])
    told = f" By {by}." if by else ""
    if found["drifted"]:
        return f"The rows are told from those of training: {figures}.{told}"
    if found["p"] <= ALPHA:
        return f"The rows are hardly told from those of training: {figures}.{told}"
    return f"The rows are not told from those of training: {figures}."
