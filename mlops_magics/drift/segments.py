"""Drift within the segments of a column: each beside the rows of training of the same segment.

What all rows together hide is seen so: one kind of customer may have changed and the others not, or
two in opposite ways.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from mlops_magics import records
from mlops_magics.drift import reading, report
from mlops_magics.drift.quality import FEWEST_ROWS
from mlops_magics.drift.seen import Profile
from mlops_magics.errors import WrongUsage
from mlops_magics.evidence import columns, profile
from mlops_magics.goals import partition
from mlops_magics.goals.samples import Undefined

#: A column of numbers with more values than this is cut at the quarters of training.
VALUES = 10
NEW = "not in training"


def look(
    known: Profile,
    before: pd.DataFrame,
    now: pd.DataFrame,
    by: str,
    *,
    masked: Collection[str] = (),
) -> list[dict[str, Any]]:
    """Judge each feature in each segment.

    Parameters
    ----------
    known : mapping
        Names and profiles of the features; only their types are used, and the names.
    before, now : DataFrame
        Rows of training and those that came; both have the column `by`.
    by : str
        Its values are the segments, as in goals ``by``; a column of more than 10 different numbers
        is cut at the quarters of training.

    Returns
    -------
    list of dict
        ``segment``, ``rows``, ``reference_rows``, ``share`` and ``reference_share`` of all rows,
        ``drift`` (feature → PSI less chance), ``drifted`` (names), ``why`` (of these) and
        ``reason`` where it is not judged. p-values are corrected for all segments and features
        together.

    Raises
    ------
    WrongUsage
        If the column has too many values to be segments, or can't be read as it was.
    """
    groups = _groups(before[by], now[by], by)
    features = [n for n in known if n != by and n in before.columns]
    found, measured = [], []
    for label, was, here in groups:
        told = {
            "segment": label,
            "rows": len(here),
            "reference_rows": len(was),
            "share": len(here) / max(len(now), 1),
            "reference_share": len(was) / max(len(before), 1),
            "drift": {},
            "drifted": [],
            "why": {},
            "reason": _too_small(len(was), len(here)),
        }
        found.append(told)
        if not told["reason"]:
            reference = profile.profile(before.iloc[was][features])
            given = [n for n in features if n in now.columns]
            part = now.iloc[here][given]
            measured.append((told, report.measure(reference, part, masked=masked)))
    decided = iter(report.decide([f for _, part in measured for f in part]))
    for told, figures in measured:
        judged = [next(decided) for _ in figures]
        told["drift"] = {
            f["name"]: f.get("drift") if f["level"] != "not judged" else None for f in judged
        }
        told["drifted"] = [f["name"] for f in judged if f["drifted"]]
        told["why"] = {f["name"]: f["reason"] for f in judged if f["drifted"]}
    return [dict(records.jsonable(told)) for told in found]


def _groups(
    before: pd.Series, now: pd.Series, by: str
) -> list[tuple[str, np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Label, and its rows in training and now."""
    (known,) = profile.profile(before.to_frame(by)).values()
    read = reading.read(known, now)
    if read.values is None:
        raise WrongUsage(f"{by} can't name the segments: it {read.note}", "Leave out --by.")
    if known["type"] in ("integer", "number") and int(known["distinct"]) > VALUES:
        one, other = _cut(before, read.values)
    else:
        one, other = before.astype(object), read.values
    try:
        was = partition.split(one.to_frame(by), by)
    except Undefined as error:
        raise WrongUsage(
            f"{by} can't name the segments: {error}.", "Name another column."
        ) from None
    numbers = known["type"] in ("integer", "number")
    plain = other if numbers else other.map(str, na_action="ignore")
    found, rest = [], np.ones(len(other), dtype=bool)
    for group in was:
        value = one.iloc[group.rows[0]]
        if pd.isna(value):
            here = other.isna().to_numpy()
        else:
            here = plain.isin([value if numbers else str(value)]).to_numpy()
        rest &= ~here
        found.append((group.label, group.rows, np.flatnonzero(here)))
    if rest.any():
        found.append((f"{by} {NEW}", np.array([], dtype=int), np.flatnonzero(rest)))
    return found


def _cut(before: pd.Series, now: pd.Series) -> tuple[pd.Series, pd.Series]:
    one, other = (pd.Series(columns.numbers(side), index=side.index) for side in (before, now))
    edges = np.unique(np.nanquantile(one, [0.25, 0.5, 0.75], method="inverted_cdf"))
    # As few digits as tell the edges apart.
    digits = next(d for d in (4, 6, 9, 17) if len({f"{e:.{d}g}" for e in edges}) == len(edges))
    at = [f"{edge:.{digits}g}" for edge in edges]
    names = [
        f"up to {at[0]}",
        *(f"{a} to {b}" for a, b in itertools.pairwise(at)),
        f"over {at[-1]}",
    ]
    kind = pd.CategoricalDtype(names, ordered=True)
    bins = np.r_[-np.inf, edges, np.inf]

    def placed(side: pd.Series) -> pd.Series:
        return pd.Series(pd.cut(side, bins, labels=names, include_lowest=True)).astype(kind)

    return placed(one).cat.remove_unused_categories(), placed(other)


def _too_small(was: int, now: int) -> str:
    if not was:
        return "Training had no such rows."
    if not now:
        return "No such rows came."
    for count, where in ((was, "in training"), (now, "now")):
        if count < FEWEST_ROWS:
            few = "1 row" if count == 1 else f"{count} rows"
            return f"{few} {where}, too few to judge ({FEWEST_ROWS} are needed)."
    return ""


def drifted(segments: Collection[Mapping[str, Any]]) -> list[str]:
    """Those in which a feature drifted."""
    return [str(s["segment"]) for s in segments if s["drifted"]]
