"""A predictor as a graph: which part of it is converted how."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_magics.errors import BadData, MissingExtra
from mlops_magics.flavors import plain
from mlops_magics.flavors.onnx.fields import Field, fields

if TYPE_CHECKING:
    from mlops_magics.flavors.onnx.building import Graph, Piece, Table
    from mlops_magics.flavors.predictors import Predictor

#: What must be installed: module → its name for people.
NEEDED = {"onnx": "onnx", "onnxruntime": "onnxruntime", "skl2onnx": "skl2onnx"}


@dataclass(frozen=True)
class Converted:
    """A model as a graph.

    Attributes
    ----------
    content : bytes
        The file ``model.onnx``; the same for the same model.
    inputs : tuple of Field
        What goes in, one tensor each.
    outputs : tuple of str
        ``label`` and ``probabilities``, or ``prediction``.
    classes : tuple
        The order of the probabilities' columns.
    notes : tuple of str
        Where the graph answers and the model would not.
    """

    content: bytes
    inputs: tuple[Field, ...]
    outputs: tuple[str, ...]
    task: str
    classes: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def array(self) -> bool:
        """Whether rows are lists of numbers, and not values by column."""
        return self.inputs[0].is_array


def convert(predictor: Predictor, *, single: bool = False) -> Converted:
    """The graph that answers as a predictor does.

    Parameters
    ----------
    single : bool
        In single precision where it can be: what is to be quantised.

    Raises
    ------
    MissingExtra
        If onnx, onnxruntime or skl2onnx is not installed.
    BadData
        If a part of the model can't be converted; names it.
    """
    for module, name in NEEDED.items():
        if importlib.util.find_spec(module) is None:
            raise MissingExtra(name, "onnx")
    from mlops_magics.flavors.onnx.building import Graph, Piece

    wanted = fields(predictor.columns)
    if predictor.task not in ("classification", "regression"):
        raise BadData(
            f"{predictor.description or 'The model'} neither classifies nor predicts numbers, so "
            "it has no graph."
        )
    graph = Graph(single)
    table = [Piece(field.name, field.width, field.is_text) for field in wanted]
    names = [field.name for field in wanted] if not wanted[0].is_array else []
    outputs = _outputs(graph, predictor, table, names)
    model = graph.model(wanted, outputs)
    classes = tuple(predictor.classes or ()) if predictor.task == "classification" else ()
    content = model.SerializeToString(deterministic=True)
    notes = tuple(dict.fromkeys(graph.notes))
    return Converted(content, wanted, tuple(outputs), predictor.task, classes, notes)


def _outputs(graph: Graph, predictor: Predictor, table: Table, names: Sequence[str]) -> Any:
    from mlops_magics.flavors.onnx import boosters, networks

    model = getattr(predictor, "model", None)
    if predictor.flavor == "pytorch":
        return networks.pytorch(graph, predictor, graph.joined(table, "The module"))
    if predictor.flavor == "xgboost":
        return boosters.xgboost(graph, model, graph.joined(table), predictor.classes)
    if predictor.flavor == "lightgbm":
        return boosters.lightgbm(graph, model, graph.joined(table), predictor.classes)
    if predictor.flavor == "sklearn":
        return _pipeline(graph, model, table, names)
    raise BadData(
        f"A model of {predictor.flavor} can't be converted to ONNX: only those of scikit-learn, "
        "XGBoost, LightGBM and PyTorch.",
        "Package it --as folder.",
    )


def _pipeline(graph: Graph, model: Any, table: Table, names: Sequence[str]) -> Any:
    """The steps before the estimator, one after the other, and the estimator."""
    from mlops_magics.flavors.onnx import steps

    while True:
        if hasattr(model, "steps") and type(model).__name__ == "Pipeline":
            for name, step in model.steps[:-1]:
                try:
                    table = steps.apply(graph, step, table, names)
                except BadData as error:
                    raise BadData(f"In the step {name!r}: {error.message}", error.hint) from error
                names = ()
            model = model.steps[-1][1]
        elif (best := getattr(model, "best_estimator_", None)) is not None:
            model = best
        else:
            break
    return _estimator(graph, model, graph.joined(table, f"The {type(model).__name__}"))


def _estimator(graph: Graph, model: Any, piece: Piece) -> Any:
    from sklearn.base import is_classifier

    from mlops_magics.flavors.onnx import boosters, foreign, forests, heads

    classes = tuple(model.classes_.tolist()) if hasattr(model, "classes_") else None
    if plain.made_by(model, "xgboost"):
        return boosters.xgboost(graph, model, piece, classes)
    if plain.made_by(model, "lightgbm"):
        return boosters.lightgbm(graph, model, piece, classes)
    if forests.handles(model):
        return forests.outputs(graph, model, piece)
    if is_classifier(model):
        return foreign.classifier(graph, model, piece, hasattr(model, "predict_proba"))
    return heads.number(graph, foreign.regressor(graph, model, piece))
