"""What libraries hold for the whole process and cells set: random states, options, styles.

Only libraries that are imported are asked; reading a state back imports the same ones.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from .common import NotKeptError


def take() -> dict[str, Any]:
    """Library → what it holds.

    Raises
    ------
    NotKeptError
        If one holds something open that no other process could go on with.
    """
    mlflow = sys.modules.get("mlflow")
    if mlflow is not None and mlflow.active_run() is not None:
        raise NotKeptError("an MLflow run is open")
    patches = sys.modules.get("mlflow.utils.autologging_utils")
    if getattr(patches, "AUTOLOGGING_INTEGRATIONS", None):
        raise NotKeptError("MLflow's autologging is on, which patches other libraries")
    return {name: took() for name, (took, _) in _TABLE.items() if name in sys.modules}


def give(held: Mapping[str, Any]) -> None:
    """Set what was held; imports the libraries."""
    for name, value in held.items():
        _TABLE[name][1](value)


def _random() -> Any:
    import random

    return random.getstate()


def _set_random(state: Any) -> None:
    import random

    random.setstate(state)


def _numpy() -> Any:
    return sys.modules["numpy"].random.get_state(legacy=False)


def _set_numpy(state: Any) -> None:
    import numpy

    numpy.random.set_state(state)


def _torch() -> Any:
    torch = sys.modules["torch"]
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return {"rng": torch.get_rng_state(), "cuda": cuda}


def _set_torch(state: Any) -> None:
    import torch

    torch.set_rng_state(state["rng"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])


def _sklearn() -> Any:
    return sys.modules["sklearn"].get_config()


def _set_sklearn(options: Any) -> None:
    import sklearn

    sklearn.set_config(**options)


def _styles() -> Any:
    # Not the backend: looking at it chooses one.
    held = dict.items(sys.modules["matplotlib"].rcParams)
    return {name: value for name, value in held if not name.startswith("backend")}


def _set_styles(styles: Any) -> None:
    import matplotlib

    matplotlib.rcParams.update(styles)


def _pandas() -> Any:
    found: dict[str, Any] = {}

    def collect(options: Mapping[str, Any], prefix: str) -> None:
        for name, value in options.items():
            if isinstance(value, dict):
                collect(value, f"{prefix}{name}.")
            else:
                found[f"{prefix}{name}"] = value

    collect(getattr(sys.modules["pandas"].options, "d", {}), "")
    return found


def _set_pandas(options: Any) -> None:
    import pandas

    present = _pandas()
    for name, value in options.items():
        if name not in present or present[name] != value:
            pandas.set_option(name, value)


def _warnings() -> Any:
    return list(sys.modules["warnings"].filters)


def _set_warnings(filters: Any) -> None:
    import warnings

    warnings.simplefilter("default")  # tells the interpreter that the filters have changed
    warnings.filters[:] = filters  # type: ignore[index]


_TABLE: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {
    "random": (_random, _set_random),
    "numpy": (_numpy, _set_numpy),
    "torch": (_torch, _set_torch),
    "sklearn": (_sklearn, _set_sklearn),
    "matplotlib": (_styles, _set_styles),
    "pandas": (_pandas, _set_pandas),
    "warnings": (_warnings, _set_warnings),
}
