"""CatBoost, saved in its own binary format."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics.errors import BadData
from mlops_magics.flavors import plain, seams
from mlops_magics.flavors.base import Flavor, Report, Saving
from mlops_magics.flavors.predictors import Inside

if TYPE_CHECKING:
    import numpy as np

    from mlops_magics.flavors.folder import ModelFolder

_CHANCES = ("Logloss", "CrossEntropy", "MultiClass", "MultiClassOneVsAll", "Focal")
_RANKINGS = ("Pair", "Yeti", "Query", "Stochastic", "LambdaMart", "GroupQuantile")


class CatboostFlavor(Flavor):
    """What is made by CatBoost."""

    name = "catboost"
    mlflow_flavor = "catboost"
    needs = ("catboost", "catboost", "CatBoost")

    def recognises(self, obj: Any) -> bool:
        """By its class."""
        return plain.made_by(obj, "catboost") and plain.derives(obj, "catboost", "CatBoost")

    def is_fitted(self, obj: Any) -> bool:
        """As it itself says."""
        return bool(obj.is_fitted())

    def task(self, obj: Any) -> str:
        """By the loss that was trained with; rankings are ``none``."""
        loss = _loss(obj)
        if loss in _CHANCES:
            return "classification"
        return "none" if loss.startswith(_RANKINGS) else "regression"

    def classes(self, obj: Any) -> tuple[Any, ...] | None:
        """Its classes."""
        if self.task(obj) != "classification":
            return None
        return tuple(getattr(c, "item", lambda c=c: c)() for c in obj.classes_) or (0, 1)

    def predict(self, obj: Any, X: Any) -> np.ndarray:
        """The class as it was in the truth (CatBoost answers True by "True"), or the number."""
        import numpy as np

        classes = self.classes(obj)
        if classes is None:
            return plain.column(obj.predict(X))
        by_text = {str(c): c for c in classes}
        said = plain.column(obj.predict(X, prediction_type="Class")).tolist()
        return np.asarray([by_text.get(str(c), c) for c in said])

    def probabilities(self, obj: Any, X: Any) -> np.ndarray | None:
        """Probabilities of the classes."""
        import numpy as np

        if self.classes(obj) is None:
            return None
        return np.asarray(obj.predict(X, prediction_type="Probability"))

    def columns(self, obj: Any) -> tuple[str, ...]:
        """The names of the features; CatBoost counts columns that have no name."""
        names = tuple(obj.feature_names_ or ())
        return () if names == tuple(map(str, range(len(names)))) else names

    def inside(self, obj: Any) -> Inside:
        """The model itself."""
        return Inside(obj, lambda X: X)

    def params(self, obj: Any) -> dict[str, Any]:
        """What was set, and the loss that came of it."""
        return plain.values({**obj.get_params(), "loss_function": _loss(obj)})

    def describe(self, obj: Any) -> str:
        """Its class; of one that takes any loss, the loss too."""
        name = type(obj).__name__
        return f"{name} ({_loss(obj)})" if name == "CatBoost" else name

    def watch(self, report: Report) -> AbstractContextManager[Any]:
        """Its metrics on the learned rows and on evaluation sets, after each round on a CPU."""
        fits = seams.Fits(report)

        def join(prepared: Any, *rest: Any, **options: Any) -> None:
            from catboost.core import _TrainCallbacksWrapper

            params = prepared["params"]
            if str(params.get("task_type", "CPU")).upper() != "CPU":
                return  # CatBoost refuses callbacks there
            if (present := params.get("callbacks")) is None:
                params["callbacks"] = _TrainCallbacksWrapper([_Reporter(fits)])
            else:
                present._callbacks = [_Reporter(fits), *present._callbacks]

        return seams.following("catboost.core", "CatBoost._prepare_train_params", join)

    def saving(self, obj: Any, scratch: Path) -> Saving:
        """CatBoost's own format, which is data and no code."""
        return Saving(module="catboost", arguments={"cb_model": obj})

    def packages(self, obj: Any) -> list[str]:
        """CatBoost and what it stands on."""
        return plain.installed({"catboost", "numpy", "scipy", "pandas"})

    def read(self, path: Path, folder: ModelFolder) -> Any:
        """By CatBoost itself, into the class that the folder names, if it is one of CatBoost's."""
        import catboost

        settings = folder.flavors["catboost"]
        name = str(settings["model_type"])
        kind = getattr(catboost, name, None)
        if not isinstance(kind, type) or not issubclass(kind, catboost.CatBoost):
            raise BadData(f"{path} names the class {name}, which is none of CatBoost's.")
        model = kind()
        try:
            model.load_model(str(path / str(settings["data"])), str(settings["save_format"]))
        except catboost.CatBoostError as error:
            raise BadData(f"{path} can't be loaded by CatBoost: {str(error)[:200]}") from error
        return model


class _Reporter:
    """CatBoost asks after each round whether to go on."""

    def __init__(self, fits: seams.Fits) -> None:
        self._fits = fits

    def after_iteration(self, info: Any) -> bool:
        """Report, and go on."""
        try:
            for data, metrics in info.metrics.items():
                for metric, values in metrics.items():
                    self._fits.report(self, f"{data}_{metric}", values[-1], info.iteration - 1)
        except Exception:
            seams.log.debug("A report from CatBoost failed", exc_info=True)
        return True


def _loss(obj: Any) -> str:
    if not obj.is_fitted():
        return str(obj.get_params().get("loss_function", ""))
    return str(obj.get_all_params()["loss_function"]).partition(":")[0]
