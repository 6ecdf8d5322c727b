"""A package to make images of, its base, an engine with a store of its own, and registries."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from mlops_magics.serving.package.images import blobs, building
from mlops_magics.serving.package.images.building import Built, Plan
from tests import containers
from tests.serving import models

#: For user ``bea`` and password ``secret``, as htpasswd writes it.
USERS = "bea:$2b$05$bOjJPeQ4xrRM1XykXBzK..xFJgl919/X7t.0CmtTsaFGCxhe7Lo96\n"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, credit_csv: Path) -> Path:
    """A package whose graph answers alone, so that its image is small."""
    containers.need_programs("podman", "buildah", "runc", "mmdebstrap", "docker-registry")
    place = tmp_path_factory.mktemp("images")
    credit = pd.read_csv(credit_csv)
    saved = models.credit_model(credit, place / "model")
    rows = credit.dropna(subset=["Status"]).head(400).drop(columns=["Status"])
    made = models.package(saved, place / "credit-1", rows=rows)
    assert (made / "requirements-onnx.txt").is_file()
    return made


@pytest.fixture(scope="session")
def kept() -> blobs.Blobs:
    """The user's own cache: a base and wheels of a hundred MB are packed once for all tests."""
    return blobs.Blobs()


@pytest.fixture(scope="session")
def plan(folder: Path) -> Plan:
    """On the tests' own base, for this machine."""
    return building.plan(folder, "", str(containers.base_tar()), "")


@pytest.fixture(scope="session")
def built(plan: Plan, kept: blobs.Blobs) -> Built:
    """The image, put together without an engine."""
    return building.put_together(plan, kept, None)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[containers.Engines]:
    """A store with the base image in it."""
    containers.need_programs("podman", "buildah", "runc", "mmdebstrap")
    own = containers.Engines(tmp_path_factory.mktemp("store"))
    own.import_base()
    yield own
    own.clear()


@pytest.fixture
def engines(store: containers.Engines, monkeypatch: pytest.MonkeyPatch) -> containers.Engines:
    """The same store, for what is started from here."""
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    return store


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[containers.Registry]:
    """A registry that lets everybody at everything."""
    containers.need_programs("docker-registry")
    running = containers.Registry(tmp_path / "registry")
    yield running
    running.stop()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[containers.Registry]:
    """A registry that asks who is there: bea, with the word ``secret``."""
    containers.need_programs("docker-registry")
    (tmp_path / "users").write_text(USERS)
    running = containers.Registry(tmp_path / "guarded", tmp_path / "users")
    yield running
    running.stop()


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts a program of that name and content before all others, and hides all engines."""
    place = tmp_path / "programs"
    place.mkdir()
    monkeypatch.setenv("PATH", f"{place}:{Path(sys.executable).parent}")

    def write(name: str, script: str) -> None:
        (place / name).write_text(f"#!/bin/sh\n{script}\n")
        (place / name).chmod(stat.S_IRWXU)

    return write


def config_of(built: Built) -> dict[str, object]:
    """What the image says of itself."""
    found: dict[str, object] = json.loads(built.image.config)["config"]
    return found
