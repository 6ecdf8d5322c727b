"""Signs that a model will look better on the test than it is, one sentence each.

They are warnings, not errors: only the user knows what is known at the time of a prediction.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

import numpy as np
import pandas as pd

from mlops_magics.evidence import columns, predictors, rows
from mlops_magics.evidence.data import schema as schema_of
from mlops_magics.evidence.splitting import Split
from mlops_magics.records import Column

# With fewer rows, what looks like a pattern is chance.
_FEW = 20
# All different in so many rows: whole numbers that are measured rarely are.
_MANY = 1000

_ID_NAME = re.compile(r"(?i:(^|[_\W])(id|ids|uuid|guid|key))$|[a-z](Id|ID|Uuid|UUID)$")


def check(
    frame: pd.DataFrame,
    split: Split,
    target: str | None = None,
    *,
    schema: Sequence[Column] | None = None,
    group: str | None = None,
    time: str | None = None,
) -> list[str]:
    """What may leak, in `frame` as it is split.

    Parameters
    ----------
    frame : DataFrame
        All rows, the target among the columns.
    schema : sequence of Column, optional
        The schema of `frame`, where it is known already.
    group, time : str, optional
        What the split was made by.
    """
    known = {c.name: c for c in (schema or schema_of(frame))}
    count = len(frame)
    free = [n for n in known if n not in (target, group, time)]
    ids = [name for name in free if _is_id(frame[name], known[name])]
    said = [_id(name) for name in ids]
    said += [_constant(known[name]) for name in free if _is_constant(known[name], count)]
    if target:
        said += [sign.sentence for sign in predictors.find(frame, target, known)]
    said += _duplicates(frame.drop(columns=ids), split)
    if group:
        said += _shared(frame[group], split, group)
    if time:
        said += _later(frame[time], split, time)
    if not group:
        names = [n for n in free if n not in ids and _is_group(known[n], count)]
        said += [sentence for n in names for sentence in _shared(frame[n], split, n)]
    if not time and not group:
        said += _dates([n for n in free if known[n].type == "datetime"])
    return said


def _is_group(column: Column, rows: int) -> bool:
    """Whether a column is called an id and has several rows for some of its values."""
    many = _FEW <= column.distinct < rows - column.missing
    return many and column.type in ("integer", "string") and bool(_ID_NAME.search(column.name))


def _is_id(values: pd.Series, column: Column) -> bool:
    rows = len(values)
    if rows < _FEW or column.missing or column.distinct < rows:
        return False
    if column.type == "string":
        return True
    return column.type == "integer" and (
        rows >= _MANY or bool(_ID_NAME.search(column.name) or values.is_monotonic_increasing)
    )


def _id(name: str) -> str:
    return (
        f"Column {name!r} looks like an id: every row has a value of its own, which a model can "
        "only learn by heart; leave it out."
    )


def _is_constant(column: Column, rows: int) -> bool:
    return rows > 1 and (column.distinct == 0 or (column.distinct == 1 and not column.missing))


def _constant(column: Column) -> str:
    what = "no value at all" if column.distinct == 0 else "the same value in every row"
    return f"Column {column.name!r} has {what}; it tells a model nothing."


def _duplicates(frame: pd.DataFrame, split: Split) -> list[str]:
    if not len(frame.columns):
        return []
    hashed = rows.hashes(frame)
    double = len(hashed) - len(np.unique(hashed))
    if not double:
        return []
    said = [f"{double:,} of {len(hashed):,} rows are duplicates of another row."]
    both = int(np.isin(hashed[split.test_rows], hashed[split.train_rows]).sum())
    if both:
        said.append(
            f"{both:,} of {len(split.test_rows):,} test rows stand among the training rows as "
            "well, where a model can learn them by heart; drop the duplicates first."
        )
    return said


def _shared(values: pd.Series, split: Split, name: str) -> list[str]:
    codes = columns.codes(values)
    test = codes[split.test_rows]
    both = np.intersect1d(codes[split.train_rows], test)
    count = len(both[both >= 0])
    if not count:
        return []
    return [
        f"{count:,} of the {len(np.unique(test)):,} values of {name!r} in the test stand in the "
        f"training rows as well; --group {name} keeps each on one side."
    ]


def _later(values: pd.Series, split: Split, name: str) -> list[str]:
    numeric = columns.type_of(values) in ("integer", "number")
    moments = pd.Series(columns.numbers(values)) if numeric else columns.times(values)
    first = moments.iloc[split.test_rows].min()
    late = int((moments.iloc[split.train_rows] >= first).sum())
    if not late:
        return []
    return [f"{late:,} training rows are as late as the first test row by {name!r}, or later."]


def _dates(names: list[str]) -> list[str]:
    if not names:
        return []
    return [
        f"Column {names[0]!r} holds dates and the split is not by time: if rows come in over time, "
        f"--time {shlex.quote(names[0])} tests on the latest, as production will."
    ]
