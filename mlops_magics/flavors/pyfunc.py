"""Any model that MLflow can serve: a `PythonModel`, or a folder that names its own loader.

The loader is imported by its name, as MLflow does it: this room does not depend on MLflow, the
model does.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics.errors import BadData
from mlops_magics.flavors import plain
from mlops_magics.flavors.base import NOTHING, Flavor, Saving
from mlops_magics.flavors.predictors import Predictor

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mlops_magics.flavors.folder import ModelFolder


class PyfuncFlavor(Flavor):
    """`mlflow.pyfunc.PythonModel` in memory; the fallback for folders."""

    name = "pyfunc"
    mlflow_flavor = "python_function"
    breadth = 2

    def recognises(self, obj: Any) -> bool:
        """By the name of its base class: whoever derives from it has imported MLflow."""
        return plain.derives(obj, "mlflow.pyfunc", "PythonModel")

    def is_fitted(self, obj: Any) -> bool:
        """Always: what it wraps is its own business."""
        return True

    def task(self, obj: Any) -> str:
        """What its attribute ``task`` says, if it has one."""
        return plain.said(obj)

    def params(self, obj: Any) -> dict[str, Any]:
        """Its plain attributes."""
        return plain.attributes(obj)

    def describe(self, obj: Any) -> str:
        """Its class."""
        return f"{type(obj).__name__} (PythonModel)"

    def predict(self, obj: Any, X: Any) -> np.ndarray:
        """What its ``predict`` answers, as an array."""
        takes = inspect.signature(obj.predict).parameters
        return plain.column(obj.predict(None, X) if "context" in takes else obj.predict(X))

    def observe(self, obj: Any, X: Any, y: Any) -> dict[str, Any]:
        """The task, by the truth, where the model does not say it."""
        return {"mlops.task": self.task(obj) or plain.task_of(y)}

    def predictor(
        self, obj: Any, facts: Mapping[str, Any] = NOTHING, folder: ModelFolder | None = None
    ) -> Predictor:
        """A live model."""
        return PythonModelPredictor(obj, self, facts)

    def saving(self, obj: Any, scratch: Path) -> Saving:
        """By MLflow with cloudpickle, as it was made to be."""
        from mlops_magics.flavors import graph

        own = graph.local_code(graph.modules(obj))
        return Saving(
            module="pyfunc",
            arguments={"python_model": obj, **({"code_paths": own} if own else {})},
        )

    def packages(self, obj: Any) -> list[str]:
        """MLflow itself, and what the model is made of."""
        from mlops_magics.flavors import graph

        return graph.requirements(obj, {"mlflow", "cloudpickle", "pandas", "numpy"})

    def opens(self, folder: ModelFolder) -> bool:
        """Whatever names a loader."""
        return bool(folder.loader_module)

    def read(self, path: Path, folder: ModelFolder) -> Any:
        """Import the loader by its name and let it load."""
        settings = folder.flavors["python_function"]
        module = importlib.import_module(folder.loader_module)
        # As MLflow calls it: with the data's path, or the whole folder where none is named.
        data = str(path / str(settings["data"])) if settings.get("data") else str(path)
        config = settings.get("config")
        return module._load_pyfunc(data, config) if config else module._load_pyfunc(data)

    def load(self, path: Path, folder: ModelFolder) -> Predictor:
        """What the loader returned, asked by the function that the folder names."""
        return PyfuncPredictor(self.imported(path, folder), folder)


class PythonModelPredictor(Predictor):
    """A `PythonModel` in memory."""

    def __init__(self, model: Any, flavor: PyfuncFlavor, facts: Mapping[str, Any]) -> None:
        self.model = model
        self.by = flavor
        self.flavor = flavor.name
        self.task = flavor.task(model) or str(facts.get("mlops.task", "none"))
        self.description = flavor.describe(model)

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """One prediction a row."""
        return self.by.predict(self.model, frame)


class PyfuncPredictor(Predictor):
    """What a loader of MLflow returned."""

    def __init__(self, native: Any, folder: ModelFolder) -> None:
        self.native = native
        self.flavor = PyfuncFlavor.name
        self.task = str(folder.metadata.get("mlops.task", "none"))
        self.columns = folder.inputs
        self.parameters = folder.parameters
        self.output = folder.output
        self.description = folder.loader_module.removeprefix("mlflow.")
        function = str(folder.flavors["python_function"].get("predict_fn") or "predict")
        try:
            self._predict = getattr(native, function)
        except AttributeError as error:
            raise BadData(f"The model has no function {function!r}.") from error
        accepted = inspect.signature(self._predict).parameters.get("params")
        self._takes_params = accepted is not None and accepted.kind is not accepted.VAR_KEYWORD

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """One prediction a row; a table of predictions as an array."""
        return plain.column(self.answer(frame, {}))

    def answer(self, data: Any, params: Mapping[str, Any]) -> Any:
        """What the model returns: an array, a table, a list."""
        if self._takes_params:
            return self._predict(data, params=dict(params))
        return self._predict(data)
