"""What is looked at closer when it is asked for: all columns together, over time, by segment."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_magics import drift
from mlops_magics.errors import MlopsError, UnknownName, WrongUsage
from mlops_magics.records import Dataset
from mlops_magics.verbs import observing, repeating
from mlops_magics.verbs.observing import Observed

if TYPE_CHECKING:
    import pandas as pd

    from mlops_magics.drift.seen import Profile
    from mlops_magics.goals.goal import Goal

log = logging.getLogger("mlops_magics")

#: The goal that asks for all columns together.
TOGETHER = "multivariate_drift"


@dataclass(frozen=True, kw_only=True)
class Ways:
    """What is asked for, as `monitor` takes it.

    Attributes
    ----------
    window : str
        The length of a window; empty for none.
    time : str
        The column of times; by default a capture's own, or the one that training was split by.
    by : str
        The column of the segments.
    """

    window: str = ""
    time: str = ""
    by: str = ""
    multivariate: bool = False

    def check(self) -> None:
        """Refuse what can't be meant, before anything is looked at.

        Raises
        ------
        WrongUsage
            If the window is no span of time, or a column of times stands without one.
        """
        if self.window:
            observing.span(self.window)
        elif self.time:
            raise WrongUsage(
                f"--time {self.time} says when rows came, and nothing is cut by it.",
                "Add --window 1d.",
            )


@dataclass(frozen=True, kw_only=True)
class Closer:
    """What was found, as `records.Monitoring` has it.

    Attributes
    ----------
    placed : array of int or None
        The number of the window in which each row lies.
    """

    multivariate: Mapping[str, Any]
    windows: tuple[Mapping[str, Any], ...] = ()
    changes: tuple[Mapping[str, Any], ...] = ()
    segments: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    placed: Any = None

    @property
    def drifted(self) -> bool:
        """Whether rows are told from training's, or a segment or what came last has drifted."""
        judged = [w for w in self.windows if not w["reason"]]
        last = bool(judged and judged[-1]["drifted"])
        return bool(self.multivariate.get("drifted")) or last or self._segments

    @property
    def _segments(self) -> bool:
        return bool(drift.segments.drifted(self.segments))


class Trained:
    """The rows of training, read once if anybody asks for them."""

    def __init__(self, training: Dataset | None, read: Callable[[Dataset], Any]) -> None:
        self._training, self._read = training, read
        self._rows: pd.DataFrame | None = None

    def rows(self) -> pd.DataFrame:
        """All of them, the target among the columns.

        Raises
        ------
        MlopsError
            If they can't be had; says why.
        """
        if self._training is None:
            raise MlopsError("The rows of training are not recorded.")
        if self._rows is None:
            self._rows = self._read(self._training)[0]
        return self._rows


def look(
    ways: Ways,
    asked_for: Sequence[Goal],
    seen: Observed,
    profile: Profile,
    trained: Trained,
    training: Dataset | None,
    answers: tuple[Mapping[str, Any], pd.Series] | None,
) -> Closer:
    """Look in each of the ways that are asked for.

    Parameters
    ----------
    profile : mapping
        Of what the model takes, as it was in training.
    answers : tuple of (mapping, Series), optional
        The profile of earlier predictions, and those of the rows that came.

    Raises
    ------
    UnknownName
        If the rows that came have no such column.
    BadData, WrongUsage
        If the column of times holds none, or the one of segments has too many values.
    """
    notes: list[str] = []
    together = ways.multivariate or any(goal.metric == TOGETHER for goal in asked_for)
    windows, placed = drift.windows.Windows(), None
    if ways.window and len(seen.frame):
        windows, placed, told = _windows(ways, seen, profile, training, answers)
        notes += told
    segments = _segments(ways.by, seen, profile, trained, notes) if ways.by else []
    return Closer(
        multivariate=_together(seen, profile, trained, notes) if together else {},
        windows=windows.windows,
        changes=windows.changes,
        segments=tuple(segments),
        notes=tuple(notes),
        placed=placed,
    )


def _together(
    seen: Observed, profile: Profile, trained: Trained, notes: list[str]
) -> dict[str, Any]:
    # Where looks are shown one in the place of the other, lines would pile up below them.
    level = logging.INFO if repeating.shown.get() is None else logging.DEBUG
    log.log(level, "Telling the rows that came from those of training")
    if not len(seen.frame):
        return {"reason": "There are no rows."}
    try:
        rows = trained.rows()
    except MlopsError as error:
        notes.append(f"Multivariate drift was not computed: {error}")
        return {"reason": f"It needs the rows of training: {error}"}
    found = drift.multivariate.measure(profile, rows, seen.frame, masked=seen.masked)
    if (left := found.get("left_out")) and "auc" in found:
        told = ", ".join(f"{name} ({why})" for name, why in left.items())
        notes.append(f"Not part of the multivariate drift: {told}.")
    return found


def _windows(
    ways: Ways,
    seen: Observed,
    profile: Profile,
    training: Dataset | None,
    answers: tuple[Mapping[str, Any], pd.Series] | None,
) -> tuple[drift.windows.Windows, Any, tuple[str, ...]]:
    frame, when, notes = seen.frame, seen.times, tuple[str, ...]()
    column = ways.time
    if not column and when is None and training is not None:
        column = str(training.split.get("time") or "")
    if column:
        if column not in frame.columns:
            raise UnknownName("column", column, map(str, frame.columns), "Of times, that is.")
        read = drift.times.read(frame[column], column)
        when, notes = read.values, read.notes
    if when is None:
        raise WrongUsage(
            "When these rows came is not known, so they can't be cut into windows.",
            "Name a column of times: --time COLUMN.",
        )
    known = dict(profile)
    if answers is not None:
        name = "prediction" if "prediction" not in known else "prediction of the model"
        known[name] = answers[0]
        frame = frame.assign(**{name: answers[1]})
    span = observing.span(ways.window).total_seconds()
    placed = drift.times.of_parts(when, span)[0]
    return drift.windows.look(known, frame, when, span, masked=seen.masked), placed, notes


def _segments(
    by: str, seen: Observed, profile: Profile, trained: Trained, notes: list[str]
) -> list[dict[str, Any]]:
    if not len(seen.frame):
        return []
    if by in seen.masked:
        notes.append(f"Nothing is said by {by}, whose values are masked in what was captured.")
        return []
    try:
        rows = trained.rows()
    except MlopsError as error:
        notes.append(f"Drift by {by} needs the rows of training: {error}")
        return []
    for columns, whose in ((seen.frame.columns, "came"), (rows.columns, "were trained on")):
        if by not in columns:
            raise UnknownName("column", by, map(str, columns), f"In the rows that {whose}.")
    return drift.segments.look(profile, rows, seen.frame, by, masked=seen.masked)
