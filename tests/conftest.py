"""Fixtures that every test may use: a store of its own, the credit data, no telemetry."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

# Before anything imports mlflow: nothing is sent anywhere, and kernels inherit it.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"
# Several workers share the cores: OpenMP's threads would wait for each other in turns.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("KERAS_BACKEND", "torch")

#: Set where CI installs every optional part: nothing may be skipped for want of one.
NEED_ALL = bool(os.environ.get("MLOPS_TESTS_NEED_ALL"))


def need(module: str) -> Any:
    """Import an optional framework, else skip; where CI installs all, its want is a failure."""
    if NEED_ALL:
        return importlib.import_module(module)
    return pytest.importorskip(module)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in, with a store, a state and a signing key of its own."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in list(os.environ):
        if name.startswith("MLOPS_") or name == "MLFLOW_TRACKING_URI":
            monkeypatch.delenv(name)
    monkeypatch.setenv("MLOPS_KEYS", str(tmp_path / "keys"))
    # What another test prepared or trained in this process is not this one's.
    from mlops_magics.verbs import session

    monkeypatch.setattr(session, "_dataset", None)
    monkeypatch.setattr(session, "_run", None)
    monkeypatch.setattr(session, "_namespace", {})
    monkeypatch.setattr(session, "_cells", None)
    if (mlflow := sys.modules.get("mlflow")) is not None:
        # MLflow's own calls must not go on with the store and experiment of the test before.
        mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
        os.environ.pop("MLFLOW_TRACKING_URI", None)  # written by that call
        monkeypatch.setattr("mlflow.tracking.fluent._active_experiment_id", None)
    yield folder
    # MLflow keeps connections open, and a worker runs a thousand tests, each with its own store.
    for room in ("tracking", "model_registry"):
        module = sys.modules.get(f"mlflow.store.{room}.sqlalchemy_store")
        for engine in module.SqlAlchemyStore._engine_map.values() if module else ():
            engine.dispose()


@pytest.fixture(scope="session")
def credit_csv() -> Path:
    return Path(str(files("mlops_magics") / "data" / "credit_data.csv"))


@pytest.fixture
def credit(credit_csv: Path) -> pd.DataFrame:
    return pd.read_csv(credit_csv)


@pytest.fixture
def names(credit: pd.DataFrame) -> dict[str, Any]:
    """What a notebook has bound before it trains: a split, and a pipeline to fit."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    numbers = credit[["Seniority", "Time", "Age", "Amount", "Price"]]
    X_train, X_test, y_train, y_test = train_test_split(
        numbers, credit["Status"], random_state=0, stratify=credit["Status"]
    )
    return {
        "X_train": X_train,
        "X_test": X_test,
        "y_train": y_train,
        "y_test": y_test,
        "fresh": lambda **options: make_pipeline(
            StandardScaler(), LogisticRegression(max_iter=500, **options)
        ),
    }


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A real MLflow server that the settings name."""
    from tests.tracking import Server

    folder = tmp_path / "server"
    folder.mkdir()
    running = Server(folder)
    running.start()
    monkeypatch.setenv("MLOPS_TRACKING_URI", running.uri)
    yield running
    running.stop()


@pytest.fixture
def ip(names: dict[str, Any]) -> Iterator[Any]:
    """A real IPython shell with the extension loaded and the split bound."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell(colors="nocolor")
    shell.run_line_magic("load_ext", "mlops_magics")
    shell.user_ns.update(names)
    yield shell
    shell.run_line_magic("unload_ext", "mlops_magics")
    shell.history_manager.end_session()
    shell.history_manager.enabled = False
