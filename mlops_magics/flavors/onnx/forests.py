"""scikit-learn's trees, forests and boosted trees."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlops_magics.errors import BadData
from mlops_magics.flavors.onnx import heads, trees
from mlops_magics.flavors.onnx.building import Graph, Piece
from mlops_magics.flavors.onnx.trees import Tree

_FORESTS = (
    "DecisionTree", "ExtraTree", "RandomForest", "ExtraTrees", "GradientBoosting",
    "HistGradientBoosting",
)  # fmt: skip


def handles(model: Any) -> bool:
    """Whether it is one of scikit-learn's own, with one output."""
    name = type(model).__name__
    own = type(model).__module__.startswith("sklearn.")
    kinds = tuple(f + kind for f in _FORESTS for kind in ("Classifier", "Regressor"))
    return own and name in kinds and getattr(model, "n_outputs_", 1) == 1


def outputs(graph: Graph, model: Any, piece: Piece) -> heads.Outputs:
    """Its labels and probabilities, or its numbers."""
    name = type(model).__name__
    if name.startswith("Hist"):
        return _histograms(graph, model, piece)
    # All of them but the histograms read their rows in single precision.
    rows = graph.rounded(piece.name)
    if name.startswith("GradientBoosting"):
        return _boosted(graph, model, rows)
    estimators = getattr(model, "estimators_", [model])
    if name.endswith("Classifier"):
        found = [_tree(e.tree_, _shares(e.tree_.value)) for e in estimators]
        return heads.likeliest(graph, trees.averaged(graph, rows, found), model.classes_.tolist())
    found = [_tree(e.tree_, e.tree_.value[:, 0, 0]) for e in estimators]
    total = trees.summed(graph, rows, found, [0] * len(found), 1)
    count = graph.constant(float(len(found)), np.float64)
    return heads.number(graph, graph.add("Div", total, count))


def _shares(values: np.ndarray) -> np.ndarray:
    """The classes' shares in each node; before scikit-learn 1.3 these were weights."""
    found = values[:, 0, :]
    return np.asarray(found / found.sum(axis=1, keepdims=True))


def _tree(tree: Any, values: np.ndarray) -> Tree:
    missing = getattr(tree, "missing_go_to_left", None)
    return Tree(
        feature=tree.feature,
        threshold=tree.threshold,
        left=tree.children_left,
        right=tree.children_right,
        missing_left=np.zeros(tree.node_count) if missing is None else np.asarray(missing),
        value=values,
    )


def _boosted(graph: Graph, model: Any, rows: str) -> heads.Outputs:
    start = model.init_
    if start != "zero" and not type(start).__name__.startswith("Dummy"):
        raise BadData(f"A {type(model).__name__} that starts from an estimator can't be converted.")
    if model.loss not in ("log_loss", "exponential", "squared_error", "absolute_error", "huber",
                          "quantile"):  # fmt: skip
        raise BadData(f"A {type(model).__name__} with the loss {model.loss!r} can't be converted.")
    width = model.estimators_.shape[1]
    found = [
        _tree(e.tree_, model.learning_rate * e.tree_.value[:, 0, 0])
        for stage in model.estimators_
        for e in stage
    ]
    first = model._raw_predict_init(np.zeros((1, model.n_features_in_), dtype=np.float32))
    total = trees.summed(graph, rows, found, list(range(width)) * len(model.estimators_), width)
    raw = graph.add("Add", total, graph.constant(np.asarray(first).reshape(1, width), np.float64))
    if type(model).__name__.endswith("Regressor"):
        return heads.number(graph, raw)
    if model.loss == "exponential":
        raw = graph.add("Mul", raw, graph.constant(2.0, np.float64))
    chances = heads.sigmoid(graph, raw) if width == 1 else heads.softmax(graph, raw)
    return heads.likeliest(graph, chances, model.classes_.tolist())


def _histograms(graph: Graph, model: Any, piece: Piece) -> heads.Outputs:
    categorical = model.is_categorical_
    if categorical is not None and np.any(categorical):
        raise BadData(
            f"A {type(model).__name__} with categorical features can't be converted.",
            "Encode them in a step before, or package it --as folder.",
        )
    iterations = model._predictors
    width = len(iterations[0])
    found = [_histogram(p.nodes) for iteration in iterations for p in iteration]
    total = trees.summed(graph, piece.name, found, list(range(width)) * len(iterations), width)
    first = np.asarray(model._baseline_prediction, dtype=float).reshape(1, width)
    raw = graph.add("Add", total, graph.constant(first, np.float64))
    if type(model).__name__.endswith("Classifier"):
        chances = heads.sigmoid(graph, raw) if width == 1 else heads.softmax(graph, raw)
        return heads.likeliest(graph, chances, model.classes_.tolist())
    link = type(model._loss.link).__name__
    if link not in ("IdentityLink", "LogLink"):
        raise BadData(f"A {type(model).__name__} with a {link} can't be converted.")
    return heads.number(graph, graph.add("Exp", raw) if link == "LogLink" else raw)


def _histogram(nodes: Any) -> Tree:
    leaf = nodes["is_leaf"].astype(bool)
    return Tree(
        feature=nodes["feature_idx"],
        threshold=nodes["num_threshold"],
        left=np.where(leaf, -1, nodes["left"].astype(int)),
        right=np.where(leaf, -1, nodes["right"].astype(int)),
        missing_left=nodes["missing_go_to_left"],
        value=nodes["value"],
    )
