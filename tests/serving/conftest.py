"""A saved model, its package, and both servers in this process: ours and MLflow's."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow.pyfunc import scoring_server
from starlette.testclient import TestClient

from mlops_magics import flavors
from mlops_magics.serving.app import Server
from mlops_magics.serving.service import Service
from tests.serving import models


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, credit_csv: Path) -> Path:
    return models.credit_model(pd.read_csv(credit_csv), tmp_path_factory.mktemp("model") / "m")


@pytest.fixture(scope="session")
def package(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.package(model, tmp_path_factory.mktemp("package") / "credit-1")


@pytest.fixture(scope="session")
def proven(model: Path, tmp_path_factory: pytest.TempPathFactory, credit_csv: Path) -> Path:
    """The same with the model's graph."""
    rows = pd.read_csv(credit_csv).dropna(subset=["Status"]).drop(columns=["Status"])
    return models.package(model, tmp_path_factory.mktemp("proven") / "credit-1", rows=rows)


def client(model: Path) -> TestClient:
    example = model / "serving_input_example.json"
    service = Service(flavors.load(model), example.read_bytes() if example.exists() else b"")
    server = Server(service, {"model": "credit/1", "mlflow_version": mlflow.__version__})
    return TestClient(server.app())


def mlflow_client(model: Path) -> TestClient:
    loaded = mlflow.pyfunc.load_model(str(model))
    return TestClient(scoring_server.init(loaded), raise_server_exceptions=False)


@pytest.fixture(scope="session")
def ours(model: Path) -> TestClient:
    return client(model)


@pytest.fixture(scope="session")
def theirs(model: Path) -> TestClient:
    return mlflow_client(model)
