"""What skl2onnx converts: all estimators and steps of scikit-learn that have no file here."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np

from mlops_magics.errors import BadData
from mlops_magics.flavors.onnx import sessions
from mlops_magics.flavors.onnx.building import OPSET, Graph, Piece, Table
from mlops_magics.flavors.onnx.heads import Outputs, label, likeliest

log = logging.getLogger("mlops_magics")

_OF_TEXT = ("CountVectorizer", "TfidfVectorizer")
#: The newest operators for machine learning that skl2onnx writes.
_ML_OPSET = 3


def transformer(graph: Graph, step: Any, table: Table) -> Table:
    """A step that gives numbers.

    Raises
    ------
    BadData
        If skl2onnx does not convert it.
    """
    piece = graph.joined(table, f"A {type(step).__name__}")
    # Another locale is not on every machine, least of all on a small one.
    options = {"locale": "C"} if type(step).__name__ in _OF_TEXT else None
    made, single = _converted(graph, step, piece, options)
    given = graph.single(piece.name) if single else piece.name
    output = graph.inline(made, [given])[0]
    shape = made.graph.output[0].type.tensor_type.shape.dim
    size = shape[1].dim_value if len(shape) == 2 else 0
    return [Piece(graph.double(output), size or len(step.get_feature_names_out()))]


def classifier(graph: Graph, model: Any, piece: Piece, chances: bool) -> Outputs:
    """A classifier: labels, and probabilities where it has them."""
    options = {"zipmap": False} if chances else {}
    made, single = _converted(graph, model, piece, options)
    given = graph.single(piece.name) if single else piece.name
    found = graph.inline(made, [given])
    classes = model.classes_.tolist()
    if not chances or not _says_the_likeliest(model):
        outputs = _labels(graph, found[0], made, classes)
        if not chances:
            return outputs
        doubles = graph.double(found[1])
        return {**outputs, "probabilities": (doubles, 11, ["rows", len(classes)])}
    return likeliest(graph, graph.double(found[1]), classes)


def regressor(graph: Graph, model: Any, piece: Piece) -> str:
    """A regression's numbers."""
    made, single = _converted(graph, model, piece)
    given = graph.single(piece.name) if single else piece.name
    return graph.double(graph.inline(made, [given])[0])


def _labels(graph: Graph, name: str, made: Any, classes: list[Any]) -> Outputs:
    """skl2onnx's own labels; truth values come as numbers and are made such again."""
    kind = made.graph.output[0].type.tensor_type.elem_type
    flat = graph.add("Reshape", name, graph.constant([-1], np.int64))
    if isinstance(classes[0], bool):
        return label(graph, flat, classes)
    return {"label": (flat, kind, ["rows"])}


def _says_the_likeliest(model: Any) -> bool:
    """Whether the label is the class of highest probability; of a support vector machine not."""
    return not type(model).__name__.endswith("SVC")


def _converted(
    graph: Graph, model: Any, piece: Piece, options: dict[str, Any] | None = None
) -> tuple[Any, bool]:
    """What skl2onnx makes of it in double precision, or in single where it can't or should not."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType

    why: Exception | None = None
    numbers = (DoubleTensorType, FloatTensorType)[:: -1 if graph.single_first else 1]
    for kind in (StringTensorType,) if piece.is_text else numbers:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                made = to_onnx(
                    model,
                    initial_types=[("X", kind([None, piece.width]))],
                    options={id(model): options} if options else None,
                    target_opset={"": OPSET, "ai.onnx.ml": _ML_OPSET},
                )
            # Some that it writes in double precision are no valid graphs.
            sessions.opened(made.SerializeToString())
            return made, kind is FloatTensorType
        except Exception as error:  # whatever skl2onnx raises when it has no converter
            log.debug("skl2onnx on %s: %s", type(model).__name__, error)
            why = why or error
    name = f"{type(model).__module__.partition('.')[0]}'s {type(model).__name__}"
    reason = (str(why).strip().splitlines() or [type(why).__name__])[0][:150].rstrip(".")
    raise BadData(
        f"{name} can't be converted to ONNX ({reason}).",
        "Package it --as folder, or put a step that can be in its place.",
    ) from why
