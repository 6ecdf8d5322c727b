"""Any folder that MLflow can serve, through the loader that the folder itself names.

The module is imported by its name, as MLflow does it: this room does not depend on MLflow, the
model does.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics.errors import BadData, MlopsError
from mlops_magics.flavors.base import Predictor, Reader

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mlops_magics.flavors.folder import ModelFolder


class PyfuncFlavor(Reader):
    """The fallback: opens whatever names a loader."""

    name = "pyfunc"

    def opens(self, folder: ModelFolder) -> bool:
        """Whatever names a loader."""
        return bool(folder.loader_module)

    def load(self, path: Path, folder: ModelFolder) -> Predictor:
        """Import the loader by its name and let it load."""
        settings = folder.flavors["python_function"]
        if settings.get("code"):
            sys.path.insert(0, str(path / str(settings["code"])))
        try:
            module = importlib.import_module(folder.loader_module)
        except ModuleNotFoundError as error:
            raise MlopsError(
                f"The model is loaded by {folder.loader_module}, and the module {error.name!r} is "
                "not installed here.",
                "Install what its requirements.txt names.",
            ) from error
        # As MLflow calls it: with the data's path, or the whole folder where none is named.
        data = str(path / str(settings["data"])) if settings.get("data") else str(path)
        config = settings.get("config")
        native = module._load_pyfunc(data, config) if config else module._load_pyfunc(data)
        return PyfuncPredictor(native, folder, str(settings.get("predict_fn") or "predict"))


class PyfuncPredictor(Predictor):
    """What a loader of MLflow returned."""

    def __init__(self, native: Any, folder: ModelFolder, function: str) -> None:
        self.native = native
        self.flavor = PyfuncFlavor.name
        self.columns = folder.inputs
        self.parameters = folder.parameters
        self.output = folder.output
        self.description = folder.loader_module.removeprefix("mlflow.")
        try:
            self._predict = getattr(native, function)
        except AttributeError as error:
            raise BadData(f"The model has no function {function!r}.") from error
        accepted = inspect.signature(self._predict).parameters.get("params")
        self._takes_params = accepted is not None and accepted.kind is not accepted.VAR_KEYWORD

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """One prediction a row; a table of predictions as an array."""
        import numpy as np

        return np.asarray(self.answer(frame, {}))

    def answer(self, data: Any, params: Mapping[str, Any]) -> Any:
        """What the model returns: an array, a table, a list."""
        if self._takes_params:
            return self._predict(data, params=dict(params))
        return self._predict(data)
