"""An MLflow deployments plugin, installed for a test: it keeps a file, and predicts for real.

It has the calls of MLflow's own test plugin (``faketarget``, in MLflow's repository and on no
registry: PyPI's package of that name is another's and holds none), old signatures without
`endpoint` included.
"""

from __future__ import annotations

from pathlib import Path

PLUGIN = """
import json
import os
from pathlib import Path

import mlflow.pyfunc
from mlflow.deployments import BaseDeploymentClient
from mlflow.exceptions import MlflowException

FILE = Path(__file__).with_name("deployed.json")


def _read():
    return json.loads(FILE.read_text()) if FILE.is_file() else {}


class PluginDeploymentClient(BaseDeploymentClient):
    def _change(self, name, what):
        content = _read()
        content.pop(name, None) if what is None else content.update({name: what})
        FILE.write_text(json.dumps(content))

    def create_deployment(self, name, model_uri, flavor=None, config=None):
        if config and config.get("raiseError") == "True":
            raise RuntimeError("Error requested")
        if name in _read():
            raise MlflowException(f"There is a deployment {name} already.")
        self._change(name, {"uri": model_uri, "flavor": flavor, "config": config or {}})
        return {"name": name, "flavor": flavor}

    def delete_deployment(self, name):
        self._change(name, None)

    def update_deployment(self, name, model_uri=None, flavor=None, config=None):
        if name not in _read():
            raise MlflowException(f"There is no deployment {name}.")
        self._change(name, {"uri": model_uri, "flavor": flavor, "config": config or {}})
        return {"flavor": flavor}

    def list_deployments(self):
        if os.environ.get("raiseError") == "True":
            raise RuntimeError("Error requested")
        return [{"name": name} for name in _read()]

    def get_deployment(self, name):
        found = _read()[name]
        return {"name": name, "status": found["config"].get("says", "InService"), **found}

    def predict(self, deployment_name, inputs=None):
        return mlflow.pyfunc.load_model(_read()[deployment_name]["uri"]).predict(inputs)


def run_local(name, model_uri, flavor=None, config=None):
    raise NotImplementedError


def target_help():
    return "Target help is called"
"""


def install(folder: Path) -> Path:
    """Lay the plugin into a folder as pip would; the file in which it keeps its deployments."""
    (folder / "mlops_fake_deployments.py").write_text(PLUGIN)
    about = folder / "mlops_fake_deployments-0.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: mlops-fake-deployments\nVersion: 0.1\n"
    )
    (about / "entry_points.txt").write_text(
        "[mlflow.deployments]\nfaketarget = mlops_fake_deployments\n"
    )
    return folder / "deployed.json"
