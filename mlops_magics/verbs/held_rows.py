"""Rows that a version has not learned from and whose truth is known, with what it answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mlops_magics import evidence, goals, store
from mlops_magics.errors import MlopsError
from mlops_magics.records import Dataset
from mlops_magics.verbs import evaluation, performance, verdict_keeping
from mlops_magics.verbs.evaluation import Asked

if TYPE_CHECKING:
    import pandas as pd

    from mlops_magics.goals.samples import Sample
    from mlops_magics.store.versions import Version

#: Rows of them that a model is asked at most.
MOST = 20_000


@dataclass(frozen=True, kw_only=True)
class Held:
    """Truth and answers.

    Attributes
    ----------
    features : DataFrame or None
        What the model was given; ``None`` where only its answers were kept.
    source : str
        Which rows they are, in words.
    """

    sample: Sample
    features: pd.DataFrame | None
    source: str


def find(version: Version, asked: Asked, training: Dataset | None) -> Held:
    """The rows of its verdict, where the model's probabilities of them are kept; else test rows.

    Raises
    ------
    Undefined
        If there are none; says why.
    """
    if asked.task == "classification":
        kept = _judged(version, asked, training)
        if kept is not None:
            return kept
    return _test_rows(asked, training)


def _judged(version: Version, asked: Asked, training: Dataset | None) -> Held | None:
    """What it answered when it was judged, unless on the very rows that it has learned from."""
    import numpy as np
    import pandas as pd

    run_id = version.tags.get(verdict_keeping.TAG)
    judged_on = version.tags.get(f"{verdict_keeping.TAG}.dataset_digest")
    learned = training.split.get("train_digest") if training else None
    if not run_id or asked.classes is None or judged_on == learned:
        return None
    try:
        rows = pd.read_parquet(store.runs.fetch(run_id, verdict_keeping.PREDICTIONS))
    except (MlopsError, OSError):
        return None
    classes = np.asarray(asked.classes)
    truth, said = (
        performance.as_classes(rows[c].to_numpy(), classes) for c in ("truth", "prediction")
    )
    positive = training.positive if training else None
    found = goals.samples.sample("classification", truth, said, None, asked.classes, positive)
    two = found.positive is not None
    names = [f"score {c}" for c in ([found.positive] if two else classes)]
    if not set(names) <= set(rows.columns):
        return None
    scores = rows[names].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    found = replace(found, scores=scores[:, 0] if two else scores)
    return Held(sample=found, features=None, source="the rows of its verdict")


def _test_rows(asked: Asked, training: Dataset | None) -> Held:
    if training is None:
        raise goals.samples.Undefined(
            f"{asked.name} was trained on data that `prepare` has not recorded, so no rows whose "
            "truth is known were held out"
        )
    if not training.target:
        raise goals.samples.Undefined(f"the dataset {training.name!r} has no target")
    target = training.target
    if not training.split.get("test_rows"):
        raise goals.samples.Undefined(
            f"of the dataset {training.name!r} no rows were held out for testing"
        )
    try:
        frame = store.datasets.frames(training)[1]
    except MlopsError as error:
        raise goals.samples.Undefined(
            f"the rows held out can't be had: {error.message.rstrip('.')}"
        ) from error
    frame = frame[frame[target].notna()]
    frame = frame.iloc[:: max(-(-len(frame) // MOST), 1)]
    numeric = evidence.columns.type_of(frame[target]) in ("integer", "number")
    if asked.task == "regression" and not numeric:
        raise goals.samples.Undefined(
            f"{asked.name} predicts numbers, and the target {target!r} holds none"
        )
    try:
        inputs = evaluation.inputs(asked, frame, target)
        said, scores = asked.answers(inputs)
    except Exception as error:  # the user's model; a column that it needs may not be recorded
        raise goals.samples.Undefined(
            f"{asked.name} can't answer the rows held out ({type(error).__name__}: "
            f"{evaluation.first_line(error)})"
        ) from error
    return Held(
        sample=_sample(asked, training, frame[target].to_numpy(), said, scores),
        features=inputs,
        source=f"the test rows of {training.name}",
    )


def _sample(asked: Asked, training: Dataset, truth: Any, said: Any, scores: Any) -> Sample:
    import numpy as np

    if asked.task == "regression":
        return goals.samples.sample("regression", truth, said)
    known = np.asarray(asked.classes if asked.classes is not None else [])
    truth, said = (performance.as_classes(np.asarray(v), known) for v in (truth, said))
    return goals.samples.sample(
        "classification", truth, said, scores, asked.classes, training.positive
    )
