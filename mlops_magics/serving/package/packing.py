"""A graph whose columns come in two tensors, all numbers in one and all text in the other.

Of a small request it is the handing over of each input that takes most of a graph's time. For
people and other machines the graph of `package --as onnx` keeps an input a column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_magics.serving.graph import NUMBERS, TEXTS

if TYPE_CHECKING:
    from mlops_magics.flavors.onnx import Converted, Field


def packed(converted: Converted) -> bytes:
    """The graph of a model with named columns, with its inputs taken together."""
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load_from_string(converted.content)
    graph = model.graph
    nodes = list(graph.node)
    del graph.input[:], graph.node[:]
    for name, kind, fields in (
        (NUMBERS, TensorProto.DOUBLE, _of(converted.inputs, texts=False)),
        (TEXTS, TensorProto.STRING, _of(converted.inputs, texts=True)),
    ):
        if not fields:
            continue
        graph.input.append(helper.make_tensor_value_info(name, kind, ["rows", len(fields)]))
        sizes = f"{name}:sizes"
        each = onnx.numpy_helper.from_array(np.ones(len(fields), dtype=np.int64), sizes)
        graph.initializer.append(each)
        columns = [field.name for field in fields]
        graph.node.append(helper.make_node("Split", [name, sizes], columns, name=name, axis=1))
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


class Session:
    """A session of a packed graph, asked as if it had an input a column."""

    def __init__(self, session: Any, inputs: Sequence[Field]) -> None:
        self.session = session
        self.inputs = inputs

    def run(self, names: Sequence[str], feeds: Mapping[str, np.ndarray]) -> Any:
        """The outputs of those names."""
        given = {
            name: np.concatenate([feeds[field.name] for field in fields], axis=1)
            for name, fields in (
                (NUMBERS, _of(self.inputs, texts=False)),
                (TEXTS, _of(self.inputs, texts=True)),
            )
            if fields
        }
        return self.session.run(names, given)


def _of(fields: Sequence[Field], *, texts: bool) -> list[Field]:
    return [field for field in fields if field.is_text == texts]
