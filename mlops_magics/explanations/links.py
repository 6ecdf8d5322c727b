"""In which unit a model's parts add up: found out by its own answers, not by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from mlops_magics.explanations.questions import Question
from mlops_magics.goals.samples import Floats

#: How far the parts' sum may be from the model's own answer, relative to the largest one; some
#: libraries count with seven digits.
TOLERANCE = 1e-5


@dataclass(frozen=True, kw_only=True)
class Link:
    """A unit in words, and the way from a sum of parts to the answer.

    Attributes
    ----------
    to_answer : callable
        Sums, (n,) or (n, classes) → answers, (n,).
    """

    unit: str
    to_answer: Callable[[Floats], Floats]


def own_unit(question: Question) -> str:
    """The unit of the answer itself."""
    return {
        "probability": "probability",
        "score": "decision function",
        "share": "share",
        "number": question.about.removeprefix("the "),
    }[question.kind]


def found(sums: Floats, answers: Floats, question: Question) -> Link | None:
    """The link by which the sums are the model's answers; ``None`` where none of them is.

    Parameters
    ----------
    sums : array of shape (n,) or (n, classes)
        One column is that of the class in question.
    """
    for link in _links(sums, question):
        reached = link.to_answer(sums)
        near = TOLERANCE * max(float(np.abs(answers).max(initial=0)), 1e-300)
        if np.allclose(reached, answers, rtol=TOLERANCE, atol=near):
            return link
    return None


def _links(sums: Floats, question: Question) -> list[Link]:
    if sums.ndim == 2:
        at = question.place
        return [
            Link(unit=own_unit(question), to_answer=lambda s: s[:, at]),
            Link(
                unit="score before the softmax",
                to_answer=lambda s: np.asarray(special.softmax(s, axis=1))[:, at],
            ),
            Link(unit="log-odds", to_answer=lambda s: np.asarray(special.expit(s[:, at]))),
        ]
    same = Link(unit=own_unit(question), to_answer=lambda s: s)
    if question.kind == "number":
        return [same, Link(unit="logarithm of the prediction", to_answer=_exp)]
    return [same, Link(unit="log-odds", to_answer=lambda s: np.asarray(special.expit(s)))]


def _exp(sums: Floats) -> Floats:
    with np.errstate(over="ignore"):
        return np.exp(sums)
