"""A package for the targets, and no server left behind by a failing test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from mlops_magics.errors import MlopsError
from mlops_magics.records import Package
from mlops_magics.serving import manifest
from mlops_magics.targets import state
from mlops_magics.verbs import packaging
from tests.serving import models


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory, credit_csv: Path) -> Package:
    folder = tmp_path_factory.mktemp("package")
    saved = models.credit_model(pd.read_csv(credit_csv), folder / "model")
    place = models.package(saved, folder / "credit-1")
    return packaging.record_of(manifest.checked(place), place, replayed=True)


@pytest.fixture(autouse=True)
def nothing_left(project: Path) -> Iterator[None]:
    yield
    for name in state.names():
        try:
            deployment = state.find(name)
        except MlopsError:
            continue
        if deployment.status != "stopped":
            state.target(deployment.target).undeploy(deployment)
