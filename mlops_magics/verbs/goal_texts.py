"""Where goals come from: the cell, a file, the last time, or the settings."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_magics import settings, store
from mlops_magics.errors import UnknownName, WrongUsage

if TYPE_CHECKING:
    import pandas as pd

    from mlops_magics.goals.goal import Goal

#: The artifact in which a run keeps the goals it was judged by.
FILE = "goals.txt"


def read(given: str) -> str:
    """The text itself, or what the file that it names holds.

    Raises
    ------
    UnknownName
        If it can only be the name of a file, and there is none.
    """
    line = given.strip()
    if "\n" in line or any(sign in line for sign in "<>="):
        return given
    path = Path(line).expanduser()
    if path.is_file():
        return path.read_text(encoding="utf-8")
    if path.suffix or "/" in line:
        near = [str(p) for p in path.parent.glob("*") if p.is_file()] if line else []
        raise UnknownName("file of goals", line, near)
    return given


def usual(name: str) -> str:
    """The goals that a model was judged by last, else those of the settings; may be empty."""
    for run in store.runs.find(verb="validate", experiment=name, limit=10):
        if run.info.status == "FINISHED":
            return store.runs.fetch(str(run.info.run_id), FILE).read_text(encoding="utf-8")
    options = settings.load()
    return read(str(options.root / options.goals)) if options.goals else ""


def check_columns(goals: Iterable[Goal], frame: pd.DataFrame) -> None:
    """Refuse goals about columns that the data does not have, before anything is measured.

    Raises
    ------
    UnknownName
        For the first such column; with the nearest that exist.
    """
    columns = [str(c) for c in frame.columns]
    for goal in goals:
        for column in (goal.by, goal.column):
            if column not in (None, "*", *columns):
                raise UnknownName("column", str(column), columns, f"(In the goal {goal.text!r}.)")


def none_given(what: str) -> WrongUsage:
    """The error when there is nothing to judge by."""
    return WrongUsage(
        f"There are no goals to judge {what} by.",
        "Write them in the cell or a file, one a line, for example: roc_auc >= 0.80",
    )
