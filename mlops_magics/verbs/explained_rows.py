"""Single rows explained: what each column adds to the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlops_magics import explanations

if TYPE_CHECKING:
    import pandas as pd

    from mlops_magics.explanations.contributions import Contributions, Explainer
    from mlops_magics.explanations.questions import Question
    from mlops_magics.verbs.explained import Explained

#: Rows that a sampled contribution can begin from, and of the training's that tell, by having every
#: category, which column is made of which.
_REFERENCE, _TRIED = 500, 5000


def explainer(model: Explained, seed: int) -> Explainer:
    """How the contributions of this model are found."""
    import pandas as pd

    inside = model.asked.inside()
    learned = model.rows.learned
    trying = model.inputs
    if learned is not None and set(trying.columns) <= set(learned.columns):
        trying = pd.concat([trying, learned[list(trying.columns)].head(_TRIED)], ignore_index=True)
    return explanations.contributions.Explainer(
        reference=model.inputs.iloc[:_REFERENCE],
        trying=trying,
        answer=model.answer,
        estimator=inside.estimator if inside else None,
        transform=inside.transform if inside else None,
        classes=len(model.answered.classes),
        seed=seed,
    )


def explain(
    explainer: Explainer,
    model: Explained,
    every: pd.DataFrame,
    places: Sequence[int],
    question: Question,
    named: bool,
) -> list[tuple[dict[str, Any], str]]:
    """The rows at these places, each as the record has it and in a sentence.

    Parameters
    ----------
    every : DataFrame
        All rows, of which `places` are those to explain.
    named : bool
        Whether the class in question was named; else that of each row is the one predicted for it,
        where there are more than two.
    """
    import numpy as np

    if not len(places):
        return []
    inputs = every.iloc[list(places)][list(model.inputs.columns)]
    own = [question] * len(places)
    if not named and len(model.answered.classes) > 2:
        said, _ = model.answer(inputs)
        own = [model.answered.question(model.answered.named(str(c))) for c in np.asarray(said)]
    found: dict[int, tuple[dict[str, Any], str]] = {}
    for asked in dict.fromkeys(own):
        mine = [i for i, q in enumerate(own) if q == asked]
        parts = explainer.explain(inputs.iloc[mine], asked)
        average = float(asked.read(explainer.answer(explainer.reference)).mean())
        answers = asked.read(explainer.answer(inputs.iloc[mine]))
        for at, i in enumerate(mine):
            told = _told(parts, at, inputs.iloc[[i]])
            told = {
                "row": int(places[i]),
                "label": explanations.places.plain(every.index[places[i]]),
                "about": asked.about,
                "outcome": "" if asked.outcome is None else str(asked.outcome),
                **told,
                "answer": float(answers[at]),
                "average": average,
            }
            sentence = explanations.words.row(told, explanations.links.own_unit(asked), asked)
            found[i] = (told, sentence)
    return [found[i] for i in range(len(places))]


def _told(parts: Contributions, at: int, row: pd.DataFrame) -> dict[str, Any]:
    """One row's contributions, the largest first."""
    values = parts.values[at]
    order = sorted(range(len(values)), key=lambda j: -abs(values[j]))
    return {
        "prediction": parts.base + float(values.sum()),
        "base": parts.base,
        "unit": parts.unit,
        "exact": parts.exact,
        "contributions": [
            {
                "feature": str(row.columns[j]),
                "value": explanations.places.plain(row.iloc[0, j]),
                "contribution": float(values[j]),
                **({} if parts.errors is None else {"error": float(parts.errors[at, j])}),
            }
            for j in order
        ],
    }
