"""A package for the targets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from mlops_magics.records import Package
from mlops_magics.serving import manifest
from mlops_magics.verbs import packaging
from tests.containers import Engines
from tests.serving import models
from tests.targets import bundles, images


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, credit_csv: Path) -> Package:
    folder = tmp_path_factory.mktemp("package")
    saved = models.credit_model(pd.read_csv(credit_csv), folder / "model")
    place = models.package(saved, folder / "credit-1")
    return packaging.record_of(manifest.checked(place), place, replayed=True)


@pytest.fixture(scope="session")
def package(served: Package) -> Package:
    """What a target gets where it takes nothing else."""
    return served


@pytest.fixture(scope="session")
def bundle(served: Package, tmp_path_factory: pytest.TempPathFactory, credit_csv: Path) -> Package:
    """The same model as a graph with a runner."""
    return bundles.of(served, tmp_path_factory.mktemp("bundle"), pd.read_csv(credit_csv))


@pytest.fixture(scope="session")
def image(served: Package, tmp_path_factory: pytest.TempPathFactory) -> Package:
    """The same model in an image."""
    return images.of(served, tmp_path_factory)


@pytest.fixture(scope="session")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """An engine with a store of its own."""
    with images.engine(tmp_path_factory.mktemp("engine")) as own:
        yield own
