"""What is lost when a column is shuffled: of a metric, or where there is none of the answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from mlops_magics import explanations, goals
from mlops_magics.errors import BadData, WrongUsage

if TYPE_CHECKING:
    from mlops_magics.explanations.mosaic import Said
    from mlops_magics.explanations.questions import Question
    from mlops_magics.goals.metrics import Metric
    from mlops_magics.verbs.explained import Explained


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What shuffles are measured by.

    Attributes
    ----------
    metric : str
        Empty where the answers' own change is measured.
    score : float or None
        The metric of the rows as they are.
    loss : callable
        What the model says of shuffled rows → how much is lost.
    notes : tuple of str
        Why it is no metric.
    """

    metric: str
    score: float | None
    loss: Callable[[Said], float]
    notes: tuple[str, ...] = ()


def measure(model: Explained, question: Question, name: str) -> Measure:
    """By the metric of that name, the usual one, or where neither can be had by the answers.

    Raises
    ------
    BadData
        If the metric that was named has no value on the rows.
    """
    if not model.rows.target:
        if name:
            raise BadData(
                f"{name} can't be measured: the rows have no target.",
                "Give rows whose outcome is known with --on, or leave the metric out.",
            )
        return _of_answers(model, question, "The rows have no target")
    try:
        return of_metric(model, name or _usual(model))
    except BadData as error:
        if name:
            raise
        return _of_answers(model, question, error.message.rstrip("."))


def of_metric(model: Explained, name: str) -> Measure:
    """By that metric.

    Raises
    ------
    BadData
        If it has no value on the rows.
    """
    metric = goals.metrics.find(name)
    try:
        score = float(metric.value(model.sample(model.said)))
    except goals.metrics.Undefined as error:
        raise BadData(f"{name} can't be measured on these rows: {error}.") from error
    sign = 1.0 if metric.greater_is_better else -1.0

    def lost(said: Said) -> float:
        return sign * (score - float(metric.value(model.sample(said))))

    return Measure(metric=name, score=score, loss=lost)


def _of_answers(model: Explained, question: Question, reason: str) -> Measure:
    note = (
        f"{reason}, so importance is the mean absolute change of {question.about} when a column is "
        "shuffled, not the loss of a metric."
    )
    return Measure(metric="", score=None, loss=moved(model, question), notes=(note,))


def moved(model: Explained, question: Question) -> Callable[[Said], float]:
    """By how much, on average, the answers differ from those to the rows as they are."""
    import numpy as np

    before = question.read(model.said)
    return lambda said: float(np.abs(question.read(said) - before).mean())


def named(name: str) -> Metric:
    """The metric of that name.

    Raises
    ------
    UnknownName
        If there is none of that name.
    WrongUsage
        If it is not computed from a model's answers alone.
    """
    found = goals.metrics.find(name)
    if found.needs == "measurement" or found.needs_groups or found.takes_column:
        raise WrongUsage(
            f"{name} is not measured on a model's answers, so no column can be said to cost it.",
            "Name a metric such as roc_auc, f1 or rmse.",
        )
    if missing := found.missing_parameter({}):
        raise WrongUsage(f"{missing.rstrip('.')}, which can't be given here.", "Name another.")
    return found


def _usual(model: Explained) -> str:
    """The metric that suits a model best."""
    if model.asked.task == "classification" and model.said[1] is not None:
        return "roc_auc"
    return goals.metrics.default_metrics(cast(Any, model.asked.task))[0]


def importances(
    model: Explained, measured: Measure, repeats: int, seed: int
) -> list[dict[str, Any]]:
    """The importance of each column, in the model's own order, as a record has it.

    Raises
    ------
    BadData
        If the model can't answer shuffled rows, or nothing can be measured by its answers.
    """
    try:
        found = explanations.permutation.importances(
            model.inputs, model.answer, measured.loss, repeats, seed
        )
    except goals.metrics.Undefined as error:
        raise BadData(f"With a column shuffled, {error}.") from error
    return [
        {
            "feature": str(name),
            "permutation": one.loss,
            "interval": one.interval,
            "shap": None,
            "direction": explanations.directions.NONE,
            "constant": one.constant,
        }
        for name, one in zip(model.inputs.columns, found, strict=True)
    ]
