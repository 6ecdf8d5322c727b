"""Trees: exact Shapley values by walking through them, as SHAP's TreeExplainer does it.

References
----------
Lundberg, S. et al. (2020), From local explanations to global understanding with explainable AI for
trees, Nature Machine Intelligence 2.
"""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any

import numpy as np

from mlops_magics.errors import MissingExtra, MlopsError
from mlops_magics.explanations.parts import Parts
from mlops_magics.goals.samples import Floats

_MODULES = (
    "sklearn.tree.",
    "sklearn.ensemble._forest",
    "sklearn.ensemble._gb",
    "sklearn.ensemble._hist_gradient_boosting",
    "xgboost.",
    "lightgbm.",
    "catboost.",
)
#: What all rows together may cost, in steps from node to node: some seconds.
_STEPS = 1e8
#: Rows whose contributions make up the global picture: at least and at most.
FEWEST, MOST = 20, 500


def are(estimator: Any) -> bool:
    """Whether the estimator is made of trees."""
    return f"{type(estimator).__module__}.".startswith(_MODULES)


def explainer(estimator: Any) -> Any:
    """SHAP's explainer of the trees.

    Raises
    ------
    MissingExtra
        If SHAP is not installed.
    MlopsError
        If it can't be imported.
    """
    if importlib.util.find_spec("shap") is None:
        raise MissingExtra("SHAP, which explains trees exactly,", "explain")
    try:
        import shap
    except Exception as error:  # it compiles on import, which others can break
        raise MlopsError(f"SHAP can't be imported: {type(error).__name__}: {error}.") from error
    return shap.TreeExplainer(estimator)


def affordable(explainer: Any) -> int:
    """How many rows are explained in a few seconds: few, where the trees are deep."""
    trees = getattr(explainer.model, "trees", None) or []
    values = getattr(explainer.model, "values", None)
    if values is None or not len(trees):
        return MOST
    depth = max(int(getattr(explainer.model, "max_depth", 0) or 0), 1)
    leaves = len(trees) * values.shape[1] / 2
    return int(np.clip(_STEPS / (leaves * depth), FEWEST, MOST))


def parts(explainer: Any, rows: Any) -> Parts:
    """What the rows' answers add up from, starting at the average of what the trees learned from.

    Raises
    ------
    Exception
        What SHAP raises for trees that it can't walk through.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what changed between its versions
        values = explainer.shap_values(rows, check_additivity=False)
    if isinstance(values, list):  # earlier versions: one array a class
        values = np.stack(values, axis=-1)
    found: Floats = np.asarray(values, dtype=float)
    by_output = found if found.ndim == 3 else found[:, :, None]
    base = np.asarray(explainer.expected_value, dtype=float).reshape(-1)
    return Parts(
        base=base, sums=by_output.sum(axis=1) + base, of=lambda output: by_output[:, :, output]
    )
