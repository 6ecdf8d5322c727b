"""Data quality beside the training data: gaps, categories, ranges, types, constants, copies.

Each finding is a sentence. A finding is made where it is more than noise (the tests are named
below); it informs, and alarms only where a goal asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mlops_magics.drift import seen, shares
from mlops_magics.drift.seen import Profile, Seen, Tally
from mlops_magics.drift.tallies import Categories, Numbers

#: A share of missing values is worth a word when it rose by this much, and not by chance.
MISSING_RISE = 0.05
#: What would happen by chance less often than this is worth a word.
ALPHA = 0.01
#: A column of so many values makes it unlikely that two rows are equal in all columns.
MANY = 100
#: Fewer rows than this say nothing about what is missing from them.
FEWEST_ROWS = 30


def too_few(rows: int, to: str = "judge") -> str:
    """That there are not enough rows for something, without the full stop."""
    count = "1 row is" if rows == 1 else f"{rows} rows are"
    return f"{count} too few to {to} ({FEWEST_ROWS} are needed)"


def find(
    reference: Profile, current: pd.DataFrame | Seen, exclude: tuple[str, ...] = ()
) -> list[str]:
    """What is not as it was in training, one sentence each, column by column."""
    here = seen.of(reference, current) if isinstance(current, pd.DataFrame) else current
    if not here.rows:
        return []
    found = of_columns(reference, here, exclude)
    unknown = [name for name in here.strangers if name not in exclude]
    if unknown:
        found.append(f"Not seen in training: {_some(unknown, 'column')}.")
    return found + _copies(reference, here)


def of_columns(
    reference: Profile, current: pd.DataFrame | Seen, exclude: tuple[str, ...] = ()
) -> list[str]:
    """What is not as it was in the columns of training, one sentence each."""
    here = seen.of(reference, current) if isinstance(current, pd.DataFrame) else current
    found: list[str] = []
    if not here.rows:
        return found
    for name, profile in reference.items():
        if name in exclude:
            continue
        column = here.columns.get(name)
        if column is None:
            found.append(f"{name} is missing from the data.")
            continue
        if column.note:
            found.append(f"{name} {column.note}")
        if column.readable:
            found += [f"{name} {finding}" for finding in _column(profile, column.tally)]
    return found


def _column(profile: Mapping[str, Any], tally: Tally) -> list[str]:
    findings = [*_gaps(profile, tally)]
    if isinstance(tally, Categories):
        findings += _categories(profile, tally)
    elif isinstance(tally, Numbers):
        findings += _range(profile, tally)
    varied = tally.rows >= FEWEST_ROWS and int(profile["distinct"]) > 1
    if varied and tally.always:
        findings.append(f"is {tally.always} in every one of {tally.rows} rows.")
    return findings


def _gaps(profile: Mapping[str, Any], tally: Tally) -> list[str]:
    missing, rows = tally.missing, tally.rows
    before = int(profile["missing"]) / max(int(profile["rows"]), 1)
    if int(profile["rows"]) and int(profile["missing"]) == int(profile["rows"]) and missing < rows:
        return [f"had no value in training and has {rows - missing} now."]
    if missing == rows and before < 1:
        return [f"has no value in {rows} rows; {before:.1%} were missing in training."]
    p = shares.missing_p((int(profile["missing"]), int(profile["rows"])), (missing, rows))
    if missing / rows - before >= MISSING_RISE and p < ALPHA:
        return [f"is missing in {missing / rows:.1%} of rows, {before:.1%} in training."]
    return []


def _categories(profile: Mapping[str, Any], tally: Categories) -> list[str]:
    known: Mapping[str, int] = profile["categories"]
    seen = tally.counts
    total = sum(known.values()) + int(profile["other"])
    found = []
    new = {name: count for name, count in seen.items() if name not in known}
    # Where training had more categories than the profile names, an unnamed one may be old.
    if new and total and not profile["other"]:
        share = sum(new.values()) / max(sum(seen.values()), 1)
        kind = "new category" if len(new) == 1 else "new categories"
        found.append(f"has {kind} {_some(list(new))} in {share:.1%} of rows.")
    rows = sum(seen.values())
    gone = [
        name
        for name, count in known.items()
        if name not in seen and rows >= FEWEST_ROWS and _never(count / total, rows) < ALPHA
    ]
    if gone:
        kind = "category" if len(gone) == 1 else "categories"
        found.append(f"no longer has the {kind} {_some(gone)}.")
    return found


def _never(share: float, rows: int) -> float:
    """Probability that a category of that share is not met in so many rows."""
    return float((1 - share) ** rows)


def _range(profile: Mapping[str, Any], tally: Numbers) -> list[str]:
    found = []
    if tally.infinite and not profile.get("infinite"):
        found.append(f"is infinite in {tally.infinite} of {tally.rows} rows.")
    finite, outside = tally.given - tally.infinite, tally.outside
    if profile["min"] is None or not finite:
        return found
    low, high = float(profile["min"]), float(profile["max"])
    # Of m further values of the same kind, 2m / (n + 1) are expected outside the range of n, and
    # five times as many once in some hundred times (the ends of that range are themselves chance).
    expected = 2 * finite / (int(profile["rows"]) - int(profile["missing"]) + 1)
    if outside > 5 * expected + 3 * np.sqrt(expected):
        found.append(
            f"is outside {low:g} to {high:g}, the range in training, in {outside} of "
            f"{tally.rows} rows (from {tally.least:g} to {tally.greatest:g})."
        )
    return found


def _copies(reference: Profile, here: Seen) -> list[str]:
    if max((int(p["distinct"]) for p in reference.values()), default=0) < MANY:
        return []  # rows of a few categories are alike by nature
    rows = here.compared
    if rows >= FEWEST_ROWS and here.copies / rows >= 0.05:
        which = f"{rows} rows" if rows == here.rows else f"the first {rows} rows"
        return [f"{here.copies} of {which} are exact copies of another row."]
    return []


def _some(names: list[str], what: str = "") -> str:
    shown = ", ".join(repr(n) if not what else n for n in names[:5])
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{what}{'s' if what and len(names) > 1 else ''} {shown}{more}".strip()
