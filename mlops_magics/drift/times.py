"""When rows came: times of any writing as instants in UTC, and what is to be said of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mlops_magics.errors import BadData
from mlops_magics.evidence import columns

#: What a time ends in that names its zone.
_ZONE = r"([+-]\d{2}:?\d{2}|[+-]\d{2}|Z|UTC|GMT)\s*$"


@dataclass(frozen=True)
class Times:
    """Instants, one a row, NaT where there is none; in UTC."""

    values: pd.Series
    notes: tuple[str, ...] = ()


def read(values: pd.Series, name: str) -> Times:
    """Read a column of times.

    Those without a zone are taken to be in UTC; several zones may stand in one column.

    Parameters
    ----------
    values : Series
        Datetimes, dates, or text as ISO 8601 or most other writings have it.
    name : str
        The column's, for what is said.

    Raises
    ------
    BadData
        If it holds no time at all, or plain numbers, whose unit nobody knows.
    """
    kind = columns.type_of(values)
    if kind in ("integer", "number", "boolean"):
        raise BadData(
            f"{name} holds numbers, which are times in nobody knows which unit.",
            "Give datetimes, or text such as 2026-01-31T12:00:00Z.",
        )
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    given = values.notna()
    found = _parse(values)
    wrong = values[given & found.isna()]
    if not found.notna().any():
        what = f"no time, {str(wrong.iloc[0])!r} for one" if len(wrong) else "no value"
        raise BadData(f"{name} holds {what}.", "Give times such as 2026-01-31T12:00:00Z.")
    notes = []
    if len(wrong):
        each = "is no time" if len(wrong) == 1 else "are no times"
        notes.append(
            f"{_rows(len(wrong))} of {name} {each}, {str(wrong.iloc[0])!r} for one, and "
            f"{_stand(len(wrong))} in no window."
        )
    if missing := int((~given).sum()):
        notes.append(
            f"{name} is missing in {_rows(missing)}, which {_stand(missing)} in no window."
        )
    notes += _zones(values[found.notna()], name)
    if not found.dropna().is_monotonic_increasing:
        notes.append(f"The times of {name} are not in order; rows were put into it.")
    return Times(found, tuple(notes))


def _parse(values: pd.Series) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return pd.to_datetime(values, utc=True)
    if isinstance(values.dtype, pd.ArrowDtype):
        values = values.astype(object)
    found = pd.to_datetime(values, utc=True, format="ISO8601", errors="coerce")
    rest = values.notna() & found.isna()
    if rest.any():
        found = found.where(
            ~rest, pd.to_datetime(values.where(rest), utc=True, format="mixed", errors="coerce")
        )
    return found


def _zones(values: pd.Series, name: str) -> list[str]:
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return []  # one column, one zone
    ends = values.astype(str).str.extract(_ZONE, expand=False)
    # The end of a plain date (2026-01-31) looks like an offset, and is none.
    dates = values.astype(str).str.fullmatch(r"\s*\d{4}-\d{2}(-\d{2})?\s*")
    ends = ends.where(~dates).replace({"Z": "+00:00", "UTC": "+00:00", "GMT": "+00:00"})
    zones = sorted(ends.dropna().unique())
    without = int(ends.isna().sum())
    notes = []
    if len(zones) > 1:
        shown = ", ".join(zones[:4])
        notes.append(f"The times of {name} are in {len(zones)} zones ({shown}); all count as UTC.")
    if zones and without:
        notes.append(f"{_rows(without)} of {name} name no zone and are taken to be in UTC.")
    return notes


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _stand(count: int) -> str:
    return "stands" if count == 1 else "stand"


def of_parts(times: pd.Series, span: float) -> tuple[np.ndarray, int, int]:
    """The number of the window in which each time lies, and the first and the last of them.

    Windows are counted from a Monday midnight in UTC, so that days, hours and weeks begin where a
    calendar has them.

    Parameters
    ----------
    span : float
        Seconds.

    Returns
    -------
    array of int, int, int
        -1 where there is no time; from 0 for the first window that has a row.
    """
    given = times.notna().to_numpy()
    found = np.full(len(times), -1, dtype=np.int64)
    seconds = (times[given] - MONDAY) / pd.Timedelta(seconds=1)
    number = np.floor(seconds.to_numpy(dtype=float) / span).astype(np.int64)
    if not len(number):
        return found, 0, -1
    first, last = int(number.min()), int(number.max())
    found[given] = number - first
    return found, first, last


#: Where windows are counted from.
MONDAY = pd.Timestamp("1970-01-05", tz="UTC")
