"""The groups of a column explained: what matters among them, and what they are answered with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlops_magics import goals
from mlops_magics.errors import BadData
from mlops_magics.verbs import explained, losses
from mlops_magics.verbs.explained import Explained
from mlops_magics.verbs.losses import Measure

if TYPE_CHECKING:
    import numpy as np

    from mlops_magics.explanations.questions import Question
    from mlops_magics.verbs.evaluation import Asked
    from mlops_magics.verbs.judged_rows import Rows

#: What is told of a column in each group.
_TOLD = ("feature", "permutation", "interval")


def explain(
    asked: Asked,
    rows: Rows,
    by: str,
    question: Question,
    measure: Measure,
    repeats: int,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """Group → its rows, average answer, score and importances, or why it was not measured.

    Columns are shuffled among the group's own rows.
    """
    import numpy as np

    found: dict[str, dict[str, Any]] = {}
    for group in goals.partition.split(rows.frame, by):
        count = len(group.rows)
        if count < goals.partition.SMALLEST:
            few = f"{count} row{'s' * (count != 1)}, too few (under {goals.partition.SMALLEST})"
            found[group.label] = {"rows": count, "reason": few}
            continue
        most = explained.most(rows.frame.shape[1], repeats)
        chosen = np.random.default_rng(seed).permutation(group.rows)[:most]
        found[group.label] = {
            "rows": count,
            **_one(asked, rows, chosen, question, measure, repeats, seed),
        }
    return found


def _one(
    asked: Asked,
    rows: Rows,
    chosen: np.ndarray[Any, Any],
    question: Question,
    measure: Measure,
    repeats: int,
    seed: int,
) -> dict[str, Any]:
    model = Explained.of(asked, rows, rows.frame.iloc[chosen])
    average = float(question.read(model.said).mean())
    try:
        if measure.metric:
            own = losses.of_metric(model, measure.metric)
        else:
            own = Measure(metric="", score=None, loss=losses.moved(model, question))
        importances = losses.importances(model, own, repeats, seed)
    except BadData as error:
        return {"average": average, "reason": error.message.rstrip(".")}
    importances.sort(key=lambda f: -f["permutation"])
    return {
        "average": average,
        "score": own.score,
        "importances": [{key: f[key] for key in _TOLD} for f in importances],
    }
