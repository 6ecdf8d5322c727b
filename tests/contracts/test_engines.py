"""The engines of this package keep the contract that they ask of others."""

from __future__ import annotations

from mlops_magics import plugins
from mlops_magics.engines.dask import DaskEngine
from mlops_magics.engines.local import LocalEngine
from mlops_magics.engines.ray import RayEngine
from mlops_magics.testing import EngineContract


class TestLocalProcesses(EngineContract):
    engine_class = LocalEngine


class TestLocalInThisProcess(EngineContract):
    engine_class = LocalEngine

    def engine(self) -> LocalEngine:
        return LocalEngine()


def test_every_registered_engine_is_tested() -> None:
    """Those of Dask and Ray are in ``tests/engines``, where clusters are."""
    found = {plugins.load("engine", name) for name in plugins.names("engine")}
    assert found == {LocalEngine, DaskEngine, RayEngine}
