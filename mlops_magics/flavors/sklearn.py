"""Models of scikit-learn and all that behave like one: pipelines, searches, wrappers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics.flavors import pickles, plain, skops
from mlops_magics.flavors.base import Flavor, Saving
from mlops_magics.flavors.predictors import Inside

if TYPE_CHECKING:
    import numpy as np

    from mlops_magics.flavors.folder import ModelFolder


class SklearnFlavor(Flavor):
    """Anything that derives from scikit-learn's ``BaseEstimator`` and can predict."""

    name = "sklearn"
    mlflow_flavor = "sklearn"
    breadth = 1

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
        """All hyperparameters, nested ones as ``step__name``; an estimator by its class.

        Of a search also what it chose, as ``best__name``.
        """
        best: dict[str, Any] = getattr(obj, "best_params_", {})
        return plain.values({**obj.get_params(deep=True), **{f"best__{k}": best[k] for k in best}})

    def describe(self, obj: Any) -> str:
        """The estimator that learns, and what it stands in."""
        if not _is_estimator(obj):  # a step such as "passthrough"
            return obj if isinstance(obj, str) else type(obj).__name__
        name = type(obj).__name__
        if steps := getattr(obj, "steps", None):
            return f"{self.describe(steps[-1][1])} in a {name}"
        if (best := getattr(obj, "best_estimator_", None)) is not None:
            return f"{self.describe(best)} chosen by {name}"
        # What it was given to wrap; a forest has an `estimator` of its own making, and no choice.
        given = obj.get_params(deep=False)
        inner = given.get("estimator", given.get("regressor"))
        return f"{name} of {self.describe(inner)}" if _is_estimator(inner) else name

    def predict(self, obj: Any, X: Any) -> np.ndarray:
        """One prediction a row."""
        import numpy as np

        return np.asarray(obj.predict(X))

    def probabilities(self, obj: Any, X: Any) -> np.ndarray | None:
        """Probabilities, rows × classes; ``None`` for a model without."""
        import numpy as np

        if not hasattr(obj, "predict_proba") or self.classes(obj) is None:
            return None
        return np.asarray(obj.predict_proba(X))

    def scores(self, obj: Any, X: Any) -> np.ndarray | None:
        """Probabilities, else a decision function, which ranks as well."""
        import numpy as np

        found = self.probabilities(obj, X)
        if found is None and hasattr(obj, "decision_function"):
            found = np.asarray(obj.decision_function(X))
        return found

    def answers(self, obj: Any, X: Any) -> tuple[np.ndarray, np.ndarray | None]:
        """A pipeline transforms once, and a forest's trees are asked once."""
        if _is_plain_pipeline(obj):
            for _, step in obj.steps[:-1]:
                X = X if step in (None, "passthrough") else step.transform(X)
            return self.answers(obj.steps[-1][1], X)
        scores = self.scores(obj, X)
        if scores is not None and _says_the_likeliest(obj):
            return obj.classes_.take(scores.argmax(axis=1)), scores
        return self.predict(obj, X), scores

    def classes(self, obj: Any) -> tuple[Any, ...] | None:
        """The classes of a classifier with one output; several have a list of classes each."""
        found: Any = getattr(obj, "classes_", None)
        return tuple(found.tolist()) if hasattr(found, "tolist") else None

    def columns(self, obj: Any) -> tuple[str, ...]:
        """The names of the columns that it was fitted on."""
        return tuple(map(str, getattr(obj, "feature_names_in_", ())))

    def parts(self, obj: Any) -> Iterator[Any]:
        """Steps of a pipeline, what an ensemble holds, the best of a search."""
        yield from obj.get_params(deep=True).values()
        yield from super().parts(obj)

    def inside(self, obj: Any) -> Inside:
        """The last step of a pipeline, the best of a search, one within the other."""
        steps: list[Any] = []
        while True:
            if _is_plain_pipeline(obj):
                steps += [step for _, step in obj.steps[:-1] if step not in (None, "passthrough")]
                obj = obj.steps[-1][1]
            elif (best := getattr(obj, "best_estimator_", None)) is not None:
                obj = best
            else:
                break

        def transform(X: Any) -> Any:
            for step in steps:
                X = step.transform(X)
            return X

        return Inside(obj, transform)

    def has_probabilities(self, obj: Any) -> bool:
        """Whether it has ``predict_proba``."""
        return self.classes(obj) is not None and hasattr(obj, "predict_proba")

    def history(self, obj: Any) -> Iterator[tuple[str, float, int]]:
        """The losses and scores by iteration that networks and boosting keep when they learn."""
        learner = _learner(obj)
        for attribute, name in _KEPT.items():
            values = getattr(learner, attribute, None)
            for at, value in enumerate(() if values is None else values):
                yield name, float(value), at

    def evidence(self, obj: Any) -> dict[str, Any]:
        """What a search tried, and how each candidate did."""
        tried = getattr(_searched(obj), "cv_results_", None)
        if tried is None:
            return {}
        return {"cv_results": {k: [plain.value(v) for v in tried[k]] for k in tried}}

    def saving(self, obj: Any, scratch: Path) -> Saving:
        """skops where every type is on our list; else cloudpickle, and why, in the metadata."""
        arguments, metadata = skops.options(obj)
        return Saving(module="sklearn", arguments={"sk_model": obj, **arguments}, metadata=metadata)

    def packages(self, obj: Any) -> list[str]:
        """What the model is made of, and what reads it back."""
        from mlops_magics.flavors import graph

        return graph.requirements(obj, {"sklearn", "numpy", "pandas", "skops", "cloudpickle"})

    def read(self, path: Path, folder: ModelFolder) -> Any:
        """Load by skops with our own list of types, or by cloudpickle."""
        settings = folder.flavors["sklearn"]
        file = path / str(settings["pickled_model"])
        if settings.get("serialization_format") == "skops":
            from mlops_magics.flavors import trust

            return trust.load(file)
        return pickles.load(file)


#: Attribute → what its values are called.
_KEPT = {
    "loss_curve_": "loss",
    "validation_scores_": "validation_score",
    "train_score_": "train_score",
    "validation_score_": "validation_score",
    "oob_scores_": "oob_score",
}


def _searched(obj: Any) -> Any:
    """The search in a pipeline, or the model itself."""
    steps = getattr(obj, "steps", None)
    return _searched(steps[-1][1]) if steps else obj


def _learner(obj: Any) -> Any:
    """The estimator that learns: the last step, the best of a search."""
    inner = _searched(obj)
    best = getattr(inner, "best_estimator_", None)
    return inner if best is None else _learner(best)


def _is_estimator(obj: Any) -> bool:
    return plain.derives(obj, "sklearn", "BaseEstimator")


def _is_plain_pipeline(obj: Any) -> bool:
    """Whether it does to rows what scikit-learn's own pipeline does, and nothing besides."""
    from sklearn import get_config
    from sklearn.pipeline import Pipeline

    routes = get_config().get("enable_metadata_routing", False)
    return type(obj) is Pipeline and not routes and hasattr(obj.steps[-1][1], "predict")


def _says_the_likeliest(obj: Any) -> bool:
    """Whether ``predict`` is by scikit-learn's own definition the class of highest probability."""
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

    one = type(obj) in (RandomForestClassifier, ExtraTreesClassifier)
    return one and hasattr(obj.classes_, "take")
