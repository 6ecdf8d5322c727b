"""Drift over time: rows cut into windows, each beside training, and when a feature changed."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mlops_magics import records
from mlops_magics.drift import categorical, changes, numeric, report, seen, shares, times
from mlops_magics.drift.quality import FEWEST_ROWS, too_few
from mlops_magics.drift.seen import Profile, Seen
from mlops_magics.drift.shares import Floats
from mlops_magics.drift.tallies import Categories, Numbers
from mlops_magics.errors import WrongUsage

#: More windows than this are no picture of anything, and take their time.
MOST = 400
_DAY = 86_400


@dataclass(frozen=True)
class Windows:
    """What was found.

    Attributes
    ----------
    windows : tuple of mapping
        The oldest first, empty ones among them: ``begin`` and ``end`` (ISO 8601, UTC), ``rows``,
        ``drift`` (feature → PSI less chance, ``None`` where there is none; empty where too few
        rows came), ``drifted``
        (names) and ``reason``, why nothing is judged.
    changes : tuple of mapping
        The earliest first: ``feature``, ``at`` (the begin of the first window after it), ``p``
        (corrected), ``psi`` and ``drift`` of before and after, ``before`` and ``after`` (``rows``,
        ``missing``, and ``mean``, or ``category`` and its ``share``) and ``reason``.
    """

    windows: tuple[Mapping[str, Any], ...] = ()
    changes: tuple[Mapping[str, Any], ...] = ()


def look(
    profile: Profile,
    frame: pd.DataFrame,
    when: pd.Series,
    span: float,
    *,
    masked: Collection[str] = (),
) -> Windows:
    """Cut rows into windows and judge each.

    Parameters
    ----------
    profile : mapping
        Of training.
    when : Series
        A UTC instant a row; rows without one stand in no window.
    span : float
        Seconds of a window.
    masked : collection of str
        Columns whose values were not kept.

    Raises
    ------
    WrongUsage
        If there would be more than `MOST` windows.
    """
    number, first, last = times.of_parts(when, span)
    _check(when, last - first + 1)
    columns = [c for c in frame.columns if str(c) in profile]
    order = np.argsort(number, kind="stable")
    ordered = frame[columns].iloc[order]
    ends = np.searchsorted(number[order], np.arange(last - first + 2))
    came = [seen.of(profile, ordered.iloc[start:end]) for start, end in itertools.pairwise(ends)]
    found = [_measure(profile, part, masked) for part in came]
    # Decided together: what is one of a thousand by chance is met in a thousand figures.
    decided = iter(report.decide([feature for part in found for feature in part]))
    begins = [_begin(first + at, span) for at in range(len(came) + 1)]
    told = [
        _window(begin, end, part.rows, [next(decided) for _ in measured])
        for begin, end, part, measured in zip(begins, begins[1:], came, found, strict=False)
    ]
    compared = [n for n, p in profile.items() if n not in masked and not report.no_comparison(p)]
    return Windows(tuple(told), tuple(_changes(profile, compared, came, begins, span)))


def _measure(profile: Profile, part: Seen, masked: Collection[str]) -> list[dict[str, Any]]:
    if part.rows < FEWEST_ROWS:
        return []
    found = report.measure(profile, part, masked=masked)
    # No picture is drawn of a window.
    return [{k: v for k, v in f.items() if k not in ("histogram", "bins")} for f in found]


def _check(when: pd.Series, count: int) -> None:
    if count > MOST:
        days = [moment.isoformat(timespec="minutes") for moment in (when.min(), when.max())]
        raise WrongUsage(
            f"From {days[0]} to {days[1]} there would be {count:,} windows; {MOST} are the most.",
            "Give a longer --window, or fewer days of rows.",
        )


def _begin(number: int, span: float) -> pd.Timestamp:
    return times.MONDAY + pd.Timedelta(seconds=number * span)


def _window(
    begin: pd.Timestamp, end: pd.Timestamp, rows: int, features: list[dict[str, Any]]
) -> dict[str, Any]:
    reason = ""
    if rows < FEWEST_ROWS:
        reason = f"{too_few(rows)}." if rows else "No rows."
    return {
        "begin": begin.isoformat(),
        "end": end.isoformat(),
        "rows": rows,
        "drift": {f["name"]: f.get("drift") for f in features},
        "drifted": [f["name"] for f in features if f["drifted"]],
        "reason": reason,
    }


def _changes(
    profile: Profile, names: list[str], came: list[Seen], begins: list[pd.Timestamp], span: float
) -> list[dict[str, Any]]:
    counted = {n: np.array([_bins(profile[n], part, n) for part in came]) for n in names}
    cuts = {n: cut for n, c in counted.items() if len(c) and (cut := changes.find(c)) is not None}
    found = []
    for (name, cut), p in zip(cuts.items(), changes.named([*cuts.values()]), strict=True):
        if p is None:
            continue
        # Windows without rows before it say nothing of when it was: the cut is where rows are.
        sides = {
            "before": _side(profile[name], name, came[: cut.at], counted[name][: cut.at]),
            "after": _side(profile[name], name, came[cut.at :], counted[name][cut.at :]),
        }
        _name_the_category(profile[name], counted[name], cut.at, sides)
        at = begins[cut.at]
        found.append(
            {
                "feature": name,
                "at": at.isoformat(),
                "p": p,
                "psi": cut.psi,
                "drift": cut.drift,
                **sides,
                "reason": _words(name, at, span, cut, p, sides),
            }
        )
    return [dict(records.jsonable(c)) for c in sorted(found, key=lambda c: str(c["at"]))]


def _bins(profile: Mapping[str, Any], part: Seen, name: str) -> Floats:
    """Rows by bin; the last counts what can't be read as what it was."""
    column = part.columns.get(name)
    readable = column is not None and column.readable
    tally = column.tally if column is not None and readable else seen.tally(profile)
    if isinstance(tally, Numbers):
        read = numeric.binned(profile, tally)
    else:
        assert isinstance(tally, Categories)  # nothing else is compared
        read = categorical.binned(profile, tally)[1]
    return np.append(np.asarray(read, dtype=float), 0 if readable else part.rows)


