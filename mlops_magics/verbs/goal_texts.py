"""Where goals come from: the cell, a file, the last time, or the settings."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_magics import goals, settings, store
from mlops_magics.errors import StoreUnreachable, UnknownName, WrongUsage
from mlops_magics.verbs import own_metrics

if TYPE_CHECKING:
    import pandas as pd

    from mlops_magics.goals.goal import Goal

#: The artifacts in which a run keeps the goals it was judged by, and the verdict.
FILE, VERDICT = "goals.txt", "verdict.json"


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
    return _last(name)[0] or _of_settings()


def check_usual(name: str) -> None:
    """Make sure that a model can be judged again as it was, before anything is trained.

    Raises
    ------
    WrongUsage
        If there are no goals, or if they name a function that is not known here.
    BadGoal
        If they can't be read.
    """
    text = usual(name)
    if not text and not settings.load().gates:
        raise none_given(name)
    refuse_lost_functions(name, text)
    if text:
        with own_metrics.known(text):
            goals.grammar.parse(text)


def refuse_lost_functions(name: str, text: str) -> None:
    """Say where a function was defined that a model was judged by last and that is not here now.

    Raises
    ------
    WrongUsage
        For the first such function.
    """
    last, run_id = _last(name)
    if not run_id or text != last:
        return
    try:
        verdict = json.loads(store.runs.fetch(run_id, VERDICT).read_text(encoding="utf-8"))
    except (StoreUnreachable, ValueError):  # the goals themselves are there: they are asked
        return
    functions = verdict.get("functions") or {}
    with own_metrics.known(" ".join(functions)) as own:
        for function, told in functions.items():
            if own.find(function) is None:
                raise WrongUsage(
                    f"The goals that {name} was judged by last name the function {function!r}, "
                    f"which was defined in {told.get('where', 'another session')} and is not "
                    "known here.",
                    "Put it into the file that the setting `metrics` names, or give other goals; "
                    f"its source is kept with run {run_id}.",
                )


def _last(name: str) -> tuple[str, str]:
    """The goals of the last verdict that had any beside its gates, and its run."""
    for run in store.runs.find(verb="validate", experiment=name, limit=10):
        if run.info.status == "FINISHED":
            run_id = str(run.info.run_id)
            text = store.runs.fetch(run_id, FILE).read_text(encoding="utf-8")
            if text.strip():
                return text, run_id
    return "", ""


def _of_settings() -> str:
    options = settings.load()
    return read(str(options.root / options.goals)) if options.goals else ""


def check_columns(asked_for: Iterable[Goal], frame: pd.DataFrame) -> None:
    """Refuse goals about columns that the data does not have, before anything is measured.

    Raises
    ------
    UnknownName
        For the first such column; with the nearest that exist.
    """
    columns = [str(c) for c in frame.columns]
    for goal in asked_for:
        for column in (goal.by, goal.column):
            if column not in (None, "*", *columns):
                raise UnknownName("column", str(column), columns, f"(In the goal {goal.text!r}.)")


def none_given(what: str) -> WrongUsage:
    """The error when there is nothing to judge by."""
    return WrongUsage(
        f"There are no goals to judge {what} by.",
        "Write them in the cell or a file, one a line, for example: roc_auc >= 0.80",
    )
