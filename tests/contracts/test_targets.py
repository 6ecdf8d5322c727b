"""The targets of this package keep the contract that they ask of others."""

from __future__ import annotations

from mlops_magics import plugins
from mlops_magics.targets.local import LocalTarget
from mlops_magics.testing import TargetContract


class TestLocal(TargetContract):
    target_class = LocalTarget


def test_every_registered_target_is_tested_here() -> None:
    assert {plugins.load("target", n) for n in plugins.names("target")} == {LocalTarget}
