"""What each column adds to the answers of single rows, by the best way that there is.

Linear models and trees are taken apart, where their parts add up to the model's own answers and
belong to one column each; of every other model the contributions are sampled.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from mlops_magics.errors import MlopsError
from mlops_magics.explanations import linear, links, origins, sampling, trees
from mlops_magics.explanations.links import Link
from mlops_magics.explanations.mosaic import Ints, Said
from mlops_magics.explanations.parts import Parts
from mlops_magics.explanations.questions import Question
from mlops_magics.goals.samples import Floats

log = logging.getLogger("mlops_magics")

#: Reference rows that a sampled contribution walks from: for a row that was asked for, and for
#: each of those that make up the global picture.
LOCAL, GLOBAL = 64, 16
#: Rows that a model is asked for at most when contributions are sampled for the global picture.
_BUDGET = 200_000
#: Rows that are explained for it, at most.
ROWS = 500


@dataclass(frozen=True, kw_only=True)
class Contributions:
    """What the columns add to each row's answer.

    Attributes
    ----------
    base : float
        What the contributions of a row add up from; with them to its answer in `unit`.
    values : array of shape (n, columns)
    unit : str
    method : str
        In words.
    exact : bool
        Whether nothing was drawn.
    errors : array of shape (n, columns) or None
        Standard errors of what was sampled.
    """

    base: float
    values: Floats
    unit: str
    method: str
    exact: bool
    errors: Floats | None = None


@dataclass(kw_only=True)
class Explainer:
    """How the contributions of one model are found.

    Attributes
    ----------
    estimator, transform
        What learned in the model, and what turns rows into its input; ``None`` of a model that
        only answers.
    reference : DataFrame
        The rows that "on average" stands for, in the order of chance.
    trying : DataFrame
        More rows, with which it is found out which column is made of which.
    answer : callable
        Rows → what the whole model says of them.
    notes : list of str
        Why a way was not gone, a sentence each.
    """

    reference: pd.DataFrame
    trying: pd.DataFrame
    answer: Callable[[pd.DataFrame], Said]
    estimator: Any = None
    transform: Callable[[Any], Any] | None = None
    classes: int = 0
    seed: int = 0
    notes: list[str] = field(default_factory=list)
    _from: Ints | None = None
    _trees: Any = None
    _parts: Callable[[Any], Parts | None] | None = None
    _why: str = ""

    def __post_init__(self) -> None:
        if self.estimator is None or self.transform is None:
            return
        if trees.are(self.estimator):
            self._of_trees()
        elif linear.weights(self.estimator) is not None:
            self._of_weights()
        if self._parts is not None:
            self._find_origins()

    @property
    def kind(self) -> str:
        """``linear``, ``trees`` or ``sampled``."""
        if self._parts is None:
            return "sampled"
        return "trees" if self._trees is not None else "linear"

    @property
    def rows(self) -> int:
        """How many rows can be explained for the global picture; 0 if it would take too long."""
        if self._trees is not None and self._parts is not None:
            return trees.affordable(self._trees)
        if self._parts is not None:
            return ROWS
        steps = 2 * GLOBAL * max(self.reference.shape[1], 1)
        most = min(100, _BUDGET // steps)
        return most if most >= trees.FEWEST else 0

    def explain(self, rows: pd.DataFrame, question: Question, walks: int = LOCAL) -> Contributions:
        """What each column adds to the answers of the rows.

        Parameters
        ----------
        walks : int
            Reference rows to walk from, where it is sampled.
        """
        if self._parts is not None:
            found = self._taken_apart(rows, question)
            if found is not None:
                return found
            log.debug("Contributions are sampled: %s", self._why)
            self.notes.append(f"{self._why}, so the contributions were sampled instead.")
            self._parts = None
        return self._sampled(rows, question, walks)

    def _of_trees(self) -> None:
        try:
            self._trees = trees.explainer(self.estimator)
        except MlopsError as error:
            self.notes.append(f"The contributions were sampled: {error}")
            return
        except Exception as error:  # SHAP's own reasons, of whatever kind
            log.debug("SHAP refuses %s", type(self.estimator).__name__, exc_info=error)
            self.notes.append(
                f"SHAP can't take apart a {type(self.estimator).__name__} like this, so the "
                "contributions were sampled instead."
            )
            return
        self._parts = lambda given: trees.parts(self._trees, _dense(given))

    def _of_weights(self) -> None:
        transform = self.transform
        assert transform is not None
        average = origins.table(transform(self.reference))
        if average.dtype == object:
            return
        self._parts = lambda given: linear.parts(self.estimator, origins.table(given), average)

    def _find_origins(self) -> None:
        assert self.transform is not None
        try:
            self._from = origins.of(self.transform, self.trying)
        except Exception as error:  # a transformer that can't take other rows
            log.debug("Columns can't be followed through the pipeline", exc_info=error)
        if self._from is None:
            self._parts = None
            self.notes.append(
                "Its estimator works on columns that come from several of yours at once, so the "
                "contributions of your columns were sampled."
            )

    def _taken_apart(self, rows: pd.DataFrame, question: Question) -> Contributions | None:
        """By the estimator's own parts; ``None``, and why, where they do not make the answers."""
        assert self._parts is not None
        assert self.transform is not None
        assert self._from is not None
        try:
            found = self._parts(self.transform(rows))
        except Exception as error:  # SHAP's own reasons, of whatever kind
            self._why = f"SHAP could not take the trees apart ({type(error).__name__})"
            log.debug("No parts", exc_info=error)
            return None
        if found is None or found.of(0).shape[1] != len(self._from):
            self._why = "The estimator has other columns than it is given"
            return None
        one = found.sums.shape[1] == 1
        # Two classes with one output share it: that of the first is the other's, turned round.
        turned = one and self.classes == 2 and question.place == 0
        output, sign = (0, -1.0 if turned else 1.0) if one else (question.place, 1.0)
        sums = sign * found.sums[:, 0] if one else found.sums
        link = links.found(sums, question.read(self.answer(rows)), question)
        if link is None:
            self._why = "The estimator's parts do not add up to the model's answers"
            return None
        own, loose = self._by_column(sign * found.of(output), rows.shape[1])
        base = sign * float(found.base[output])
        if loose > links.TOLERANCE * max(float(np.abs(own).max(initial=0)), 1e-300):
            self._why = "Parts of it belong to no column of yours"
            return None
        return self._made(base, own, link)

    def _by_column(self, values: Floats, width: int) -> tuple[Floats, float]:
        """Contributions of the user's columns, and the largest that belongs to none of them."""
        assert self._from is not None
        own = np.zeros((len(values), width))
        for j in range(width):
            own[:, j] = values[:, self._from == j].sum(axis=1)
        loose = values[:, self._from == origins.NOTHING]
        return own, float(np.abs(loose).max(initial=0))

    def _made(self, base: float, values: Floats, link: Link) -> Contributions:
        if self._trees is not None:
            method = (
                "exact Shapley values of the trees (SHAP's TreeExplainer), from the average of the "
                "rows that they learned from"
            )
        else:
            method = "exact Shapley values of a linear model: weight times distance from average"
        return Contributions(base=base, values=values, unit=link.unit, method=method, exact=True)

    def _sampled(self, rows: pd.DataFrame, question: Question, walks: int) -> Contributions:
        answers = question.read(self.answer(self.reference))
        start = self.reference.iloc[sampling.spread(answers, walks)]
        found = sampling.contributions(rows, start, self.answer, question.read, self.seed)
        return Contributions(
            base=found.base,
            values=found.values,
            unit=links.own_unit(question),
            method=f"sampled Shapley values, {2 * len(start)} permutations a row from "
            f"{len(start)} reference rows, in antithetic pairs",
            exact=False,
            errors=found.errors,
        )


def _dense(given: Any) -> Any:
    return given.toarray() if hasattr(given, "toarray") else given
