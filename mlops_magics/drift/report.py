"""Every feature of some data beside its profile from training, and whether it drifted.

A feature has drifted when both hold:

- the *size* of the change matters: PSI, less what chance gives in so few rows, is 0.2 or more
  (`mlops_magics.drift.shares.stability`); between 0.1 and 0.2 the change is called moderate;
- it is no accident: its p-value (Kolmogorov–Smirnov for numbers, χ² for categories), corrected
  for the number of features by Benjamini and Hochberg's procedure, is at most 0.05.

So a million rows do not make every difference an alarm, and thirty do not make noise one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mlops_magics import records
from mlops_magics.drift import categorical, numeric, seen, shares
from mlops_magics.drift import exact as drift_exact
from mlops_magics.drift.quality import FEWEST_ROWS, too_few
from mlops_magics.drift.seen import Column, Profile, Seen
from mlops_magics.drift.tallies import Categories, Numbers


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When a feature counts as drifted; `large` and `moderate` are of PSI less chance."""

    large: float = 0.2
    moderate: float = 0.1
    alpha: float = 0.05


def compare(
    reference: Profile,
    current: pd.DataFrame | Seen,
    *,
    rule: Rule | None = None,
    exclude: tuple[str, ...] = (),
    masked: Collection[str] = (),
    exact: tuple[pd.DataFrame, pd.DataFrame] | None = None,
) -> list[dict[str, Any]]:
    """Judge each feature of the reference.

    Parameters
    ----------
    reference : mapping
        Column → profile, as `mlops_magics.evidence.profile.profile` makes it.
    current : DataFrame or Seen
        The same columns, any rows.
    exclude : tuple of str
        Columns to leave out, the target for one.
    masked : collection of str
        Columns whose values were not kept, so that nothing is said of them.
    exact : tuple of two DataFrames, optional
        The rows of training and those that came: figures are then of all their values, and have
        ``exact``.

    Returns
    -------
    list of dict
        One a feature, in plain JSON types: ``name``, ``type``, ``drifted``, ``level`` (``none``,
        ``moderate``, ``large``, ``changed`` or ``not judged``), ``reason``, ``rows``,
        ``missing`` and ``reference_missing`` (shares), and where they can be computed ``psi``,
        ``chance``, ``drift``, ``bins``, ``jensen_shannon``, ``p``, ``p_corrected``,
        ``histogram`` (shares of both sides, over ``edges`` or ``labels``), for numbers ``ks``,
        ``ks_p``, ``wasserstein``, ``wasserstein_std``, ``mean``, ``reference_mean``, for
        categories ``chi2``, ``chi2_p``, ``cramers_v``.
    """
    found = measure(reference, current, exclude=exclude, masked=masked)
    if exact is not None:
        for feature in found:
            feature |= _exactly(feature, reference, *exact)
    return decide(found, rule)


def measure(
    reference: Profile,
    current: pd.DataFrame | Seen,
    *,
    exclude: tuple[str, ...] = (),
    masked: Collection[str] = (),
) -> list[dict[str, Any]]:
    """The figures of each feature, of which nothing is decided yet; as `compare` takes and gives.

    What is decided together, as its p-values are corrected together, is measured part by part.
    """
    here = seen.of(reference, current) if isinstance(current, pd.DataFrame) else current
    return [
        _masked(name, profile, here.rows)
        if name in masked
        else _measure(name, profile, here.columns.get(name), here.rows)
        for name, profile in reference.items()
        if name not in exclude
    ]


def decide(found: list[dict[str, Any]], rule: Rule | None = None) -> list[dict[str, Any]]:
    """Whether each of the measured features drifted, with p-values corrected for all of them."""
    chosen = rule or Rule()
    tested = [f for f in found if "p" in f]
    corrected = shares.correct([f["p"] for f in tested])
    for feature, p in zip(tested, corrected, strict=True):
        feature["p_corrected"] = p
        feature |= _decide(feature, chosen)
    return [records.jsonable(feature) for feature in found]


def _exactly(
    feature: Mapping[str, Any], reference: Profile, before: pd.DataFrame, now: pd.DataFrame
) -> dict[str, Any]:
    name = feature["name"]
    if "p" not in feature or name not in before.columns or name not in now.columns:
        return {}
    return drift_exact.figures(reference[name], before[name], now[name])


