"""Weights in eight bits: a graph a quarter as large, whose answers are no longer the model's."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from mlops_magics.errors import BadData

#: The share of labels that must stay as they are.
LEAST_EQUAL = 0.99
#: How far a regression's numbers may move, relative to their size.
MOST_APART = 0.01

#: What stands in a graph for weights in eight bits.
_QUANTISED = ("MatMulInteger", "ConvInteger", "DynamicQuantizeLinear", "DynamicQuantizeLSTM")


def int8(content: bytes) -> bytes:
    """The graph with dynamically quantised weights.

    Parameters
    ----------
    content : bytes
        A graph in single precision: weights in double precision are left alone.

    Raises
    ------
    BadData
        If it has none that could be.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load_from_string(content)
    with tempfile.TemporaryDirectory(prefix="mlops-int8-") as folder:
        before, after = Path(folder, "model.onnx"), Path(folder, "int8.onnx")
        onnx.save(model, before)
        root = logging.getLogger()
        level = root.level
        root.setLevel(logging.ERROR)  # it advises on the root logger
        try:
            quantize_dynamic(before, after, weight_type=QuantType.QInt8, per_channel=True)
        finally:
            root.setLevel(level)
        made = onnx.load(after)
    if not any(node.op_type in _QUANTISED for node in made.graph.node):
        raise BadData(
            "The model has no weights that eight bits could hold: only the layers of networks "
            "have, so quantising gains nothing.",
            "Package it without --quantise.",
        )
    return bytes(made.SerializeToString(deterministic=True))
