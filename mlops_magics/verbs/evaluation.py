"""A model that is asked, and its answers beside the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from mlops_magics import evidence, flavors, goals, store
from mlops_magics.errors import MlopsError, UnknownName, WrongUsage
from mlops_magics.records import Record

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mlops_magics.goals.subject import Subject
    from mlops_magics.verbs.judged_rows import Rows


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A model that answers, wherever it comes from.

    Attributes
    ----------
    columns : tuple of str
        The features it takes, in order; empty when it takes whatever it is given.
    size : int or None
        Bytes of its files; ``None`` for a model in memory.
    """

    name: str
    predict: Callable[[pd.DataFrame], np.ndarray[Any, Any]]
    probabilities: Callable[[pd.DataFrame], np.ndarray[Any, Any] | None]
    task: str
    classes: Any = None
    columns: tuple[str, ...] = ()
    version: store.versions.Version | None = None
    size: int | None = None


def reference_of(model: Any) -> str | None:
    """The reference that stands for a model: itself, or that of a record; else ``None``.

    Raises
    ------
    WrongUsage
        If it is a record of something that left no model.
    """
    if isinstance(model, str):
        return model
    if not isinstance(model, Record):
        return None
    named = getattr(model, "version", None) or getattr(model, "model", None)
    if not named:
        raise WrongUsage(
            f"This {type(model).__name__} left no model.", "Name a version, for example credit/1."
        )
    return str(named)


def of_version(version: store.versions.Version) -> Asked:
    """A registered version, loaded from files that are proven to be those that were trained.

    Raises
    ------
    NotIntact
        If the files were changed.
    """
    path = store.versions.local_path(version)
    predictor = flavors.load(path)
    names = tuple(c.name for c in predictor.columns if c.name)
    return Asked(
        name=version.ref,
        predict=predictor.predict,
        probabilities=predictor.scores,
        task=predictor.task,
        classes=predictor.classes,
        columns=names if len(names) == len(predictor.columns) else (),
        version=version,
        size=sum(f.stat().st_size for f in path.rglob("*") if f.is_file()),
    )


def of_object(model: Any) -> Asked:
    """A fitted model in memory.

    Raises
    ------
    WrongUsage
        If no flavor knows it as a model, or it is not fitted.
    """
    flavor = flavors.recognise(model)
    if flavor is None:
        raise WrongUsage(
            f"A {type(model).__name__} is no model that an installed flavor knows.",
            "Name a version, for example credit/1, or give a fitted estimator.",
        )
    if not flavor.is_fitted(model):
        raise WrongUsage(f"The {type(model).__name__} is not fitted.", "Fit it first.")
    if not flavor.task(model):
        raise WrongUsage(
            f"A {type(model).__name__} does not say whether it classifies or predicts numbers.",
            "Give it an attribute task (and classes_), or name its version: train found it out.",
        )
    predictor = flavor.predictor(model)
    return Asked(
        name=type(model).__name__,
        predict=predictor.predict,
        probabilities=predictor.scores,
        task=predictor.task,
        classes=predictor.classes,
        columns=flavor.columns(model),
    )


def subject(
    asked: Asked,
    rows: Rows,
    facts: Mapping[str, float] | None = None,
    unknown: Mapping[str, str] | None = None,
) -> Subject:
    """The model's answers to the rows, as goals judge them; what goes wrong is said in it.

    `facts` and `unknown` are what else is known and not known, as `Subject` has them.
    """
    from mlops_magics.goals.subject import Subject

    features = rows.features
    known = {"model_size": float(asked.size)} if asked.size is not None else {}
    no_size = {} if known else {"model_size": "only a saved model has files"}
    base: dict[str, Any] = {
        "name": asked.name,
        "features": rows.frame,
        "facts": {**known, "rows": float(len(features)), **(facts or {})},
        "unknown": {**no_size, **(unknown or {})},
    }
    lacking = [c for c in asked.columns if c not in features.columns]
    if lacking:
        what = "column" if len(lacking) == 1 else "columns"
        return Subject(
            **base,
            problem=f"the data lacks the {what} {', '.join(lacking[:5])}, which {asked.name} needs",
        )
    X = inputs(asked, rows.frame, rows.target)
    base |= {"inputs": X, "predict": asked.predict}
    if not rows.target:
        return Subject(**base, problem="the data has no target to compare with")
    try:
        sample = _answers(asked, X, rows)
    except MlopsError as error:
        return Subject(**base, problem=str(error).rstrip("."))
    except Exception as error:  # the model is the user's code, and so is the data
        first = (str(error).splitlines() or [""])[0]
        return Subject(**base, problem=f"{asked.name} raised {type(error).__name__}: {first}")
    return Subject(**base, sample=sample)


def inputs(asked: Asked, frame: pd.DataFrame, target: str) -> pd.DataFrame:
    """The rows as the model takes them: its own columns, else all but the target."""
    if asked.columns:
        return frame[list(asked.columns)]
    return frame.drop(columns=[target], errors="ignore")


def _answers(asked: Asked, X: pd.DataFrame, rows: Rows) -> Any:
    import numpy as np

    if asked.task not in ("classification", "regression"):
        raise WrongUsage(f"{asked.name} neither classifies nor predicts numbers")
    said = np.asarray(asked.predict(X))
    if said.shape[:1] != (len(X),) or said.size != len(X):
        raise WrongUsage(f"{asked.name} answered {len(X)} rows with an array of shape {said.shape}")
    truth = rows.frame[rows.target]
    if asked.task == "regression" and evidence.columns.type_of(truth) not in ("integer", "number"):
        raise WrongUsage(
            f"{asked.name} predicts numbers, and the target {rows.target!r} holds none"
        )
    return goals.samples.sample(
        cast(Any, asked.task),
        truth,
        said,
        asked.probabilities(X) if asked.task == "classification" else None,
        asked.classes,
        rows.positive,
    )


def champion_of(version: store.versions.Version, vs: str) -> store.versions.Version | None:
    """The version to compare with: the one with the alias `vs`, or the one that `vs` names.

    ``None`` when no version has the alias ``champion`` yet.

    Raises
    ------
    UnknownName
        If another alias or version is named and does not exist.
    """
    if "/" in vs or "@" in vs:
        return store.versions.resolve(vs)
    versions = store.versions.of(version.name)
    found = next((v for v in versions if vs in v.aliases), None)
    if found is None and vs != "champion":
        raise UnknownName(
            f"alias of model {version.name}", vs, [a for v in versions for a in v.aliases]
        )
    return found
