"""Models of scikit-learn and all that behave like one: pipelines, searches, wrappers."""

from __future__ import annotations

import math
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics.errors import BadData, MlopsError
from mlops_magics.flavors.base import Flavor, Predictor

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mlops_magics.flavors.folder import ModelFolder

#: Longest shown value of a hyperparameter, in characters.
LONGEST = 250


class SklearnFlavor(Flavor):
    """Anything that derives from scikit-learn's ``BaseEstimator`` and can predict."""

    name = "sklearn"
    mlflow_flavor = "sklearn"

    def recognises(self, obj: Any) -> bool:
        """By the names of its classes: whoever has an estimator has imported scikit-learn."""
        return _is_estimator(obj) and hasattr(obj, "predict")

    def is_fitted(self, obj: Any) -> bool:
        """As scikit-learn itself decides it."""
        from sklearn.exceptions import NotFittedError
        from sklearn.utils.validation import check_is_fitted

        try:
            check_is_fitted(obj)
        except (NotFittedError, TypeError):
            return False
        return True

    def task(self, obj: Any) -> str:
        """By the estimator's own tags; clusterers and outlier detectors are ``none``."""
        from sklearn.base import is_classifier, is_regressor

        if is_classifier(obj):
            return "classification"
        return "regression" if is_regressor(obj) else "none"

    def params(self, obj: Any) -> dict[str, Any]:
        """All hyperparameters, nested ones as ``step__name``; an estimator by its class."""
        return {name: _plain(value) for name, value in sorted(obj.get_params(deep=True).items())}

    def describe(self, obj: Any) -> str:
        """The estimator that learns, and what it stands in."""
        if not _is_estimator(obj):  # a step such as "passthrough"
            return str(obj)
        name = type(obj).__name__
        if steps := getattr(obj, "steps", None):
            return f"{self.describe(steps[-1][1])} in a {name}"
        if (best := getattr(obj, "best_estimator_", None)) is not None:
            return f"{self.describe(best)} chosen by {name}"
        inner = getattr(obj, "estimator", getattr(obj, "regressor", None))
        return f"{name} of {self.describe(inner)}" if _is_estimator(inner) else name

    def scores(self, obj: Any, X: Any) -> Any | None:
        """Probabilities, rows × classes; ``None`` for a model without."""
        return obj.predict_proba(X) if hasattr(obj, "predict_proba") else None

    def save_options(self, obj: Any) -> dict[str, Any]:
        """skops where every type is on our list; else cloudpickle, and why, in the metadata."""
        from mlops_magics.flavors import graph

        options: dict[str, Any] = {}
        if own := graph.local_code(graph.modules(obj)):
            options["code_paths"] = own
        types, reason = _without_pickle(obj)
        if reason:
            return {
                **options,
                "serialization_format": "cloudpickle",
                "metadata": {"mlops.cloudpickle_because": reason},
            }
        return {**options, "serialization_format": "skops", "skops_trusted_types": types}

    def packages(self, obj: Any) -> list[str]:
        """What the model is made of, and what reads it back."""
        from mlops_magics.flavors import graph

        readers = {"sklearn", "numpy", "pandas", "skops", "cloudpickle"}
        found = graph.packages(graph.modules(obj) | readers)
        return [f"{name}=={version}" for name, version in sorted(found.items())]

    def opens(self, folder: ModelFolder) -> bool:
        """What MLflow's sklearn flavor saved."""
        return "sklearn" in folder.flavors

    def load(self, path: Path, folder: ModelFolder) -> Predictor:
        """Load by skops with our own list of types, or by cloudpickle."""
        settings = folder.flavors["sklearn"]
        if settings.get("code"):
            # The user's own modules, which MLflow copied beside the model.
            sys.path.insert(0, str(path / str(settings["code"])))
        file = path / str(settings["pickled_model"])
        if settings.get("serialization_format") == "skops":
            from mlops_magics.flavors import trust

            model = trust.load(file)
        else:
            model = _unpickle(file)
        return SklearnPredictor(model, folder, self)


class SklearnPredictor(Predictor):
    """A fitted estimator."""

    def __init__(self, model: Any, folder: ModelFolder, flavor: SklearnFlavor) -> None:
        self.model = model
        self.flavor = flavor.name
        self.task = flavor.task(model)
        self.description = flavor.describe(model)
        self.columns = folder.inputs
        self.parameters = folder.parameters
        self.output = folder.output
        classes: Any = getattr(model, "classes_", None)
        # Several outputs have a list of classes each; there is no one order to name.
        if hasattr(classes, "tolist"):
            self.classes = tuple(classes.tolist())

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """One prediction a row."""
        import numpy as np

        return np.asarray(self.model.predict(frame))

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray | None:
        """Probabilities, rows × `classes`."""
        import numpy as np

        if self.classes is None or not hasattr(self.model, "predict_proba"):
            return None
        return np.asarray(self.model.predict_proba(frame))

    def answer(self, data: Any, params: Mapping[str, Any]) -> Any:
        """What ``predict`` returns; scikit-learn's models take no parameters."""
        return self.model.predict(data)


def _is_estimator(obj: Any) -> bool:
    return not isinstance(obj, type) and any(
        c.__name__ == "BaseEstimator" and c.__module__.startswith("sklearn.")
        for c in type(obj).__mro__
    )


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value if not isinstance(value, str) else _bounded(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # a numpy scalar
        return _plain(value.item())
    return _bounded(_named(value))


def _named(value: Any) -> str:
    """A value in words: estimators by class, also inside lists of steps."""
    if _is_estimator(value):
        return type(value).__name__
    if isinstance(value, tuple) and len(value) in (2, 3) and isinstance(value[0], str):
        return f"{value[0]}: {_named(value[1])}"
    if isinstance(value, list) and value and all(isinstance(v, tuple) for v in value):
        return ", ".join(map(_named, value))
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return repr(value)


def _bounded(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _without_pickle(obj: Any) -> tuple[list[str], str]:
    """The types that a reader must trust to load `obj` by skops, or why it can't be."""
    import skops.io

    from mlops_magics.flavors import trust

    try:
        data = skops.io.dumps(obj)
        types = list(skops.io.get_untrusted_types(data=data))
    except Exception as error:  # whatever an attribute's own reducer raises
        return [], f"skops can't save it ({type(error).__name__}: {error})"[:LONGEST]
    if strange := trust.refused(types):
        more = f" and {len(strange) - 3} more" if len(strange) > 3 else ""
        return [], (
            f"it holds {', '.join(strange[:3])}{more}, which is not on the list of types that are "
            "loaded without pickle"
        )
    return types, ""


def _unpickle(file: Path) -> Any:
    try:
        with file.open("rb") as stream:
            return pickle.load(stream)  # noqa: S301  # the caller has checked its digest
    except ModuleNotFoundError as error:
        raise MlopsError(
            f"The model needs the module {error.name!r}, which is not installed here.",
            "Install what its requirements.txt names.",
        ) from error
    except (pickle.UnpicklingError, EOFError, AttributeError) as error:
        raise BadData(f"{file} can't be loaded ({type(error).__name__}: {error}).") from error
