"""Trees in double precision: one operator for all of a model's trees, whatever it was made with.

The operators that were before (``TreeEnsembleClassifier``, ``TreeEnsembleRegressor``) keep
thresholds in single precision, where a row that lies near one falls on the other side.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import numpy_helper

from mlops_magics.flavors.onnx.building import ML, Graph

_AT_MOST, _BELOW = 0, 1


@dataclass(frozen=True)
class Tree:
    """One tree, its nodes in arrays of equal length; node 0 is the root.

    Attributes
    ----------
    left, right : array of int
        Where a row goes on; -1 in a leaf.
    missing_left : array of bool
        Where a row without a value goes.
    value : array
        (nodes,), or (nodes, width); counts in leaves only.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    missing_left: np.ndarray
    value: np.ndarray


def summed(
    graph: Graph,
    rows: str,
    trees: Sequence[Tree],
    targets: Sequence[int],
    width: int,
    *,
    below: bool = False,
) -> str:
    """The sum of the trees' values, rows × `width`; tree i adds to the column ``targets[i]``.

    With `below` a row goes left if it is below the threshold, else if it is at most that.
    """
    weights = [tree.value[tree.left < 0] for tree in trees]
    return _ensemble(graph, rows, trees, weights, targets, width, below)


def averaged(graph: Graph, rows: str, trees: Sequence[Tree]) -> str:
    """The mean of the trees' vectors, rows × width.

    A leaf holds one number: here its own place in a table of vectors, one output a tree.
    """
    table = np.concatenate([tree.value[tree.left < 0] for tree in trees])
    counts = np.cumsum([0, *(int((tree.left < 0).sum()) for tree in trees)])
    places = [np.arange(a, b, dtype=float) for a, b in itertools.pairwise(counts)]
    targets = range(len(trees))
    found = _ensemble(graph, rows, trees, places, targets, len(trees), False)
    index = graph.add("Cast", found, to=7)  # int64
    vectors = graph.add("Gather", graph.constant(table, np.float64), index, axis=0)
    axis = graph.constant([1], np.int64)
    total = graph.add("ReduceSum", vectors, axis, keepdims=0)
    return graph.add("Div", total, graph.constant(float(len(trees)), np.float64))


def _ensemble(
    graph: Graph,
    rows: str,
    trees: Sequence[Tree],
    weights: Sequence[np.ndarray],
    targets: Sequence[int],
    width: int,
    below: bool,
) -> str:
    columns: dict[str, list[Any]] = {
        name: []
        for name in (
            "feature", "split", "true", "trueleaf", "false", "falseleaf", "missing", "root"
        )
    }  # fmt: skip
    leaves: list[float] = []
    ids: list[int] = []
    for tree, weight, target in zip(trees, weights, targets, strict=True):
        _append(columns, tree, len(columns["feature"]), len(leaves))
        leaves += weight.astype(float).tolist()
        ids += [target] * len(weight)
    modes = np.full(len(columns["feature"]), _BELOW if below else _AT_MOST, dtype=np.uint8)
    return graph.add(
        "TreeEnsemble",
        rows,
        domain=ML,
        n_targets=width,
        aggregate_function=1,  # the sum
        post_transform=0,
        tree_roots=columns["root"],
        nodes_featureids=columns["feature"],
        nodes_splits=numpy_helper.from_array(np.array(columns["split"], dtype=np.float64)),
        nodes_modes=numpy_helper.from_array(modes),
        nodes_truenodeids=columns["true"],
        nodes_trueleafs=columns["trueleaf"],
        nodes_falsenodeids=columns["false"],
        nodes_falseleafs=columns["falseleaf"],
        nodes_missing_value_tracks_true=columns["missing"],
        leaf_targetids=ids,
        leaf_weights=numpy_helper.from_array(np.array(leaves, dtype=np.float64)),
    )


def _append(columns: dict[str, list[Any]], tree: Tree, first: int, first_leaf: int) -> None:
    """Add a tree's nodes: those that split and the leaves are counted apart."""
    leaf = tree.left < 0
    place = np.where(leaf, first_leaf + np.cumsum(leaf) - 1, first + np.cumsum(~leaf) - 1)
    columns["root"].append(first)
    if leaf[0]:  # a tree that is one leaf: both sides of a node lead there
        for name, value in {
            "feature": 0, "split": 0.0, "missing": 0,
            "true": first_leaf, "trueleaf": 1, "false": first_leaf, "falseleaf": 1,
        }.items():  # fmt: skip
            columns[name].append(value)
        return
    inner = np.flatnonzero(~leaf)
    columns["feature"] += tree.feature[inner].astype(int).tolist()
    columns["split"] += tree.threshold[inner].astype(float).tolist()
    columns["missing"] += tree.missing_left[inner].astype(int).tolist()
    for side, to in (("true", tree.left[inner]), ("false", tree.right[inner])):
        columns[side] += place[to].astype(int).tolist()
        columns[f"{side}leaf"] += leaf[to].astype(int).tolist()
