"""Fixtures that every test may use: a store of its own, the credit data, no telemetry."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

import pandas as pd
import pytest

# Before anything imports mlflow: nothing is sent anywhere, and kernels inherit it.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with a store, a state and a signing key of its own."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in list(os.environ):
        if name.startswith("MLOPS_") or name == "MLFLOW_TRACKING_URI":
            monkeypatch.delenv(name)
    monkeypatch.setenv("MLOPS_KEYS", str(tmp_path / "keys"))
    return folder


@pytest.fixture(scope="session")
def credit_csv() -> Path:
    return Path(str(files("mlops_magics") / "data" / "credit_data.csv"))


@pytest.fixture
def credit(credit_csv: Path) -> pd.DataFrame:
    return pd.read_csv(credit_csv)
