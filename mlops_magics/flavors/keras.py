"""Keras 3, on whichever backend it was trained with."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

from mlops_magics.errors import BadData
from mlops_magics.flavors import pickles, plain, readings, seams
from mlops_magics.flavors.base import Report, Saving

if TYPE_CHECKING:
    import numpy as np

    from mlops_magics.flavors.folder import ModelFolder

_MODEL, _CODE, _BACKEND = "model.keras", "code.pkl", "mlops.keras_backend"
_ERRORS = ("mean_", "mse", "mae", "msle", "mape", "huber", "log_cosh", "poisson")


class KerasFlavor(readings.RawFlavor):
    """`keras.Model`; its attributes ``task`` and ``classes_`` are heeded."""

    name = "keras"
    mlflow_flavor = "keras"
    needs = ("keras", "keras", "Keras")

    def recognises(self, obj: Any) -> bool:
        """By its class."""
        return plain.derives(obj, "keras", "Model")

    def is_fitted(self, obj: Any) -> bool:
        """Whether its optimizer has made a step; without an optimizer, whether it has weights."""
        optimizer = getattr(obj, "optimizer", None)
        return bool(obj.built) and (optimizer is None or int(optimizer.iterations) > 0)

    def task(self, obj: Any) -> str:
        """By its loss, if it is a known one."""
        loss = _loss(obj)
        if "crossentropy" in loss or "hinge" in loss:
            return plain.said(obj) or "classification"
        return plain.said(obj) or ("regression" if loss.startswith(_ERRORS) else "")

    def outputs(self, obj: Any) -> str:
        """By what the last layer does to its numbers."""
        layers = getattr(obj, "layers", [])
        last = getattr(getattr(layers[-1], "activation", None), "__name__", "") if layers else ""
        return {"sigmoid": "probabilities", "softmax": "probabilities"}.get(last, "")

    def raw(self, obj: Any, X: Any) -> np.ndarray:
        """What the model answers."""
        import numpy as np

        rows = np.asarray(X)
        if rows.dtype.kind in "Ofiub" and len(getattr(obj, "inputs", None) or [1]) == 1:
            # As its input layer wants them; whole numbers are whole for an embedding.
            wanted = str(getattr((getattr(obj, "inputs", None) or [None])[0], "dtype", "float32"))
            rows = rows.astype(wanted)
        return np.asarray(obj.predict(rows, verbose=0))

    def params(self, obj: Any) -> dict[str, Any]:
        """Loss, optimizer and learning rate, layers and size."""
        optimizer = getattr(obj, "optimizer", None)
        found: dict[str, Any] = {
            "layers": ", ".join(type(layer).__name__ for layer in getattr(obj, "layers", [])),
            "parameters": obj.count_params(),
            "loss": _loss(obj) or None,
        }
        if optimizer is not None:
            rate = getattr(optimizer, "learning_rate", None)
            found |= {"optimizer": type(optimizer).__name__}
            found |= {"learning_rate": float(rate)} if rate is not None else {}
        return plain.values({k: v for k, v in found.items() if v is not None})

    def describe(self, obj: Any) -> str:
        """Its class and size."""
        return f"Keras {type(obj).__name__} ({obj.count_params():,} parameters)"

    def parts(self, obj: Any) -> Iterator[Any]:
        """The models and layers that it is made of."""
        yield from obj._flatten_layers(include_self=False)

    def watch(self, report: Report) -> AbstractContextManager[Any]:
        """Losses and metrics after each epoch of ``fit``."""
        fits = seams.Fits(report)

        def follow(_: Any, callbacks: Any, epoch: int, logs: Any = None) -> None:
            for name, value in (logs or {}).items():
                fits.report(callbacks, name, value, epoch)

        return seams.following(
            "keras.src.callbacks.callback_list", "CallbackList.on_epoch_end", follow
        )

    def saving(self, obj: Any, scratch: Path) -> Saving:
        """Keras' own format; code of the user's that it names goes beside it."""
        own = _own(obj)
        if not own:
            return Saving(module="keras", arguments={"model": obj}, signs=False)
        import cloudpickle

        from mlops_magics.flavors import graph

        place = scratch / "keras"
        place.mkdir()
        obj.save(place / _MODEL)
        (place / _CODE).write_bytes(cloudpickle.dumps(own))
        code = graph.local_code(graph.modules(own))
        return Saving(
            module="pyfunc",
            arguments={
                "loader_module": __name__,
                "data_path": str(place),
                **({"code_paths": code} if code else {}),
            },
            metadata={
                _BACKEND: _backend(),
                "mlops.cloudpickle_because": (
                    f"{', '.join(sorted(own)[:3])} is code, not a part of Keras"
                ),
            },
        )

    def packages(self, obj: Any) -> list[str]:
        """Keras, its backend, and what code of the user's needs."""
        from mlops_magics.flavors import graph

        return graph.requirements(
            _own(obj), {"keras", _backend(), "numpy", "pandas", "cloudpickle", "h5py"}
        )

    def opens(self, folder: ModelFolder) -> bool:
        """What MLflow's flavor saved in Keras' own format, or this one by itself."""
        if folder.loader_module == __name__:
            return True
        return super().opens(folder) and not folder.flavors["keras"].get("save_exported_model")

    def read(self, path: Path, folder: ModelFolder) -> Any:
        """By Keras itself, without the loss and the optimizer; no code unless it was kept."""
        saved = folder.flavors.get("keras")
        backend = saved.get("keras_backend") if saved else folder.metadata.get(_BACKEND)
        if backend and "keras" not in sys.modules:
            os.environ.setdefault("KERAS_BACKEND", str(backend))
        if saved:
            return _read(path / str(saved.get("data", "data")) / _MODEL, {})
        return _load_pyfunc(str(path / str(folder.flavors["python_function"]["data"])))


def _load_pyfunc(path: str) -> Any:
    """What MLflow's generic loader calls, too."""
    place = Path(path)
    return _read(place / _MODEL, pickles.load(place / _CODE))


def _read(file: Path, own: dict[str, Any]) -> Any:
    import keras

    try:
        return keras.saving.load_model(
            file, custom_objects=own, compile=False, safe_mode="Lambda" not in own
        )
    except (ValueError, TypeError, OSError, KeyError) as error:
        first = (str(error).splitlines() or [""])[0]
        raise BadData(f"{file} can't be loaded by Keras: {first[:200]}") from error


def _own(obj: Any) -> dict[str, Any]:
    """Classes and functions that Keras' format names and does not hold, by the names it uses."""
    import keras

    found: dict[str, Any] = {}
    for layer in obj._flatten_layers():
        kind = type(layer)
        if kind.__name__ == "Lambda" and _is_keras(kind):
            found["Lambda"] = kind  # its function is in the file, as code
        elif not _is_keras(kind):
            found[keras.saving.get_registered_name(kind)] = kind
        for value in vars(layer).values():
            if isinstance(value, FunctionType) and not _is_keras(value):
                found[keras.saving.get_registered_name(value)] = value
    return found


def _is_keras(thing: Any) -> bool:
    return str(thing.__module__).partition(".")[0] == "keras"


def _backend() -> str:
    import keras

    return str(keras.backend.backend())


def _loss(obj: Any) -> str:
    """The loss in Keras' own words, such as ``binary_crossentropy``."""
    import re

    loss = getattr(obj, "loss", None)
    if loss is None or isinstance(loss, list | tuple | dict):
        return ""
    if not isinstance(loss, str):
        loss = getattr(loss, "name", None) or getattr(loss, "__name__", "")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", str(loss)).lower()
