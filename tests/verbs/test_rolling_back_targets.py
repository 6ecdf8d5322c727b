"""`rollback` on each target in one command: what answers afterwards is the earlier version."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import mlops_magics as mlops
from mlops_magics import store
from mlops_magics.serving.package.images import engines
from mlops_magics.targets import state
from tests import containers
from tests.conftest import NEED_ALL
from tests.targets import images, kube_play
from tests.targets import plugins as mlflow_plugins
from tests.verbs import governed

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def two(names: dict[str, Any]) -> Any:
    """Two versions that say different things, each of which was the champion."""
    for strength in (1.0, 0.0001):
        version = governed.train(names, C=strength)
        governed.judged(version)
        mlops.promote(version.ref)
    return names["X_test"]


@pytest.fixture(scope="session")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[containers.Engines]:
    containers.need_programs("podman", "runc", "mmdebstrap")
    with images.engine(tmp_path_factory.mktemp("rollback")) as own:
        yield own


def goes_back(rows: Any, to: str, options: Mapping[str, str]) -> None:
    """Deploy the second version, take it back, and ask what is there then."""
    mlops.deploy("credit@champion", to=to, options=options)
    second = mlops.predict("credit", rows).predictions
    done = mlops.rollback("credit", message="it declines everybody")
    assert [(d["name"], d["to"]) for d in done.deployments] == [("credit", "credit/1")]
    assert store.versions.resolve("credit@champion").ref == "credit/1"
    assert state.find("credit").model == "credit/1"
    first = mlops.predict("credit", rows).predictions
    assert first != second
    mlops.deploy("credit/1", name="compared")
    assert mlops.predict("compared", rows).predictions == first


def test_edge(two: Any, tmp_path: Path) -> None:
    device = tmp_path / "device"
    goes_back(two, "edge", {"folder": str(device)})
    assert "credit/1" in (device / "current" / "package.json").read_text()


@pytest.fixture
def packaged(two: Any) -> Any:
    """Both as images, on a base of their own: a rollback takes them as they are."""
    base = str(containers.base_tar())
    for ref in ("credit/1", "credit/2"):
        mlops.package(ref, as_="image", base=base, engine="none")
    return two


def test_container(podman: containers.Engines, packaged: Any) -> None:
    goes_back(packaged, "container", {"engine": "podman"})


def test_kubernetes(
    podman: containers.Engines, packaged: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("kubectl") is None:
        assert not NEED_ALL, "It needs kubectl."
        pytest.skip("needs kubectl")
    kube_play.install(tmp_path / "bin")
    monkeypatch.setenv("PATH", kube_play.on_path(tmp_path / "bin"))
    for number in (1, 2):  # no registry: the node has them
        place = Path(f".mlops/packages/credit-{number}-image").absolute()
        engines.Podman().load(place, f"credit:{number}")
    goes_back(packaged, "kubernetes", {"folder": str(tmp_path / "manifests")})


def test_a_plugin_of_mlflow(two: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site").mkdir()
    mlflow_plugins.install(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, "mlops_fake_deployments", raising=False)
    goes_back(two, "mlflow:faketarget", {})
