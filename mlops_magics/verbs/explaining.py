"""`explain`: why a model answers as it does, kept with its version."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from mlops_magics import explanations, goals, store
from mlops_magics.errors import BadData, UnknownName, WrongUsage
from mlops_magics.records import Explanation
from mlops_magics.verbs import (
    evaluation,
    explanation_keeping,
    judged_rows,
    losses,
    own_metrics,
)
from mlops_magics.verbs.declaration import Data, Model, verb
from mlops_magics.verbs.insight import Insight
from mlops_magics.verbs.options import Option
from mlops_magics.verbs.steps import step

if TYPE_CHECKING:
    from mlops_magics.store.versions import Version
    from mlops_magics.verbs.judged_rows import Rows


@verb()
def explain(
    model: Model,
    *,
    on: Data = "",
    row: Annotated[Sequence[int], Option(("--row",))] = (),
    by: str = "",
    outcome: str = "",
    metric: str = "",
    features: int = 6,
    repeats: int = 5,
    seed: int = 0,
) -> Explanation:
    """Explain a model, as a whole and for single rows, and keep the explanation with its version.

    For the whole: what a metric loses when a column is shuffled, how the answer goes with each of
    the most important columns, and how much each contributes. For a row: what each column adds to
    the average answer, so that all of them add up to the row's own. Linear models, and trees with
    the extra ``explain``, are taken apart exactly; every other model is sampled. The same in words,
    with figures.

    Parameters
    ----------
    model : model
        The version, for example ``credit@candidate``, or a fitted model in memory, whose
        explanation is not stored.
    on : data, optional
        The rows to explain it on. By default the test rows of the dataset it was trained with.
    row : sequence of int
        A row to explain by itself: its place among those rows, from 0. May be given several times.
    by : str, optional
        A column: the importance is told within each group of its values too.
    outcome : str, optional
        The class whose probability is explained. By default the positive one of two; of more the
        one that is predicted most often, and of a single row the one predicted for it.
    metric : str, optional
        What is lost when a column is shuffled: by default roc_auc, accuracy for a classifier that
        does not rank, rmse for numbers.
    features : int
        How many columns are followed along their values.
    repeats : int
        How often each column is shuffled.
    seed : int
        Of the shuffles and samples; the same seed gives the same explanation.

    Returns
    -------
    Explanation

    Raises
    ------
    UnknownName
        If there is no such version, data, column, class or metric.
    WrongUsage
        If there are no rows to explain it on, or no row at a place.
    BadData
        If the rows lack a column, the model can't answer them, or a column has too many values to
        be groups.
    """
    reference = evaluation.reference_of(model)
    version = store.versions.resolve(reference) if reference is not None else None
    name = version.ref if version else type(model).__name__
    rows = judged_rows.rows_of(on, judged_rows.training_data(version), name)
    _check(rows, row, by, features, repeats)
    insight = Insight(
        rows=rows,
        places=tuple(dict.fromkeys(row)),
        by=by,
        outcome=str(outcome),
        metric=metric,
        features=features,
        repeats=repeats,
        seed=seed,
    )
    with own_metrics.known(metric):
        if metric:
            losses.named(metric)
        if version is None:
            found = insight.explanation(evaluation.of_object(model))
            return _noted(found, "Nothing is stored: the model is in memory only.")
        arguments = {
            "model": reference,
            "on": on,
            "row": list(row),
            "by": by,
            "outcome": outcome,
            "metric": metric,
            "features": features,
            "repeats": repeats,
            "seed": seed,
        }
        return _stored(version, insight, arguments)


def _check(rows: Rows, places: Sequence[int], by: str, features: int, repeats: int) -> None:
    """Refuse what can't be done before a model is loaded."""
    count = len(rows.frame)
    if not count:
        raise BadData(f"There are no rows in {rows.source}.", "Give some with --on.")
    for place in places:
        if not 0 <= place < count:
            raise WrongUsage(
                f"There is no row {place}: the {count:,} rows of {rows.source} are counted from 0 "
                f"to {count - 1}."
            )
    if by and by not in rows.frame.columns:
        raise UnknownName("column", by, map(str, rows.frame.columns))
    if by:
        try:
            goals.partition.split(rows.frame, by)
        except goals.metrics.Undefined as error:
            raise BadData(f"Groups by {by} can't be explained: {error}.") from error
    if repeats < 1:
        raise WrongUsage(f"Each column is shuffled once at least, not {repeats} times.")
    if features < 0:
        raise WrongUsage(f"{features} columns can't be followed.", "Write 0 for none.")


def _stored(version: Version, insight: Insight, arguments: dict[str, Any]) -> Explanation:
    """Explain a version within a step, and name the explanation at it once all of it is kept."""
    follows = [version.run_id, version.dataset_run]
    asked = evaluation.of_version(version)
    if insight.outcome and (asked.task == "regression" or asked.classes is not None):
        # What is wrong already leaves no failed run.
        explanations.questions.named(insight.outcome, asked.task, list(asked.classes or ()))
    with step("explain", experiment=version.name, arguments=arguments, follows=follows) as current:
        found = insight.explanation(asked, current.run_id)
        explanation_keeping.keep(current, version, found, insight.reference)
    if current.kept:
        return _noted(found, f"{current.kept} {version.ref} does not name this explanation yet.")
    explanation_keeping.name_at(version, found)
    return found


def _noted(found: Explanation, warning: str) -> Explanation:
    return dataclasses.replace(found, warnings=(*found.warnings, warning))