def _side(
    profile: Mapping[str, Any], name: str, parts: list[Seen], counts: Floats
) -> dict[str, Any]:
    rows = counts.sum()
    told: dict[str, Any] = {"rows": int(rows), "missing": float(counts[:, -2].sum() / rows)}
    if unreadable := float(counts[:, -1].sum()):
        told["unreadable"] = unreadable / rows
    if profile["type"] in ("integer", "number"):
        tallies = [part.columns[name].tally for part in parts if name in part.columns]
        means = [
            (t.mean, t.given - t.infinite)
            for t in tallies
            if isinstance(t, Numbers) and t.mean is not None
        ]
        total = sum(count for _, count in means)
        told["mean"] = sum(mean * count for mean, count in means) / total if total else None
    return told


def _name_the_category(
    profile: Mapping[str, Any], counts: Floats, at: int, sides: dict[str, dict[str, Any]]
) -> None:
    """Of categories the one whose share moved most."""
    if profile["type"] not in ("string", "boolean"):
        return
    names = categorical.binned(profile, Categories())[0]
    was, now = (side.sum(axis=0) / side.sum() for side in (counts[:at], counts[at:]))
    most = int(np.argmax(np.abs(now - was)[: len(names)]))
    for called, share in (("before", was), ("after", now)):
        sides[called] |= {"category": names[most], "share": float(share[most])}


def _words(
    name: str,
    at: pd.Timestamp,
    span: float,
    cut: changes.Cut,
    p: float,
    sides: Mapping[str, Mapping[str, Any]],
) -> str:
    was, now = sides["before"], sides["after"]
    day = at.date().isoformat() if span % _DAY == 0 else at.strftime("%Y-%m-%d %H:%M UTC")
    what = ""
    if now.get("unreadable", 0) != was.get("unreadable", 0):
        share = max(now.get("unreadable", 0), was.get("unreadable", 0))
        what = f"of another type in {share:.1%} of rows"
    elif abs(now["missing"] - was["missing"]) >= 0.05:
        what = f"missing in {was['missing']:.1%} of rows before, {now['missing']:.1%} after"
    elif was.get("mean") is not None and now.get("mean") is not None:
        what = f"its mean was {was['mean']:.4g} and is {now['mean']:.4g}"
    elif "category" in was:
        what = f"{was['category']!r} was {was['share']:.1%} of rows and is {now['share']:.1%}"
    size = f"PSI {cut.psi:.3f}, p {shares.shown(p)}"
    said = f"{name} changed on {day}" if span % _DAY == 0 else f"{name} changed at {day}"
    return f"{said}: {what} ({size})." if what else f"{said} ({size})."