def _base(name: str, profile: Mapping[str, Any]) -> dict[str, Any]:
    rows = int(profile["rows"])
    return {
        "name": name,
        "type": str(profile["type"]),
        "drifted": False,
        "level": "not judged",
        "reason": "",
        "reference_missing": int(profile["missing"]) / rows if rows else None,
    }


def _masked(name: str, profile: Mapping[str, Any], rows_now: int) -> dict[str, Any]:
    reason = "Its values are masked in what was captured."
    return _base(name, profile) | {"rows": rows_now, "missing": None, "reason": reason}


def _measure(
    name: str, profile: Mapping[str, Any], column: Column | None, rows_now: int
) -> dict[str, Any]:
    base = _base(name, profile)
    if rows_now == 0:
        return base | {"rows": 0, "missing": None, "reason": "There are no rows."}
    if column is None:
        reason = "The column is missing from the data."
        return base | {"drifted": True, "level": "changed", "reason": reason}
    base |= {"rows": rows_now, "missing": column.missing / rows_now}
    reason = no_comparison(profile)
    if reason:
        return base | {"reason": reason}
    if not column.readable:
        return base | {"drifted": True, "level": "changed", "reason": f"It {column.note}"}
    if isinstance(column.tally, Numbers):
        return base | numeric.compare(profile, column.tally)
    if isinstance(column.tally, Categories):
        return base | categorical.compare(profile, column.tally)
    raise TypeError(f"A column of {profile['type']} is not compared.")  # said above


def no_comparison(profile: Mapping[str, Any]) -> str:
    """Why nothing can be compared with a column's profile; empty where it can."""
    kind = str(profile["type"])
    if int(profile["missing"]) >= int(profile["rows"]):
        return "It had no value in training, so there is nothing to compare with."
    if kind == "datetime":
        return "Times move on by themselves: their distribution is not compared."
    if kind == "object":
        return "Mixed values have no distribution to compare."
    if kind in ("integer", "number") and not profile.get("quantiles"):
        return "It had no finite value in training, so there is nothing to compare with."
    return ""


def _decide(feature: Mapping[str, Any], rule: Rule) -> dict[str, Any]:
    if feature["rows"] < FEWEST_ROWS:
        reason = f"{too_few(feature['rows'])}."
        return {"drifted": False, "level": "not judged", "reason": reason}
    drift, p = feature["drift"], feature["p_corrected"]
    figures = f"PSI {feature['psi']:.3f} ({feature['chance']:.3f} by chance), p {shares.shown(p)}"
    if p > rule.alpha:
        return {"drifted": False, "level": "none", "reason": f"No drift is seen: {figures}."}
    if drift >= rule.large:
        return {"drifted": True, "level": "large", "reason": f"Drifted: {figures}.{_how(feature)}"}
    if drift >= rule.moderate:
        reason = f"Moderate drift: {figures}.{_how(feature)}"
        return {"drifted": False, "level": "moderate", "reason": reason}
    return {"drifted": False, "level": "none", "reason": f"Hardly any drift: {figures}."}


def _how(feature: Mapping[str, Any]) -> str:
    """What moved, in words."""
    gaps = feature["missing"] - feature["reference_missing"]
    if abs(gaps) >= 0.05:
        return (
            f" Missing in {feature['missing']:.1%} of rows, "
            f"{feature['reference_missing']:.1%} in training."
        )
    if feature.get("mean") is not None and feature.get("reference_mean") is not None:
        return f" The mean is {feature['mean']:.4g}, {feature['reference_mean']:.4g} in training."
    histogram = feature.get("histogram") or {}
    if "labels" in histogram:
        moved = [
            now - was for was, now in zip(histogram["reference"], histogram["current"], strict=True)
        ]
        at = max(range(len(moved)), key=lambda i: abs(moved[i]))
        return (
            f" {histogram['labels'][at]!r} is {histogram['current'][at]:.1%} of rows, "
            f"{histogram['reference'][at]:.1%} in training."
        )
    return ""
