"""How a framework's model is recognised, described, saved and loaded again.

A flavor is one class (`Flavor`) and one entry-point line. This room knows no MLflow: it says
how MLflow is to save a model, and reads the folder that MLflow wrote by itself, so that a
prediction server needs neither MLflow nor its second of imports.

Nothing here imports a framework before one of its models is met.
"""

from mlops_magics.flavors import plain, unpicklable
from mlops_magics.flavors.base import Flavor, Reader, Report, Saving
from mlops_magics.flavors.folder import ModelFolder, digest
from mlops_magics.flavors.predictors import Input, Inside, Param, Predictor
from mlops_magics.flavors.registry import load, reader, recognise, watching

__all__ = [
    "Flavor",
    "Input",
    "Inside",
    "ModelFolder",
    "Param",
    "Predictor",
    "Reader",
    "Report",
    "Saving",
    "digest",
    "load",
    "plain",
    "reader",
    "recognise",
    "unpicklable",
    "watching",
]
