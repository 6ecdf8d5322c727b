"""XGBoost: its scikit-learn estimators and the native Booster, saved in its own format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics.errors import BadData
from mlops_magics.flavors import plain, readings, seams
from mlops_magics.flavors.base import NOTHING, ModelPredictor, Report, Saving
from mlops_magics.flavors.predictors import Inside, Predictor

if TYPE_CHECKING:
    import numpy as np

    from mlops_magics.flavors.folder import ModelFolder


class XgboostFlavor(readings.RawFlavor):
    """What is made by XGBoost; a class derived from it is scikit-learn's matter."""

    name = "xgboost"
    mlflow_flavor = "xgboost"
    needs = ("xgboost", "xgboost", "XGBoost")

    def recognises(self, obj: Any) -> bool:
        """A Booster, or an estimator whose objective its own format can hold."""
        if not plain.made_by(obj, "xgboost"):
            return False
        return plain.derives(obj, "xgboost", "Booster") or (
            plain.derives(obj, "xgboost", "XGBModel") and not callable(obj.objective)
        )

    def is_fitted(self, obj: Any) -> bool:
        """As the estimator itself says; a Booster is made by training."""
        return _is_booster(obj) or bool(obj.__sklearn_is_fitted__())

    def task(self, obj: Any) -> str:
        """By the objective; rankings and risks are ``none``, an objective of one's own is open."""
        objective = _objective(obj)
        kind = objective.partition(":")[0]
        if kind in ("binary", "multi"):
            return "classification"
        if kind == "rank" or objective == "survival:cox":
            return "none"
        return "regression"

    def classes(self, obj: Any) -> tuple[Any, ...] | None:
        """0, 1, 2…, as XGBoost counts them."""
        if self.task(obj) != "classification":
            return None
        width = int(_config(obj)["learner_model_param"]["num_class"])
        return tuple(range(max(width, 2)))

    def outputs(self, obj: Any) -> str:
        """By the objective; `raw` asks for the margins where a Booster would give only classes."""
        if self.task(obj) != "classification":
            return "values"
        objective = _objective(obj)
        if objective == "binary:hinge":
            return "margins"
        return "probabilities" if objective in ("binary:logistic", "multi:softprob") else "logits"

    def raw(self, obj: Any, X: Any) -> np.ndarray:
        """What a Booster answers."""
        import numpy as np
        import xgboost

        named = None if hasattr(X, "columns") else obj.feature_names
        rows = xgboost.DMatrix(_rows(X), feature_names=named, enable_categorical=True)
        margin = self.outputs(obj) in ("logits", "margins")
        return np.asarray(obj.predict(rows, output_margin=margin))

    def predictor(
        self, obj: Any, facts: Mapping[str, Any] = NOTHING, folder: ModelFolder | None = None
    ) -> Predictor:
        """An estimator answers for itself, a Booster's numbers are read."""
        if _is_booster(obj):
            return super().predictor(obj, facts, folder)
        return ModelPredictor(obj, self, folder)

    def observe(self, obj: Any, X: Any, y: Any) -> dict[str, Any]:
        """Nothing: the objective says it all."""
        return {}

    def predict(self, obj: Any, X: Any) -> np.ndarray:
        """The class by XGBoost's own count, or the number."""
        if _is_booster(obj):
            return super().predict(obj, X)
        return plain.column(obj.predict(_rows(X)))

    def probabilities(self, obj: Any, X: Any) -> np.ndarray | None:
        """Probabilities of the classes."""
        import numpy as np

        if _is_booster(obj):
            return super().probabilities(obj, X)
        if not hasattr(obj, "predict_proba"):
            return None
        return np.asarray(obj.predict_proba(_rows(X)))

    def columns(self, obj: Any) -> tuple[str, ...]:
        """The names of the features."""
        return tuple(_booster(obj).feature_names or ())

    def inside(self, obj: Any) -> Inside:
        """The model itself, with text as categories."""
        return Inside(obj, _rows)

    def params(self, obj: Any) -> dict[str, Any]:
        """What was set of an estimator; of a Booster what its training says."""
        if not _is_booster(obj):
            return plain.values({k: v for k, v in obj.get_params().items() if v is not None})
        config = _config(obj)
        trees = config["gradient_booster"].get("tree_train_param", {})
        found = {"objective": _objective(obj), "rounds": obj.num_boosted_rounds()}
        return plain.values({k: plain.number(v) for k, v in {**trees, **found}.items()})

    def describe(self, obj: Any) -> str:
        """Its class; of a Booster its objective too."""
        return f"XGBoost Booster ({_objective(obj)})" if _is_booster(obj) else type(obj).__name__

    def watch(self, report: Report) -> AbstractContextManager[Any]:
        """Its evaluation sets, after each round of ``train``, ``fit`` and ``cv``."""
        fits = seams.Fits(report)

        def follow(_: Any, container: Any, model: Any, epoch: int, *rest: Any) -> None:
            for data, metrics in container.history.items():
                for metric, values in metrics.items():
                    last = values[-1]  # of `cv` a mean and its deviation
                    value = last[0] if isinstance(last, tuple) else last
                    fits.report(container, f"{data}_{metric}", value, epoch)

        return seams.following("xgboost.callback", "CallbackContainer.after_iteration", follow)

    def saving(self, obj: Any, scratch: Path) -> Saving:
        """Universal binary JSON, which is data and no code."""
        return Saving(module="xgboost", arguments={"xgb_model": obj, "model_format": "ubj"})

    def packages(self, obj: Any) -> list[str]:
        """XGBoost and what its estimators stand on."""
        more = set() if _is_booster(obj) else {"sklearn"}
        return plain.installed({"xgboost", "numpy", "scipy", "pandas", *more})

    def read(self, path: Path, folder: ModelFolder) -> Any:
        """By XGBoost itself, into the class that the folder names, if it is one of XGBoost's."""
        import xgboost

        settings = folder.flavors["xgboost"]
        module, _, name = str(settings.get("model_class", "xgboost.core.Booster")).rpartition(".")
        kind = getattr(xgboost, name, None)
        if not module.startswith("xgboost.") or not isinstance(kind, type):
            raise BadData(f"{path} names the class {module}.{name}, which is none of XGBoost's.")
        model = kind()
        try:
            model.load_model(path / str(settings["data"]))
        except xgboost.core.XGBoostError as error:
            raise BadData(f"{path} can't be loaded by XGBoost: {str(error)[:200]}") from error
        return model


def _rows(X: Any) -> Any:
    """Text as categories, where XGBoost knows from the model which is which (since 3.1)."""
    import xgboost

    major, minor = xgboost.__version__.split(".")[:2]
    return plain.categorised(X) if (int(major), int(minor)) >= (3, 1) else X


def _is_booster(obj: Any) -> bool:
    return plain.derives(obj, "xgboost", "Booster")


def _booster(obj: Any) -> Any:
    return obj if _is_booster(obj) else obj.get_booster()


def _config(obj: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_booster(obj).save_config())["learner"]
    return found


def _objective(obj: Any) -> str:
    return str(_config(obj)["objective"]["name"])
