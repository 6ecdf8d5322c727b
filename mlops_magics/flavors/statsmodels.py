"""statsmodels: results of a fit, from arrays and from formulas."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics.errors import BadData
from mlops_magics.flavors import pickles, plain
from mlops_magics.flavors.base import Flavor, Saving

if TYPE_CHECKING:
    import numpy as np

    from mlops_magics.flavors.folder import ModelFolder

_RESULTS = ("Results", "ResultsWrapper")
_BINARY = ("Logit", "Probit", "ConditionalLogit")
_MANY = ("MNLogit", "ConditionalMNLogit")


class StatsmodelsFlavor(Flavor):
    """What ``fit`` returned; a model by itself holds no coefficients."""

    name = "statsmodels"
    mlflow_flavor = "statsmodels"
    needs = ("statsmodels", "statsmodels", "statsmodels")

    def recognises(self, obj: Any) -> bool:
        """Results, and models, which are not fitted."""
        return any(plain.derives(obj, "statsmodels", c) for c in (*_RESULTS, "Model"))

    def is_fitted(self, obj: Any) -> bool:
        """Results are; a model stays as it was made."""
        return any(plain.derives(obj, "statsmodels", c) for c in _RESULTS)

    def task(self, obj: Any) -> str:
        """By the kind of model; of a series in time it is ``none``."""
        model = getattr(obj, "model", obj)
        if plain.derives(model, "statsmodels", "TimeSeriesModel"):
            return "none"
        return "regression" if self.classes(obj) is None else "classification"

    def classes(self, obj: Any) -> tuple[Any, ...] | None:
        """0 and 1 of a binary model, the names in the truth of one with more."""
        model = getattr(obj, "model", obj)
        kind = type(model).__name__
        if kind in _MANY:
            names = model._ynames_map
            return tuple(plain.number(names[key]) for key in sorted(names))
        binomial = type(getattr(model, "family", None)).__name__ == "Binomial"
        return (0, 1) if kind in _BINARY or (binomial and _is_binary(model)) else None

    def predict(self, obj: Any, X: Any) -> np.ndarray:
        """The more probable class, or the expected number."""
        import numpy as np

        chances = self.probabilities(obj, X)
        if chances is None:
            return plain.column(_asked(obj, X))
        classes: np.ndarray = np.asarray(self.classes(obj))
        return np.asarray(classes[chances.argmax(axis=1)])

    def probabilities(self, obj: Any, X: Any) -> np.ndarray | None:
        """Probabilities of the classes."""
        import numpy as np

        if self.classes(obj) is None:
            return None
        numbers = plain.column(_asked(obj, X))
        return numbers if numbers.ndim == 2 else np.column_stack([1 - numbers, numbers])

    def columns(self, obj: Any) -> tuple[str, ...]:
        """The names of its columns; of a formula none, for it takes what it needs."""
        if _formula(obj) or not hasattr(obj.model.data.orig_exog, "columns"):
            return ()
        return tuple(n for n in obj.model.exog_names if n != "const")

    def params(self, obj: Any) -> dict[str, Any]:
        """What was fitted how; the coefficients are the model."""
        model = obj.model
        found = {
            "model": type(model).__name__,
            "formula": _formula(obj) or None,
            "family": type(getattr(model, "family", None)).__name__,
            "method": getattr(obj, "method", None),
            "cov_type": getattr(obj, "cov_type", None),
        }
        return plain.values({k: v for k, v in found.items() if v not in (None, "NoneType")})

    def describe(self, obj: Any) -> str:
        """The kind of model, of a formula the formula."""
        formula = _formula(obj)
        shown = f" ({formula if len(formula) < 80 else f'{formula[:79]}…'})" if formula else ""
        return f"{type(obj.model).__name__}{shown}"

    def saving(self, obj: Any, scratch: Path) -> Saving:
        """As statsmodels saves, by pickle, and without the training rows where it can do that.

        A formula is read again when the results are loaded: names of the notebook that stand in
        it are kept beside them.
        """
        results = _without_rows(obj)
        if self.classes(results) != self.classes(obj):
            results = obj
        if not (own := _own(obj)):
            return Saving(module="statsmodels", arguments={"statsmodels_model": results})
        import cloudpickle

        from mlops_magics.flavors import graph

        file = scratch / "results.pkl"
        file.write_bytes(cloudpickle.dumps({"names": own, "results": pickle.dumps(results)}))
        code = graph.local_code(graph.modules(own))
        return Saving(
            module="pyfunc",
            arguments={
                "loader_module": __name__,
                "data_path": str(file),
                **({"code_paths": code} if code else {}),
            },
            metadata={
                "mlops.cloudpickle_because": (
                    f"its formula names {', '.join(sorted(own))} of the notebook, which "
                    "statsmodels does not save"
                )
            },
        )

    def packages(self, obj: Any) -> list[str]:
        """What the results are made of."""
        from mlops_magics.flavors import graph

        own = _own(obj)
        reader = {"cloudpickle"} if own else set()
        return graph.requirements([obj, own], {"statsmodels", "numpy", "scipy", "pandas", *reader})

    def opens(self, folder: ModelFolder) -> bool:
        """What MLflow's flavor saved, or this one by itself."""
        return super().opens(folder) or folder.loader_module == __name__

    def read(self, path: Path, folder: ModelFolder) -> Any:
        """By pickle."""
        if super().opens(folder):
            file = path / str(folder.flavors["statsmodels"]["data"])
            return _unpickled(file.read_bytes(), {})
        return _load_pyfunc(str(path / str(folder.flavors["python_function"]["data"])))


