"""What answers: the model's graph, its own library, or MLflow's generic loader."""

from __future__ import annotations

import importlib.util
import logging
from functools import partial
from pathlib import Path

from mlops_magics import flavors
from mlops_magics.errors import BadData, WrongUsage
from mlops_magics.flavors.predictors import Predictor
from mlops_magics.serving import graph, manifest

log = logging.getLogger("mlops_magics.serving")

AUTO, ONNX, NATIVE = "auto", "onnx", "native"
#: What `--runtime` takes.
CHOICES = (AUTO, ONNX, NATIVE)


def load(folder: Path, asked: str = AUTO) -> Predictor:
    """The model of a package whose digest the caller has checked, by the fastest exact way.

    Parameters
    ----------
    asked : str
        ``onnx``, ``native``, or ``auto`` for the first of the two that can be.

    Raises
    ------
    WrongUsage
        If the graph is asked for and there is none, or onnxruntime is not installed.
    MlopsError
        If the model can't be loaded.
    """
    model = folder / manifest.MODEL
    absent = "" if asked == NATIVE else _why_not(folder)
    if asked == ONNX and absent:
        raise WrongUsage(absent, "Leave --runtime out.")
    if asked == NATIVE or absent:
        return flavors.load(model)
    meta = flavors.folder.read(model)
    native = partial(flavors.load, model)
    try:
        return graph.Graph(folder / graph.FOLDER, meta.inputs, meta.parameters, meta.output, native)
    except Exception as error:  # onnxruntime raises what it likes
        if asked == ONNX:
            raise BadData(f"The graph of {folder} can't be used: {error}.") from error
        log.warning("The graph can't be used (%s); the model itself answers.", error)
        return native()


def name(predictor: Predictor) -> str:
    """``onnx``, ``native``, or ``pyfunc`` where MLflow's generic loader answers."""
    if isinstance(predictor, graph.Graph):
        return ONNX
    return "pyfunc" if predictor.flavor == "pyfunc" else NATIVE


def _why_not(folder: Path) -> str:
    if not (folder / graph.FOLDER).is_dir():
        return f"The package has no graph: {manifest.read(folder).why_no_graph}"
    if importlib.util.find_spec("onnxruntime") is None:
        return "onnxruntime is not installed, so the graph can't be used."
    return ""
