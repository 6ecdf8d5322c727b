"""A model that is asked, wherever it comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics import flavors, store
from mlops_magics.errors import MlopsError, UnknownName, WrongUsage
from mlops_magics.records import Record

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A model that answers, wherever it comes from.

    Attributes
    ----------
    columns : tuple of str
        The features it takes, in order; empty when it takes whatever it is given.
    path : Path or None
        The folder of its files; ``None`` for a model in memory.
    answers : callable
        Rows → predictions, and what ranks them (probabilities, else a decision function), at once.
    inside : callable
        What learned in it, for whoever looks how it comes to its answers.
    """

    name: str
    predict: Callable[[pd.DataFrame], np.ndarray[Any, Any]]
    probabilities: Callable[[pd.DataFrame], np.ndarray[Any, Any] | None]
    answers: Callable[[pd.DataFrame], tuple[np.ndarray[Any, Any], np.ndarray[Any, Any] | None]]
    task: str
    classes: Any = None
    columns: tuple[str, ...] = ()
    version: store.versions.Version | None = None
    path: Path | None = None
    inside: Callable[[], flavors.Inside | None] = lambda: None


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
    MlopsError
        If it can't be loaded here.
    """
    path = store.versions.local_path(version)
    try:
        predictor = flavors.load(path)
    except MlopsError:
        raise
    except Exception as error:  # unpickling runs the code of others
        raise MlopsError(
            f"{version.ref} can't be loaded: {type(error).__name__}: {first_line(error)}.",
            "Are the libraries those that it was trained with? `changes` and its lock tell.",
        ) from error
    names = tuple(c.name for c in predictor.columns if c.name)
    return Asked(
        name=version.ref,
        predict=predictor.predict,
        probabilities=predictor.scores,
        answers=predictor.answers,
        task=predictor.task,
        classes=predictor.classes,
        columns=names if len(names) == len(predictor.columns) else (),
        version=version,
        path=path,
        inside=predictor.inside,
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
        answers=predictor.answers,
        task=predictor.task,
        classes=predictor.classes,
        columns=flavor.columns(model),
        inside=predictor.inside,
    )


def inputs(asked: Asked, frame: pd.DataFrame, target: str) -> pd.DataFrame:
    """The rows as the model takes them: its own columns, else all but the target."""
    if asked.columns:
        return frame[list(asked.columns)]
    return frame.drop(columns=[target], errors="ignore")


def first_line(error: BaseException) -> str:
    """The first line of what an exception says, without its full stop."""
    return (str(error).splitlines() or [""])[0].rstrip(".")


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