def _load_pyfunc(path: str) -> Any:
    """What MLflow's generic loader calls, too: results, which can predict."""
    kept = pickles.load(Path(path))
    return _unpickled(kept["results"], kept["names"])


#: What anybody may name in a formula.
_COMMON = {"np": "numpy", "numpy": "numpy", "pd": "pandas", "pandas": "pandas"}


def _unpickled(data: bytes, names: Mapping[str, Any]) -> Any:
    # statsmodels reads the formula again by the names of whoever unpickles, a few frames up.
    common = {name: importlib.import_module(module) for name, module in _COMMON.items()}
    namespace = {**common, **names, "_loads": pickle.loads, "_data": data}
    try:
        return eval("_loads(_data)", namespace)  # noqa: S307  # a constant expression
    except pickle.UnpicklingError as error:
        raise BadData(f"The results can't be loaded ({error}).") from error


def _names(obj: Any) -> dict[str, Any]:
    """What the names in a formula stood for, beyond those of the formula language."""
    spec = getattr(getattr(obj.model, "data", None), "model_spec", None)
    found: dict[str, Any] = {}
    for factor in getattr(spec, "factor_infos", {}).values():
        for names in factor.state["eval_env"]._namespaces:
            found |= names
    from patsy import builtins  # type: ignore[import-untyped]

    return {name: value for name, value in found.items() if not hasattr(builtins, name)}


def _formula(obj: Any) -> str:
    found = getattr(getattr(obj, "model", obj), "formula", None)
    return str(found) if found else ""


def _own(obj: Any) -> dict[str, Any]:
    """What a formula names that a reader can't be expected to know."""
    return {name: found for name, found in _names(obj).items() if name not in _COMMON}


def _is_binary(model: Any) -> bool:
    import numpy as np

    values = getattr(model, "endog", None)
    return values is None or set(np.unique(values).tolist()) <= {0, 1}


def _asked(obj: Any, X: Any) -> np.ndarray:
    """The results' own answer; the constant is added where they were fitted with one."""
    import numpy as np

    if not _formula(obj):
        names = obj.model.exog_names
        if "const" in names and X.shape[1] == len(names) - 1:
            at = names.index("const")
            if hasattr(X, "columns"):
                X = X.copy()
                X.insert(at, "const", 1.0)
            else:
                X = np.insert(np.asarray(X, dtype=float), at, 1.0, axis=1)
    return np.asarray(obj.predict(X))


def _without_rows(obj: Any) -> Any:
    """A copy that lacks the training rows, if it answers as before; else the results."""
    import numpy as np

    try:
        names = _names(obj)
        few = np.asarray(obj.model.exog)[:5]
        expected = np.asarray(obj.model.predict(obj.params, few))
        copy = _unpickled(pickle.dumps(obj), names)
        copy.remove_data()
        again = _unpickled(pickle.dumps(copy), names)
        found = np.asarray(again.model.predict(again.params, few))
        return copy if np.array_equal(found, expected, equal_nan=True) else obj
    except Exception:  # not every kind of results can do without
        return obj
