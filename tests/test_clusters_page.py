"""What docs/clusters.md shows is taken by what it is for."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_notebook

from mlops_magics.doors import parsing
from tests.conftest import NEED_ALL, need

PAGE = Path(__file__).parents[1] / "docs" / "clusters.md"

#: A Python that has Airflow, which needs an environment of its own.
AIRFLOW = os.environ.get("MLOPS_TESTS_AIRFLOW", "")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_every_command_is_one_of_ours() -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    commands = [words[1:] for line in lines if (words := shlex.split(line))[0] == "mlops"]
    assert {words[0] for words in commands} == {"execute", "schedule"}
    for name, *words in commands:
        parsing.parse(name, words)


def parts() -> tuple[dict[str, Any], dict[str, Any]]:
    [text] = blocks("yaml")
    manifest = yaml.safe_load(text)
    assert (manifest["apiVersion"], manifest["kind"]) == ("kubernetes.dask.org/v1", "DaskCluster")
    assert manifest["spec"].keys() == {"scheduler", "worker"}
    return manifest["spec"]["scheduler"], manifest["spec"]["worker"]


def test_the_parts_of_the_cluster_fit_the_schemas_of_kubernetes() -> None:
    """The operator's own definition takes a PodSpec twice, and a ServiceSpec."""
    validate = need("kubernetes_validate").validate
    scheduler, worker = parts()
    assert scheduler.keys() == {"service", "spec"}
    assert worker.keys() == {"replicas", "spec"}
    meta = {"metadata": {"name": "notebooks"}, "apiVersion": "v1"}
    validate({**meta, "kind": "Service", "spec": scheduler["service"]}, "1.31", strict=True)
    for part in (scheduler, worker):
        pod = part["spec"]
        validate({**meta, "kind": "Pod", "spec": pod}, "1.31", strict=True)
        assert pod["securityContext"]["runAsNonRoot"]
        [container] = pod["containers"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
    named = {port["name"]: port["containerPort"] for port in container_of(scheduler)["ports"]}
    for port in scheduler["service"]["ports"]:
        assert named[port["targetPort"]] == port["port"]


def container_of(part: dict[str, Any]) -> dict[str, Any]:
    [container] = part["spec"]["containers"]
    return dict(container)


def test_dask_knows_the_options_and_the_variables() -> None:
    need("distributed")
    from dask.config import collect_env, get
    from distributed.cli import dask_scheduler, dask_worker

    clis = {"scheduler": dask_scheduler.main, "worker": dask_worker.main}
    exported = dict(re.findall(r"export (DASK_\w+)=(\S+)", "\n".join(blocks("sh"))))
    for part in parts():
        container = container_of(part)
        program, command, *words = container["args"]
        assert program == "dask"
        clis[command].make_context(command, list(words))  # refuses an option that is not there
        given = {v["name"]: v["value"] for v in container["env"]} | exported
        told = collect_env(env=given)["distributed"]["comm"]
        assert told["require-encryption" if "require-encryption" in told else "require_encryption"]
        for role in ("ca_file", "scheduler", "worker", "client"):
            assert role in {key.replace("-", "_") for key in told["tls"]}
            get(f"distributed.comm.tls.{role.replace('_', '-')}")  # KeyError if Dask has no such


def test_airflow_takes_the_dag(tmp_path: Path) -> None:
    """By Airflow itself, which renders the task and runs it on a notebook."""
    if not AIRFLOW:
        assert not NEED_ALL, "This needs MLOPS_TESTS_AIRFLOW."
        pytest.skip("needs MLOPS_TESTS_AIRFLOW, a Python that has Airflow")
    [code] = blocks("python")
    (tmp_path / "dags").mkdir()
    (tmp_path / "executed").mkdir()
    (tmp_path / "dags" / "credit.py").write_text(code.replace("/srv/notebooks/", f"{tmp_path}/"))
    cells = [
        new_code_cell("data = name = target = ''", metadata={"tags": ["parameters"]}),
        new_code_cell("print(f'{name} has {target}')"),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), tmp_path / "train.ipynb")
    script = Path(__file__).parent / "schedulers" / "airflow_reading.py"
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(
        [AIRFLOW, str(script), str(tmp_path / "dags"), str(tmp_path / "airflow")],
        capture_output=True, text=True, env=clean,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["errors"] == {}
    [dag] = found["dags"]
    assert (dag["dag"], dag["operator"], dag["error"]) == ("train_credit", "PapermillOperator", "")
    executed = tmp_path / "executed" / "train-20260131T120000.ipynb"
    assert "credit has Status" in executed.read_text()
