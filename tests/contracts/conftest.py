"""A package for the targets."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mlops_magics.records import Package
from mlops_magics.serving import manifest
from mlops_magics.verbs import packaging
from tests.serving import models


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory, credit_csv: Path) -> Package:
    folder = tmp_path_factory.mktemp("package")
    saved = models.credit_model(pd.read_csv(credit_csv), folder / "model")
    place = models.package(saved, folder / "credit-1")
    return packaging.record_of(manifest.checked(place), place, replayed=True)
