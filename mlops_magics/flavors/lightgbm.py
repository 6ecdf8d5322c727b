"""LightGBM: its scikit-learn estimators by skops, the native Booster in its own text format."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics.errors import BadData
from mlops_magics.flavors import pickles, plain, readings, seams, skops
from mlops_magics.flavors.base import NOTHING, ModelPredictor, Report, Saving
from mlops_magics.flavors.predictors import Inside, Predictor

if TYPE_CHECKING:
    import numpy as np

    from mlops_magics.flavors.folder import ModelFolder

_CHANCES = ("binary", "multiclass", "multiclassova")
_RANKINGS = ("lambdarank", "rank_xendcg")


class LightgbmFlavor(readings.RawFlavor):
    """What is made by LightGBM; a class derived from it is scikit-learn's matter."""

    name = "lightgbm"
    mlflow_flavor = "lightgbm"
    needs = ("lightgbm", "lightgbm", "LightGBM")

    def recognises(self, obj: Any) -> bool:
        """A Booster or an estimator."""
        return plain.made_by(obj, "lightgbm") and (
            _is_booster(obj) or plain.derives(obj, "lightgbm", "LGBMModel")
        )

    def is_fitted(self, obj: Any) -> bool:
        """As the estimator itself says; a Booster is made by training."""
        return _is_booster(obj) or bool(obj.__sklearn_is_fitted__())

    def task(self, obj: Any) -> str:
        """By the objective; rankings are ``none``, an objective of one's own is open."""
        if not _is_booster(obj):
            return _of_estimator(obj)
        if _is_own(obj):
            return ""
        objective = _objective(obj)[0]
        if objective in _CHANCES:
            return "classification"
        return "none" if objective in _RANKINGS else "regression"

    def classes(self, obj: Any) -> tuple[Any, ...] | None:
        """An estimator's own; of a Booster 0, 1, 2…, as it counts them."""
        if not _is_booster(obj):
            found: Any = getattr(obj, "classes_", None)
            return None if found is None else tuple(found.tolist())
        if self.task(obj) != "classification":
            return None
        return tuple(range(max(_objective(obj)[1], 2)))

    def outputs(self, obj: Any) -> str:
        """By the objective; one of one's own gives what a boosted tree adds up."""
        if _is_own(obj):
            return "logits"
        return "probabilities" if self.task(obj) == "classification" else "values"

    def raw(self, obj: Any, X: Any) -> np.ndarray:
        """What the Booster answers."""
        import numpy as np

        return np.asarray((obj if _is_booster(obj) else obj.booster_).predict(plain.categorised(X)))

    def predictor(
        self, obj: Any, facts: Mapping[str, Any] = NOTHING, folder: ModelFolder | None = None
    ) -> Predictor:
        """An estimator answers for itself, where it can; a Booster's numbers are read."""
        if _is_read(obj):
            return super().predictor(obj, facts, folder)
        return ModelPredictor(obj, self, folder)

    def observe(self, obj: Any, X: Any, y: Any) -> dict[str, Any]:
        """Only of a Booster with an objective of one's own."""
        return {} if self.task(obj) else super().observe(obj, X, y)

    def predict(self, obj: Any, X: Any) -> np.ndarray:
        """The class by the estimator's own names, or the number."""
        if _is_read(obj):
            return super().predict(obj, X)
        return plain.column(obj.predict(plain.categorised(X)))

    def probabilities(self, obj: Any, X: Any) -> np.ndarray | None:
        """Probabilities of the classes."""
        import numpy as np

        if _is_read(obj):
            return super().probabilities(obj, X)
        if not hasattr(obj, "predict_proba"):
            return None
        return np.asarray(obj.predict_proba(plain.categorised(X)))

    def columns(self, obj: Any) -> tuple[str, ...]:
        """The names of the features; none where LightGBM may have written them otherwise."""
        names = obj.feature_name() if _is_booster(obj) else obj.feature_name_
        # It puts an underscore for a space, and counts columns that have no name.
        return () if any("_" in name for name in names) else tuple(names)

    def inside(self, obj: Any) -> Inside:
        """The model itself, with text as categories."""
        return Inside(obj, plain.categorised)

    def params(self, obj: Any) -> dict[str, Any]:
        """What was set."""
        if _is_booster(obj):
            return plain.values({**obj.params, "rounds": obj.num_trees()})
        return plain.values(obj.get_params())

    def describe(self, obj: Any) -> str:
        """Its class; of a Booster its objective too."""
        if not _is_booster(obj):
            return type(obj).__name__
        return f"LightGBM Booster ({_objective(obj)[0] or 'an objective of its own'})"

    def watch(self, report: Report) -> AbstractContextManager[Any]:
        """Its validation sets, after each round of ``train``, ``fit`` and ``cv``."""
        fits = seams.Fits(report)

        def follow(result: Any, booster: Any, *rest: Any, **options: Any) -> None:
            for data, metric, value, _ in result:
                # Rounds are counted from 1 there, and from 0 by everybody else.
                fits.report(booster, f"{data}_{metric}", value, booster.current_iteration() - 1)

        stack = ExitStack()
        for method in ("Booster.eval_valid", "Booster.eval_train"):
            stack.enter_context(seams.following("lightgbm.basic", method, follow))
        return stack

    def saving(self, obj: Any, scratch: Path) -> Saving:
        """A Booster as text; an estimator by skops, or by cloudpickle where that can't be."""
        if _is_booster(obj):
            return Saving(module="lightgbm", arguments={"lgb_model": obj})
        arguments, metadata = skops.options(obj)
        return Saving(
            module="lightgbm", arguments={"lgb_model": obj, **arguments}, metadata=metadata
        )

    def packages(self, obj: Any) -> list[str]:
        """LightGBM and what its estimators stand on."""
        from mlops_magics.flavors import graph

        if _is_booster(obj):
            return plain.installed({"lightgbm", "numpy", "scipy", "pandas"})
        return graph.requirements(obj, {"lightgbm", "sklearn", "skops", "cloudpickle", "pandas"})

    def read(self, path: Path, folder: ModelFolder) -> Any:
        """By LightGBM itself, by skops, or by cloudpickle, as it was saved."""
        import lightgbm

        from mlops_magics.flavors import trust

        file = path / str(folder.flavors["lightgbm"]["data"])
        if file.suffix == ".skops":
            return trust.load(file)
        if file.suffix == ".pkl":
            return pickles.load(file)
        try:
            return lightgbm.Booster(model_file=file)
        except lightgbm.basic.LightGBMError as error:
            raise BadData(f"{file} can't be loaded by LightGBM: {str(error)[:200]}") from error


def _is_booster(obj: Any) -> bool:
    return plain.derives(obj, "lightgbm", "Booster")


def _is_own(obj: Any) -> bool:
    """Whether the objective is a function of the user's."""
    if not _is_booster(obj):
        return callable(obj.objective)
    return _objective(obj)[0] in ("", "custom", "none")


def _is_read(obj: Any) -> bool:
    return _is_booster(obj) or _is_own(obj)


def _of_estimator(obj: Any) -> str:
    from sklearn.base import is_classifier, is_regressor

    if is_classifier(obj):
        return "classification"
    return "regression" if is_regressor(obj) else "none"


def _objective(obj: Any) -> tuple[str, int]:
    """The objective's name and the number of its classes, from the model's own text."""
    head = obj.model_to_string(num_iteration=1)
    objective = re.search(r"^objective=(\w+)", head, re.MULTILINE)
    classes = re.search(r"^num_class=(\d+)", head, re.MULTILINE)
    return objective[1] if objective else "", int(classes[1]) if classes else 1
