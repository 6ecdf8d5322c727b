"""Deployments by a plugin of MLflow's that is really installed and really predicts."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import mlops_magics as mlops
from mlops_magics.errors import StepFailed, UnknownName, WrongUsage
from mlops_magics.records import Package
from mlops_magics.serving import manifest
from mlops_magics.targets import state
from tests.targets import plugins


@pytest.fixture
def deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The plugin, installed; a function that reads what it has deployed."""
    folder = tmp_path / "site"
    folder.mkdir()
    file = plugins.install(folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "mlops_fake_deployments", raising=False)
    return lambda: json.loads(file.read_text()) if file.is_file() else {}


def test_from_deploy_to_rollback_by_the_verbs(names: dict[str, Any], deployed: Any) -> None:
    refs = []
    for seed in (0, 1):
        with mlops.train("credit") as run:
            model = names["fresh"](C=1 + seed).fit(names["X_train"], names["y_train"])
            X_test, y_test = names["X_test"], names["y_test"]  # noqa: F841
        assert model
        assert run.record is not None
        refs.append(run.record.model)
    first = mlops.deploy(refs[0], to="mlflow:faketarget", options={"instances": "2"})
    assert (first.target, first.status, first.url) == (
        "mlflow:faketarget", "up", "mlflow:faketarget/credit",
    )  # fmt: skip
    assert deployed()["credit"] == {
        "uri": f"models:/{refs[0]}", "flavor": None, "config": {"instances": "2"},
    }  # fmt: skip
    mlops.deploy(refs[1], to="mlflow:faketarget", options={"flavor": "sklearn"})
    assert (deployed()["credit"]["uri"], deployed()["credit"]["flavor"]) == (
        f"models:/{refs[1]}", "sklearn",
    )  # fmt: skip
    rows = names["X_test"].head(3)
    assert mlops.predict("credit", rows).predictions == tuple(model.predict(rows))
    with pytest.raises(StepFailed, match="gives what the model predicts, and nothing else"):
        mlops.predict("credit", rows, probabilities=True)
    # And back, as every rollback deploys the version before.
    mlops.deploy(refs[0], to="mlflow:faketarget")
    assert deployed()["credit"]["uri"] == f"models:/{refs[0]}"
    with pytest.raises(WrongUsage, match="can't share requests between two versions"):
        mlops.deploy(refs[1], to="mlflow:faketarget", canary="10%")
    mlops.undeploy("credit")
    assert deployed() == {}


def test_which_plugin(deployed: Any) -> None:
    with pytest.raises(WrongUsage, match=r"--to mlflow:NAME\. Installed: .*faketarget.*sagemaker"):
        state.target("mlflow").check({})
    with pytest.raises(UnknownName, match=r"MLflow deployments plugin 'faktarget'.*'faketarget'"):
        state.target("mlflow:faktarget")._plugin().names({})  # type: ignore[attr-defined]


def test_what_the_plugin_refuses(
    package: Package, deployed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, uri = state.target("mlflow:faketarget"), f"{package.path}/model"
    with pytest.raises(StepFailed, match="'faketarget' did not deploy: Error requested"):
        target.deploy(package, name="a", options={"raiseError": "True", "model-uri": uri})
    assert deployed() == {}
    deployment = target.deploy(package, name="a", options={"says": "Failed", "model-uri": uri})
    seen = target.status(deployment)
    assert (seen.status, seen.reason) == ("down", "The plugin faketarget says 'Failed'.")
    assert '"uri"' in target.logs(deployment)
    monkeypatch.setenv("raiseError", "True")
    seen = target.status(deployment)
    assert seen.reason == "The MLflow plugin 'faketarget' did not name its deployments: " + (
        "Error requested."
    )


def test_what_answers_otherwise_is_put_back(
    package: Package, deployed: Any, tmp_path: Path
) -> None:
    target, uri = state.target("mlflow:faketarget"), f"{package.path}/model"
    state.save(target.deploy(package, name="a", options={"model-uri": uri}))
    liar = tmp_path / "liar"
    shutil.copytree(package.path, liar)
    (liar / manifest.ANSWERS).write_text('{"predictions": ["no"]}')
    other = replace(package, path=str(liar), model="credit/2")
    with pytest.raises(StepFailed, match=r"smoke test.*credit/1 was put back"):
        target.deploy(other, name="a", options={"model-uri": uri, "kept": "no"})
    assert deployed()["a"]["config"] == {}
    with pytest.raises(StepFailed, match=r"smoke test.*It was deleted again"):
        target.deploy(other, name="b", options={"model-uri": uri})
    assert list(deployed()) == ["a"]
