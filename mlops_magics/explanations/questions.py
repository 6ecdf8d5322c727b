"""What is explained of a model's answers: one number a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mlops_magics.errors import BadData, UnknownName, WrongUsage
from mlops_magics.explanations.mosaic import Said
from mlops_magics.goals.samples import Array, Floats, distinct, probable, same_value, shown

Kind = Literal["probability", "score", "share", "number"]


@dataclass(frozen=True, kw_only=True)
class Question:
    """One number of what a model says of a row.

    Attributes
    ----------
    kind : str
        ``probability`` or ``score`` (a decision function) of a class, ``share`` (1 where the class
        is predicted, else 0), or ``number`` (of a regression).
    about : str
        The number in words, for example ``the probability of 'bad'``.
    outcome : object
        The class; ``None`` in a regression.
    place : int
        Of the class, among those that the model knows.
    """

    kind: Kind
    about: str
    outcome: Any = None
    place: int = 0

    def read(self, said: Said) -> Floats:
        """The number, one a row, of predictions and what ranks the rows.

        Raises
        ------
        BadData
            If one is missing or infinite.
        """
        values, scores = said
        assert values is not None
        found = self._read(values, scores)
        bad = int((~np.isfinite(found)).sum())
        if bad:
            raise BadData(
                f"{bad} of {len(found)} answers of the model are missing (NaN) or infinite.",
                "Only a model that answers every row can be explained.",
            )
        return found

    def _read(self, said: Array, scores: Array | None) -> Floats:
        if self.kind == "number":
            return np.asarray(said, dtype=float).reshape(-1)
        if self.kind == "share" or scores is None:
            return np.asarray(said.astype(object) == self.outcome, dtype=float)
        given = np.asarray(scores, dtype=float)
        if given.ndim == 2 and given.shape[1] > 1:
            return np.asarray(given[:, self.place], dtype=float)
        # One column of a decision function is that of the last class, as scikit-learn has it.
        return given.reshape(-1) if self.place else -given.reshape(-1)


def named(outcome: str, task: str, classes: Sequence[Any]) -> Any:
    """The class that a text means.

    Raises
    ------
    UnknownName
        If the model knows no such class; with the nearest.
    WrongUsage
        If it predicts numbers.
    """
    if task != "classification":
        raise WrongUsage(
            f"There is no class {outcome!r} to explain: the model predicts numbers.",
            "Leave the outcome out.",
        )
    found = same_value(outcome, np.array([*classes], dtype=object))
    if found not in classes:
        raise UnknownName("class", outcome, map(str, classes))
    return found


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What a model said of the rows, from which questions about it are made."""

    task: str
    classes: tuple[Any, ...]
    said: Array
    scores: Array | None
    target: str = ""

    @classmethod
    def of(
        cls,
        task: str,
        classes: Sequence[Any] | None,
        said: Array,
        scores: Array | None,
        target: str = "",
    ) -> Answered:
        """The same, with the classes found in the predictions where the model knows none."""
        known: tuple[Any, ...] = ()
        if task == "classification":
            known = tuple(distinct(said).tolist()) if classes is None else tuple(classes)
        return cls(task=task, classes=known, said=said, scores=scores, target=target)

    def usual(self, positive: Any = None) -> Any:
        """The class to explain where none is named.

        The positive one of two, by default the last as scikit-learn has it; of more the one that
        is predicted most often; ``None`` in a regression.
        """
        if not self.classes:
            return None
        if len(self.classes) <= 2:
            known = np.array([*self.classes], dtype=object)
            found = self.classes[-1] if positive is None else same_value(positive, known)
            return found if found in self.classes else self.classes[-1]
        said = np.asarray(self.said, dtype=object)
        return max(self.classes, key=lambda c: int((said == c).sum()))

    def named(self, outcome: str) -> Any:
        """The class that a text means; see `named`."""
        return named(outcome, self.task, self.classes)

    def question(self, outcome: Any) -> Question:
        """The question about one class, or about the number of a regression."""
        if self.task != "classification":
            about = f"the predicted {self.target}" if self.target else "the prediction"
            return Question(kind="number", about=about)
        kind = self._kind()
        words = {
            "probability": f"the probability of {shown(outcome)}",
            "score": f"the decision function of {shown(outcome)}",
            "share": f"the share answered with {shown(outcome)}",
        }
        place = self.classes.index(outcome)
        return Question(kind=kind, about=words[kind], outcome=outcome, place=place)

    def _kind(self) -> Kind:
        if self.scores is None:
            return "share"
        given = np.asarray(self.scores, dtype=float)
        width = given.shape[1] if given.ndim == 2 else 1
        if width == len(self.classes) and width > 1:
            sums = bool(np.allclose(given.sum(axis=1), 1, atol=1e-3))
            return "probability" if probable(given.reshape(-1)) and sums else "score"
        return "score" if len(self.classes) == 2 else "share"
