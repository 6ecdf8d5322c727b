"""The targets of this package keep the contract that they ask of others."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mlops_magics import plugins
from mlops_magics.records import Package
from mlops_magics.serving import manifest
from mlops_magics.serving.package.images import engines
from mlops_magics.targets import container
from mlops_magics.targets.container import ContainerTarget
from mlops_magics.targets.edge.target import EdgeTarget
from mlops_magics.targets.kubernetes.target import KubernetesTarget
from mlops_magics.targets.local import LocalTarget
from mlops_magics.targets.mlflow_plugins import MlflowTarget
from mlops_magics.testing import TargetContract
from tests.conftest import NEED_ALL
from tests.containers import Engines
from tests.targets import images, kube_play
from tests.targets import plugins as mlflow_plugins


class TestLocal(TargetContract):
    target_class = LocalTarget


class TestEdge(TargetContract):
    target_class = EdgeTarget

    @pytest.fixture
    def package(self, bundle: Package) -> Package:
        return bundle

    def options(self, folder: Path) -> Mapping[str, str]:
        return {"folder": str(folder / "device")}

    def question(self, package: Package) -> tuple[bytes, Any]:
        answers = manifest.answers(Path(package.path))
        wanted = {"predictions": [answer["prediction"] for answer in answers]}
        return manifest.example(Path(package.path)), wanted

    def is_left(self, folder: Path, asked: list[str]) -> bool:
        assert (folder / "device" / "releases").is_dir()  # it came so far
        return any((folder / "device" / "releases").iterdir()) or (
            (folder / "device" / "current").is_symlink()
        )


class TestContainer(TargetContract):
    target_class = ContainerTarget

    @pytest.fixture
    def package(self, image: Package, podman: Engines, served: Package) -> Package:
        self.served = served
        return image

    def options(self, folder: Path) -> Mapping[str, str]:
        return {"engine": "podman"}

    def question(self, package: Package) -> tuple[bytes, Any]:
        return super().question(self.served)

    def liar(self, package: Package, folder: Path) -> Package:
        lying = super().liar(self.served, folder)
        return images.unproven(lying, folder.with_name("layout"), "liar:1")


class TestKubernetes(TestContainer):
    """The manifests, played by podman in the place of a cluster."""

    target_class = KubernetesTarget  # type: ignore[assignment]

    @pytest.fixture(autouse=True)
    def cluster(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, podman: Engines) -> None:
        if shutil.which("kubectl") is None:
            assert not NEED_ALL, "The contract of kubernetes needs kubectl."
            pytest.skip("needs kubectl")
        self.calls = kube_play.install(tmp_path / "bin") / "calls.log"
        monkeypatch.setenv("PATH", kube_play.on_path(tmp_path / "bin"))

    @pytest.fixture
    def package(self, image: Package, podman: Engines, served: Package) -> Package:
        self.served = served
        container.load(engines.Podman(), image)  # no registry: the node has it
        return image

    def options(self, folder: Path) -> Mapping[str, str]:
        return {"folder": str(folder / "manifests")}

    def is_left(self, folder: Path, asked: list[str]) -> bool:
        assert asked
        done = subprocess.run(["podman", "pod", "exists", "contract-pod-0"])
        return done.returncode == 0


class TestMlflow(TargetContract):
    target_class = MlflowTarget

    @pytest.fixture(autouse=True)
    def plugin(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "site").mkdir()
        self.deployed = mlflow_plugins.install(tmp_path / "site")
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        monkeypatch.delitem(sys.modules, "mlops_fake_deployments", raising=False)

    @pytest.fixture(autouse=True)
    def uri(self, package: Package) -> None:
        self.model = str(Path(package.path) / manifest.MODEL)

    def target(self) -> MlflowTarget:
        return MlflowTarget("faketarget")

    def options(self, folder: Path) -> Mapping[str, str]:
        return {"model-uri": self.model}

    def is_left(self, folder: Path, asked: list[str]) -> bool:
        return bool(json.loads(self.deployed.read_text()))

    def test_an_option_that_it_does_not_have(self) -> None:
        # They are the plugin's to know.
        self.target().check({"anything": "goes"})


def test_every_registered_target_is_tested_here() -> None:
    tested = {kind.target_class for kind in _all(TargetContract)}
    assert {plugins.load("target", n) for n in plugins.names("target")} <= tested


def _all(kind: type[TargetContract]) -> list[type[TargetContract]]:
    below = kind.__subclasses__()
    return below + [found for each in below for found in _all(each)]
