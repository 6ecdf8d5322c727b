"""Models as the explanations see them: a fitted estimator, asked through its flavor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mlops_magics import flavors
from mlops_magics.explanations import contributions, questions
from mlops_magics.explanations.contributions import Contributions, Explainer
from mlops_magics.explanations.questions import Question


class Told:
    """A fitted model, the question about one of its classes, and how it is explained."""

    def __init__(self, model: Any, rows: pd.DataFrame, outcome: Any = None) -> None:
        flavor = flavors.recognise(model)
        assert flavor is not None
        self.predictor = flavor.predictor(model)
        self.rows = rows
        said, scores = self.predictor.answers(rows)
        answered = questions.Answered.of(
            self.predictor.task, self.predictor.classes, said, scores, "y"
        )
        self.question: Question = answered.question(
            answered.usual() if outcome is None else outcome
        )
        inside = self.predictor.inside()
        self.explainer = Explainer(
            reference=rows.iloc[:200],
            trying=rows,
            answer=self.predictor.answers,
            estimator=inside.estimator if inside else None,
            transform=inside.transform if inside else None,
            classes=len(answered.classes),
        )

    def answers(self, rows: pd.DataFrame) -> np.ndarray:
        return self.question.read(self.predictor.answers(rows))

    def explain(self, rows: pd.DataFrame, walks: int = contributions.GLOBAL) -> Contributions:
        return self.explainer.explain(rows, self.question, walks)
