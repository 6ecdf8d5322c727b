"""From what a model adds up to probabilities and labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto

from mlops_magics.errors import BadData
from mlops_magics.flavors.onnx.building import Graph

#: Outputs of a graph: name → the tensor's name, its type and shape.
Outputs = dict[str, tuple[str, int, list[Any]]]


def sigmoid(graph: Graph, raw: str) -> str:
    """Of one column (rows × 1) the probabilities of both classes."""
    second = graph.add("Sigmoid", raw)
    first = graph.add("Sigmoid", graph.add("Neg", raw))  # as exact for a rare class
    return graph.add("Concat", first, second, axis=1)


def both(graph: Graph, second: str) -> str:
    """From the probability of the second class (rows × 1) those of both."""
    one = graph.constant(1.0, np.float64)
    return graph.add("Concat", graph.add("Sub", one, second), second, axis=1)


def softmax(graph: Graph, raw: str) -> str:
    """Probabilities from logits, rows × classes."""
    return graph.add("Softmax", raw, axis=1)


def likeliest(graph: Graph, chances: str, classes: Sequence[Any]) -> Outputs:
    """The class of highest probability, and the probabilities."""
    index = graph.add("ArgMax", chances, axis=1, keepdims=0)
    return {
        **label(graph, index, classes),
        "probabilities": (chances, TensorProto.DOUBLE, ["rows", len(classes)]),
    }


def label(graph: Graph, index: str, classes: Sequence[Any]) -> Outputs:
    """The classes at places (rows,)."""
    kind, array = typed(classes)
    found = graph.add("Gather", graph.constant(array), index, axis=0)
    return {"label": (found, kind, ["rows"])}


def number(graph: Graph, raw: str) -> Outputs:
    """A regression's number, (rows,)."""
    shape = graph.constant([-1], np.int64)
    flat = graph.add("Reshape", raw, shape)
    return {"prediction": (flat, TensorProto.DOUBLE, ["rows"])}


def typed(classes: Sequence[Any]) -> tuple[int, np.ndarray]:
    """Classes as a tensor.

    Raises
    ------
    BadData
        If they are of a type that a tensor does not have.
    """
    array = np.asarray(classes)
    if array.dtype.kind in "OU" and all(isinstance(c, str) for c in classes):
        return TensorProto.STRING, np.asarray(classes, dtype=object)
    kinds = {"b": TensorProto.BOOL, "i": TensorProto.INT64, "u": TensorProto.INT64}
    if array.dtype.kind in kinds:
        return kinds[array.dtype.kind], array if array.dtype.kind == "b" else array.astype(np.int64)
    if array.dtype.kind == "f":
        return TensorProto.DOUBLE, array.astype(np.float64)
    raise BadData(f"A graph has no type for classes such as {classes[0]!r}.")
