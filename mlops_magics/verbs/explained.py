"""A model as it is explained: asked for rows that never were, and measured on those that are."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from mlops_magics import evidence, explanations, goals
from mlops_magics.errors import BadData, MlopsError, WrongUsage, did_you_mean
from mlops_magics.verbs import evaluation, faults

if TYPE_CHECKING:
    import pandas as pd

    from mlops_magics.explanations.mosaic import Said
    from mlops_magics.explanations.questions import Answered
    from mlops_magics.goals.samples import Sample
    from mlops_magics.verbs.evaluation import Asked
    from mlops_magics.verbs.judged_rows import Rows

#: Rows that columns are shuffled over, of all and of each group, at most and, of wide tables, at
#: least; and cells that all shuffles of all columns may have together.
_MOST, _FEWEST, _CELLS = 2000, 300, 1e9


def most(columns: int, repeats: int) -> int:
    """How many rows are shuffled: fewer of wide tables, where each column costs all the others."""
    affordable = _CELLS / max(columns, 1) ** 2 / repeats
    return int(min(_MOST, max(_FEWEST, affordable)))


@dataclass(frozen=True, kw_only=True)
class Explained:
    """A model and the rows that it is explained on.

    Attributes
    ----------
    frame : DataFrame
        All columns of the rows, in the order of chance.
    inputs : DataFrame
        The same rows as the model takes them.
    said : tuple
        What the model says of them.
    """

    asked: Asked
    rows: Rows
    frame: pd.DataFrame
    inputs: pd.DataFrame
    said: Said
    answered: Answered

    @classmethod
    def of(cls, asked: Asked, rows: Rows, frame: pd.DataFrame) -> Explained:
        """Ask the model for the rows.

        Raises
        ------
        BadData
            If the rows lack a column that it takes, or it can't answer them.
        WrongUsage
            If it neither classifies nor predicts numbers.
        """
        if asked.task not in ("classification", "regression"):
            raise WrongUsage(f"{asked.name} neither classifies nor predicts numbers.")
        lacking = [c for c in asked.columns if c not in frame.columns]
        if lacking:
            what = "column" if len(lacking) == 1 else "columns"
            raise BadData(
                f"The data lacks the {what} {', '.join(lacking[:5])}, which {asked.name} needs.",
                did_you_mean(lacking[0], map(str, frame.columns)),
            )
        inputs = evaluation.inputs(asked, frame, rows.target)
        said = _ask(asked, inputs, real=True)
        values, scores = said
        assert values is not None
        answered = explanations.questions.Answered.of(
            asked.task, asked.classes, values, scores, rows.target
        )
        found = goals.samples.sample(cast(Any, asked.task), values, values, scores, asked.classes)
        if problem := found.problem():
            raise BadData(
                f"{asked.name} can't be explained: {problem}{faults.places(found, inputs.index)}."
            )
        return cls(asked=asked, rows=rows, frame=frame, inputs=inputs, said=said, answered=answered)

    @property
    def answer(self) -> Callable[[pd.DataFrame], Said]:
        """The model, asked for rows put together from others."""
        return functools.partial(_ask, self.asked)

    def sample(self, said: Said) -> Sample:
        """What the model says of the rows, or of others in their place, beside the truth.

        Raises
        ------
        Undefined
            If nothing can be measured by that.
        """
        truth = self._truth
        values, scores = said
        if self.asked.task == "regression":
            scores = None
        assert values is not None
        found = goals.samples.sample(
            cast(Any, self.asked.task),
            truth,
            values,
            scores,
            self.answered.classes or None,
            self.rows.positive,
        )
        subject = goals.subject.Subject(name=self.asked.name, sample=found)
        return replace(subject.answers(), features=self.frame)

    @functools.cached_property
    def _truth(self) -> pd.Series:
        truth = self.frame[self.rows.target]
        if self.asked.task == "regression" and evidence.columns.type_of(truth) not in (
            "integer",
            "number",
        ):
            raise goals.samples.Undefined(
                f"{self.asked.name} predicts numbers, and the target {self.rows.target!r} holds "
                "none"
            )
        return truth


def _ask(asked: Asked, frame: pd.DataFrame, real: bool = False) -> Said:
    """Predictions and what ranks the rows.

    Raises
    ------
    BadData
        If the model raises, or does not answer row by row.
    """
    import numpy as np

    try:
        given, scores = asked.answers(frame)
    except MlopsError:
        raise
    except Exception as error:  # the model is the user's code, and so is the data
        where = (
            faults.where(asked.answers, frame)
            if real
            else " (on rows put together from the values of others)"
        )
        told = f"{asked.name} raised {type(error).__name__}: {evaluation.first_line(error)}"
        raise BadData(f"{told}{where}.", "It answers only rows that it can take.") from error
    said = np.asarray(given)
    if said.shape[:1] != (len(frame),) or said.size != len(frame):
        raise BadData(
            f"{asked.name} answered {len(frame)} rows with an array of shape {said.shape}.",
            "One answer a row can be explained.",
        )
    return said.reshape(-1), None if scores is None else np.asarray(scores, dtype=float)
