"""The aim of a search: its code with the names and rows that it finds."""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType
from typing import TYPE_CHECKING, Any

from mlops_magics import store
from mlops_magics.verbs import holdout, preparing, search_code, session
from mlops_magics.verbs.objective import HELD, LEARNED, Objective

if TYPE_CHECKING:
    from mlops_magics.records import Dataset
    from mlops_magics.verbs.search_code import Code


def make(
    code: Code,
    metric: str,
    dataset: Dataset | None,
    *,
    given: bool,
    folds: int,
    seed: int,
    model: str,
) -> tuple[Objective, list[str]]:
    """The objective of a search, and what the user should know of how it is measured.

    Parameters
    ----------
    given : bool
        Whether the dataset was asked for, and so goes before what stands in the notebook.
    folds, seed : int
        See `holdout.make`.
    """
    if code.home is not None:
        home = code.home
    else:
        home = session.namespace() if code.file.startswith("<") else {}
    names = {"__name__": "__main__", **home, **search_code.closure(code.function)}
    if not code.file.startswith("<"):
        names["__file__"] = code.file
    if dataset is not None and dataset.target and (given or "X_train" not in names):
        names |= _bindings(dataset)
    X, y = (names.get(name) for name in LEARNED)
    scores_itself = code.function is None and bool({metric, "score"} & code.binds)
    reads_held = bool({name for pair in HELD for name in pair} & code.names)
    parts = None
    warnings: list[str] = []
    if X is not None and y is not None and (folds or reads_held or not scores_itself):
        parts = holdout.make(X, y, dataset, folds=folds, seed=seed)
        warnings += parts.warnings
        if not scores_itself and LEARNED[0] not in search_code.used(code.names, names):
            warnings.append(
                f"The code does not read {LEARNED[0]}: its models may have learned from the rows "
                "that they are compared on."
            )
    elif reads_held and HELD[1][0] in names:
        warnings.append(
            f"There is no {LEARNED[0]} to keep rows back from, so the trials see {HELD[1][0]}: the "
            "metrics of the best are too good on these rows."
        )
    own = frozenset(
        n for n, v in names.items() if isinstance(v, FunctionType) and v.__globals__ is home
    )
    positive = dataset.positive if dataset else None
    return Objective(code, metric, names, parts, own, model, positive), warnings


def _bindings(dataset: Dataset) -> Mapping[str, Any]:
    """What `prepare` binds, of a dataset that another process may have prepared."""
    if "X_train" in dataset.bindings:
        return dataset.bindings
    return preparing.bindings(*store.datasets.frames(dataset), str(dataset.target))
