"""The targets of this package keep the contract that they ask of others."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mlops_magics import plugins
from mlops_magics.records import Package
from mlops_magics.serving import manifest
from mlops_magics.targets.edge.target import EdgeTarget
from mlops_magics.targets.local import LocalTarget
from mlops_magics.targets.mlflow_plugins import MlflowTarget
from mlops_magics.testing import TargetContract
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
    tested = {kind.target_class for kind in TargetContract.__subclasses__()}
    assert {plugins.load("target", n) for n in plugins.names("target")} <= tested
