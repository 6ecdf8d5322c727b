"""PyTorch's modules, by PyTorch's own exporter."""

from __future__ import annotations

import io
import logging
import warnings
from typing import Any

import numpy as np

from mlops_magics.errors import BadData
from mlops_magics.flavors.onnx import heads
from mlops_magics.flavors.onnx.building import OPSET, Graph, Piece


def pytorch(graph: Graph, reading: Any, piece: Piece) -> heads.Outputs:
    """What a module answers, read as the project's own predictor reads it.

    Parameters
    ----------
    reading : Reading
        The module as a predictor: task, classes, and what its numbers are.
    """
    made = _exported(reading.model, piece.width)
    rows = graph.single(piece.name)
    raw = graph.double(graph.inline(made, [rows])[0])
    if reading.task != "classification" or reading.classes is None:
        return heads.number(graph, raw)
    classes = reading.classes
    width = _width(made)
    if width > 1:
        chances = raw if reading.outputs == "probabilities" else heads.softmax(graph, raw)
        return heads.likeliest(graph, chances, classes)
    column = graph.add("Reshape", raw, graph.constant([-1, 1], np.int64))
    if reading.outputs == "margins":
        above = graph.add("Greater", column, graph.constant(0.0, np.float64))
        index = graph.add("Cast", above, to=7)
        return heads.label(
            graph, graph.add("Reshape", index, graph.constant([-1], np.int64)), classes
        )
    probable = reading.outputs == "probabilities"
    chances = heads.both(graph, column) if probable else heads.sigmoid(graph, column)
    return heads.likeliest(graph, chances, classes)


def _exported(module: Any, width: int) -> Any:
    import onnx
    import torch

    if any(type(m).__name__.startswith("Embedding") for m in module.modules()):
        raise BadData(
            "A PyTorch module with embeddings can't be converted: it takes whole numbers."
        )
    weights = next(iter(module.parameters()))
    if weights.dtype != torch.float32:
        raise BadData(f"A PyTorch module of {weights.dtype} can't be converted, only of float32.")
    buffer = io.BytesIO()
    module = module.cpu().eval()
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                (torch.zeros(2, width),),
                buffer,
                input_names=["X"],
                output_names=["raw"],
                dynamic_axes={"X": {0: "rows"}, "raw": {0: "rows"}},
                opset_version=min(OPSET, 18),
                dynamo=False,  # the newer exporter needs one more package for the same graph
            )
    except Exception as error:  # whatever the exporter raises
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:150].rstrip(".")
        raise BadData(
            f"The PyTorch module {type(module).__name__} can't be exported to ONNX ({first}).",
            "Package it --as folder.",
        ) from error
    finally:
        quiet.setLevel(level)
    return onnx.load_from_string(buffer.getvalue())


def _width(made: Any) -> int:
    shape = made.graph.output[0].type.tensor_type.shape.dim
    return int(shape[1].dim_value) if len(shape) == 2 else 1
