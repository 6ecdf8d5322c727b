"""Labels that came later, joined to the rows they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_magics import store
from mlops_magics.errors import BadData, UnknownName, WrongUsage

if TYPE_CHECKING:
    import pandas as pd

#: The key that the server gives to each request, the client's own (``x-mlops-key``), and the place
#: of a row in its request, from 0.
REQUEST, CLIENT, ROW = "request_id", "client_key", "request_row"


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """The truth of some rows.

    Attributes
    ----------
    truth : Series
        By the rows' own index; only rows whose label is known.
    coverage : float
        The share of rows whose label is known.
    """

    truth: pd.Series
    coverage: float
    notes: tuple[str, ...] = ()


def join(
    frame: pd.DataFrame, labels: Any, on: str, target: str, *, in_order: bool = False
) -> Labelled:
    """Find the label of each row.

    Parameters
    ----------
    labels : data
        A column of labels and, unless they are in the rows' order, one of keys.
    on : str
        The key's column; by default ``request_id`` or ``client_key``, whichever both sides have.
        One that only the labels have holds the client's keys.
    target : str
        The column of labels, if they have it; else the only one beside the key.
    in_order : bool
        Whether, without a key, labels are those of the rows in their order.

    Raises
    ------
    UnknownName
        If the key is no column of one of the sides.
    WrongUsage
        If it can't be told which column is the key, or which holds the labels.
    BadData
        If a key stands for several rows of one request, and the labels have no ``request_row``.
    """
    given = store.datasets.load(labels).frame
    both = (k for k in (REQUEST, CLIENT) if k in given.columns and k in frame.columns)
    key = on or next(both, "")
    if not key and not in_order:
        raise WrongUsage(
            "It can't be told which label is of which row.", _name_the_key(frame, given)
        )
    if not key:
        return _in_order(frame, given, target)
    if key in given.columns and key not in frame.columns and _has_keys(frame):
        given, key = given.rename(columns={key: CLIENT}), CLIENT
    for side, what in ((given, "the labels"), (frame, "what was seen")):
        if key not in side.columns:
            raise UnknownName("column", key, map(str, side.columns), f"(In {what}.)")
    column = _column(given, key, target)
    if key in (REQUEST, CLIENT) and ROW in frame.columns:
        frame, given = _by_row(frame, given, key)
    pairs = given[[key, column]].dropna().drop_duplicates()
    disputed = pairs[key].duplicated(keep=False)
    notes = []
    if disputed.any():
        count = pairs.loc[disputed, key].nunique()
        notes.append(f"{count} keys have labels that contradict each other and were left out.")
    pairs = pairs[~disputed]
    mine, theirs = _alike(frame[key], pairs[key])
    truth = mine.map(dict(zip(theirs, pairs[column], strict=True))).dropna()
    strangers = int((~theirs.isin(set(mine))).sum())
    if strangers:
        notes.append(f"{strangers} labels belong to no row that was seen.")
    return _labelled(truth, frame, notes)


def _has_keys(frame: pd.DataFrame) -> bool:
    return CLIENT in frame.columns and bool((frame[CLIENT] != "").any())


def _by_row(
    frame: pd.DataFrame, given: pd.DataFrame, key: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both with a key that names a single row; where there was none, with no key.

    Raises
    ------
    BadData
        If that takes a ``request_row``, which the labels lack.
    """
    import pandas as pd

    known = frame[key].where(frame[key] != "")
    if ROW in given.columns:
        places = _text(pd.to_numeric(given[ROW], errors="coerce"))
        given = given.assign(**{key: _text(given[key]) + "/" + places})
        return frame.assign(**{key: known + "/" + frame[ROW].astype(str)}), given
    if (frame.loc[known.notna(), ROW] > 0).any():
        raise BadData(
            f"Some requests asked for several rows at once, so a {key} names no single row.",
            f"Say in a column {ROW} of the labels which row of its request each is of (from 0), or "
            "send a key of your own as an input and name it with --on.",
        )
    return frame.assign(**{key: known}), given


def _in_order(frame: pd.DataFrame, given: pd.DataFrame, target: str) -> Labelled:
    column = _column(given, "", target)
    if len(given) != len(frame):
        raise WrongUsage(
            f"There are {len(given)} labels for {len(frame)} rows, and no key to join them by.",
            _name_the_key(frame, given),
        )
    return _labelled(given[column].set_axis(frame.index).dropna(), frame, [])


def _name_the_key(frame: pd.DataFrame, given: pd.DataFrame) -> str:
    keys = [c for c in given.columns if c in frame.columns and frame[c].is_unique]
    example = f", for example --on {keys[0]}" if keys else ""
    return f"Name the column that both have as a key with --on{example}."


def _labelled(truth: pd.Series, frame: pd.DataFrame, notes: list[str]) -> Labelled:
    coverage = len(truth) / len(frame) if len(frame) else 0.0
    return Labelled(truth=truth, coverage=coverage, notes=tuple(notes))


def of_column(frame: pd.DataFrame, target: str) -> Labelled:
    """The labels that came with the rows themselves."""
    return _labelled(frame[target].dropna(), frame, [])


def _column(given: pd.DataFrame, key: str, target: str) -> str:
    """Where the labels are."""
    if target and target in given.columns:
        return target
    others = [str(c) for c in given.columns if c not in (key, ROW)]
    if len(others) == 1:
        return others[0]
    raise WrongUsage(
        f"It can't be told which of {', '.join(others) or 'no columns'} holds the labels.",
        f"Name that column {target!r}, as the target." if target else "Leave only one.",
    )


def _alike(mine: pd.Series, theirs: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Both keys as one type: numbers as they are, anything else as text."""
    if mine.dtype.kind in "iuf" and theirs.dtype.kind in "iuf":
        return mine, theirs
    return _text(mine), _text(theirs)


def _text(values: pd.Series) -> pd.Series:
    # A key that lost a value to a gap was widened to floats: 7.0 is the key 7.
    if values.dtype.kind == "f" and (values.dropna() % 1 == 0).all():
        values = values.astype("Int64")
    return values.astype(str).where(values.notna())
