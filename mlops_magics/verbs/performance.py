"""How well a model did on rows whose truth is known by now."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from mlops_magics import goals
from mlops_magics.records import Dataset
from mlops_magics.verbs import evaluation, labelling, observing
from mlops_magics.verbs.declaration import is_given
from mlops_magics.verbs.evaluation import Asked
from mlops_magics.verbs.observing import Observed

if TYPE_CHECKING:
    import pandas as pd

    from mlops_magics.goals.metrics import Measures
    from mlops_magics.goals.samples import Sample


@dataclass(frozen=True, kw_only=True)
class Performance:
    """What was measured.

    Attributes
    ----------
    facts : mapping
        ``rows`` and ``coverage`` (the share of rows whose label is known) with ``metrics`` and
        ``not_measured`` (name and reason), or ``reason`` where nothing was measured; empty where
        there are no labels.
    sample : Sample or None
        Truth and answers of these rows.
    rows : DataFrame or None
        The rows themselves.
    """

    facts: Mapping[str, Any]
    sample: Sample | None = None
    rows: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()


def measure(
    seen: Observed, asked: Asked | None, training: Dataset | None, labels: Any, on: str
) -> Performance:
    """Measure the answers that were seen against labels given apart, or among the rows.

    Raises
    ------
    UnknownName, WrongUsage, BadData
        If the labels can't be joined (see `labelling.join`).
    """
    target = str(training.target or "") if training else ""
    if is_given(labels):
        if not len(seen.frame):
            return Performance(facts={"reason": "no rows were seen"})
        # What was captured came in an order that nobody who has labels knows.
        found = labelling.join(seen.frame, labels, on, target, in_order=not seen.service)
    elif target and target in seen.frame.columns:
        found = labelling.of_column(seen.frame, target)
    else:
        return Performance(facts={})
    facts: dict[str, Any] = {"rows": len(found.truth), "coverage": found.coverage}
    if not len(found.truth):
        reason = "no label belongs to a row that was seen"
        return Performance(facts={**facts, "reason": reason}, notes=found.notes)
    if seen.predictions is None or asked is None:
        reason = "the model's answers are not known"
        return Performance(facts={**facts, "reason": reason}, notes=found.notes)
    if asked.task not in ("classification", "regression"):
        reason = f"{asked.name} neither classifies nor predicts numbers"
        return Performance(facts={**facts, "reason": reason}, notes=found.notes)
    rows = seen.frame.loc[found.truth.index]
    predictions = seen.predictions.loc[found.truth.index]
    notes = list(found.notes)
    try:
        sample, metrics = _measure(asked, training, rows, predictions, found.truth, notes)
    except ValueError as error:  # a truth that is no number, for one
        reason = f"nothing could be measured: {error}"
        return Performance(facts={**facts, "reason": reason}, notes=tuple(notes))
    facts["metrics"] = dict(metrics)
    if metrics.undefined:
        facts["not_measured"] = metrics.undefined
    return Performance(facts=facts, sample=sample, rows=rows, notes=tuple(notes))


def _measure(
    asked: Asked,
    training: Dataset | None,
    rows: pd.DataFrame,
    predictions: pd.Series,
    truth: pd.Series,
    notes: list[str],
) -> tuple[Sample, Measures]:
    import numpy as np

    y, said, scores = truth.to_numpy(), predictions.to_numpy(), None
    if asked.task == "classification":
        known = np.asarray(asked.classes if asked.classes is not None else [])
        y, said = as_classes(y, known), as_classes(said, known)
        target = str(training.target or "") if training else ""
        features = rows.drop(columns=list(observing.KEYS), errors="ignore")
        absent = [str(c) for c in asked.columns or () if c not in features.columns]
        if absent:
            notes.append(f"Probabilities can't be had: {', '.join(absent)} was not kept.")
        else:
            scores = scores_of(asked, evaluation.inputs(asked, features, target), said, notes)
    positive = training.positive if training else None
    what = (cast(Any, asked.task), y, said, scores, asked.classes, positive)
    return goals.samples.sample(*what), goals.metrics.measure(*what)


def values(sample: Sample, names: Iterable[str]) -> dict[str, float]:
    """The metrics that have a value on rows whose truth is known."""
    found = {}
    for name in names:
        with contextlib.suppress(goals.samples.Undefined):
            found[name] = goals.metrics.find(name).value(sample)
    return found


def as_classes(values: Any, known: Any) -> Any:
    """Labels as the classes that they mean: ``"1"`` is the class 1."""
    import numpy as np
    import pandas as pd

    if not len(known):
        return values
    meant = {v: goals.samples.same_value(v, known) for v in pd.unique(values).tolist()}
    return np.array([meant.get(v, v) for v in values.tolist()], dtype=object)


def scores_of(asked: Asked, inputs: pd.DataFrame, said: Any, notes: list[str]) -> Any:
    """Probabilities, which a capture does not hold: the model is asked once more."""
    import numpy as np

    try:
        scores = asked.probabilities(inputs)
        again = np.asarray(asked.predict(inputs))
    except Exception as error:  # the user's model on captured rows
        first = (str(error).splitlines() or [""])[0]
        notes.append(f"Probabilities can't be had ({type(error).__name__}: {first}).")
        return None
    different = int((again != said).sum())
    if different:
        notes.append(
            f"{asked.name} answers {different} of {len(said)} rows otherwise than was captured "
            "(another version answered then), so nothing that needs probabilities can be told."
        )
        return None
    return scores
