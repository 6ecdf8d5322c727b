"""XGBoost's and LightGBM's trees, as their own dumps tell them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlops_magics.errors import BadData
from mlops_magics.flavors import plain
from mlops_magics.flavors.onnx import heads, trees
from mlops_magics.flavors.onnx.building import Graph, Piece
from mlops_magics.flavors.onnx.trees import Tree

_SAME = "identity"
#: XGBoost's objective → how its sums become answers.
_XGBOOST = {
    "binary:logistic": "sigmoid",
    "multi:softprob": "softmax",
    "multi:softmax": "softmax",
    "reg:squarederror": _SAME,
    "reg:absoluteerror": _SAME,
    "reg:pseudohubererror": _SAME,
    "reg:quantileerror": _SAME,
    "reg:logistic": "probability",
    "reg:gamma": "exp",
    "reg:tweedie": "exp",
    "count:poisson": "exp",
}
#: LightGBM's likewise.
_LIGHTGBM = {
    "binary": "sigmoid",
    "multiclass": "softmax",
    "regression": _SAME,
    "regression_l1": _SAME,
    "huber": _SAME,
    "fair": _SAME,
    "quantile": _SAME,
    "mape": _SAME,
    "poisson": "exp",
    "gamma": "exp",
    "tweedie": "exp",
}
_CATEGORIES = (
    "{0} with categorical features can't be converted.",
    "Encode them in a step before (OneHotEncoder), or package it --as folder.",
)


def xgboost(graph: Graph, model: Any, piece: Piece, classes: Sequence[Any] | None) -> heads.Outputs:
    """An estimator's or a Booster's labels and probabilities, or its numbers."""
    booster = model if hasattr(model, "save_raw") else model.get_booster()
    learner = json.loads(booster.save_raw("json"))["learner"]
    kind = learner["objective"]["name"]
    reading = _reading("XGBoost", kind, _XGBOOST)
    if learner["gradient_booster"]["name"] != "gbtree":
        raise BadData(
            f"An XGBoost model of {learner['gradient_booster']['name']} can't be converted.",
            "Package it --as folder.",
        )
    missing = getattr(model, "missing", math.nan)
    if missing is not None and not math.isnan(missing):
        raise BadData(f"An XGBoost model that takes {missing!r} for missing can't be converted.")
    content = learner["gradient_booster"]["model"]
    dumps, targets = content["trees"], content["tree_info"]
    width = max(int(learner["learner_model_param"]["num_class"]), 1)
    best = getattr(model, "best_iteration", None) if model is not booster else None
    if best is not None:  # an estimator that stopped early answers by its best round
        end = content["iteration_indptr"][best + 1]
        dumps, targets = dumps[:end], targets[:end]
    start = _base(learner["learner_model_param"]["base_score"], width, reading)
    found = [_of_xgboost(dump) for dump in dumps]
    # XGBoost reads its rows in single precision.
    rows = graph.rounded(piece.name)
    total = trees.summed(graph, rows, found, targets, width, below=True)
    raw = graph.add("Add", total, graph.constant(start[None, :], np.float64))
    return _read(graph, raw, reading, width, classes)


def _base(text: Any, width: int, reading: str) -> np.ndarray:
    """Where the sums start: kept as an answer (since 3.1 one a class), wanted as a sum."""
    values = json.loads(text) if isinstance(text, str) else text
    array = np.broadcast_to(np.asarray(values, dtype=float).reshape(-1), (width,))
    if reading in ("sigmoid", "probability"):
        return np.asarray(np.log(array / (1 - array)))
    return np.asarray(np.log(array) if reading == "exp" else array)


def _of_xgboost(dump: Mapping[str, Any]) -> Tree:
    if any(dump.get("split_type", ())) or dump.get("categories_nodes"):
        raise BadData(_CATEGORIES[0].format("An XGBoost model"), _CATEGORIES[1])
    conditions = np.asarray(dump["split_conditions"], dtype=np.float32).astype(float)
    return Tree(
        feature=np.asarray(dump["split_indices"]),
        threshold=conditions,
        left=np.asarray(dump["left_children"]),
        right=np.asarray(dump["right_children"]),
        missing_left=np.asarray(dump["default_left"]),
        value=conditions,  # in a leaf it is the value
    )


def lightgbm(
    graph: Graph, model: Any, piece: Piece, classes: Sequence[Any] | None
) -> heads.Outputs:
    """An estimator's or a Booster's labels and probabilities, or its numbers."""
    dump = (model if plain.derives(model, "lightgbm", "Booster") else model.booster_).dump_model()
    kind, *options = str(dump.get("objective", "an objective of its own")).split()
    reading = _reading("LightGBM", kind, _LIGHTGBM)
    if "sqrt" in options:
        raise BadData("A LightGBM model of square roots (reg_sqrt) can't be converted.")
    width = int(dump["num_tree_per_iteration"])
    found = [_of_lightgbm(tree["tree_structure"]) for tree in dump["tree_info"]]
    targets = [at % width for at in range(len(found))]
    # What it takes for zero, and its missing values by the way of each node.
    raw = trees.summed(graph, piece.name, found, targets, width)
    if dump.get("average_output"):
        rounds = float(max(len(found) // width, 1))
        raw = graph.add("Div", raw, graph.constant(rounds, np.float64))
    steep = next((float(o.partition(":")[2]) for o in options if o.startswith("sigmoid:")), 1.0)
    if reading == "sigmoid" and not math.isclose(steep, 1.0):
        raw = graph.add("Mul", raw, graph.constant(steep, np.float64))
    return _read(graph, raw, reading, width, classes)


def _of_lightgbm(root: Mapping[str, Any]) -> Tree:
    nodes: list[tuple[int, float, int, int, bool, float]] = []
    todo: list[tuple[Mapping[str, Any], int, int]] = [(root, -1, 0)]
    while todo:
        node, parent, side = todo.pop()
        here = len(nodes)
        if parent >= 0:
            before = nodes[parent]
            nodes[parent] = (
                *before[:2], *((here, before[3]) if side == 0 else (before[2], here)), *before[4:]
            )  # fmt: skip
        if "split_feature" not in node:
            nodes.append((0, 0.0, -1, -1, False, float(node["leaf_value"])))
            continue
        if node["decision_type"] != "<=":
            raise BadData(_CATEGORIES[0].format("A LightGBM model"), _CATEGORIES[1])
        if node["missing_type"] == "Zero":
            raise BadData("A LightGBM model that takes zero for missing can't be converted.")
        threshold = float(node["threshold"])
        # Where it met no missing value in training, one counts as zero.
        left = bool(node["default_left"]) if node["missing_type"] == "NaN" else threshold >= 0
        nodes.append((int(node["split_feature"]), threshold, 0, 0, left, 0.0))
        todo += [(node["right_child"], here, 1), (node["left_child"], here, 0)]
    feature, split, to_left, to_right, missing, value = map(np.array, zip(*nodes, strict=True))
    return Tree(feature, split, to_left, to_right, missing, value)


def _reading(maker: str, objective: str, known: Mapping[str, str]) -> str:
    if objective not in known:
        raise BadData(
            f"A {maker} model of {objective} can't be converted to ONNX.", "Package it --as folder."
        )
    return known[objective]


def _read(
    graph: Graph, raw: str, reading: str, width: int, classes: Sequence[Any] | None
) -> heads.Outputs:
    if reading == "sigmoid":
        return heads.likeliest(graph, heads.sigmoid(graph, raw), classes or (0, 1))
    if reading == "softmax":
        return heads.likeliest(graph, heads.softmax(graph, raw), classes or range(width))
    if reading == "probability":
        raw = graph.add("Sigmoid", raw)
    return heads.number(graph, graph.add("Exp", raw) if reading == "exp" else raw)
