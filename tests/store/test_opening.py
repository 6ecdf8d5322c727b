"""A fresh SQLite store under several processes, and a store that is away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import mlops_magics as mlops
from mlops_magics import store
from mlops_magics.errors import StoreUnreachable

WORKER = textwrap.dedent(
    """
    import sys
    import numpy as np
    import mlops_magics as mlops
    from sklearn.linear_model import LogisticRegression
    number = int(sys.argv[1])
    X = np.random.default_rng(number).normal(size=(60, 2))
    y = (X[:, 0] > 0).astype(int)
    X_test, y_test = X, y
    with mlops.train("credit", tag=[f"worker={number}"]) as run:
        model = LogisticRegression().fit(X, y)
    assert run.record.model, run.record
    """
)


@pytest.mark.slow
def test_eight_processes_on_a_fresh_store_lose_nothing(project: Path, tmp_path: Path) -> None:
    # A cache of its own, so that this really is the first migration of all.
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(n)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for n in range(8)
    ]
    outputs = [w.communicate(timeout=240)[0] for w in workers]
    assert [w.returncode for w in workers] == [0] * 8, "\n".join(outputs)

    runs = store.runs.find(experiment="credit", verb="train")
    assert {r.data.tags["worker"] for r in runs} == {str(n) for n in range(8)}
    assert {r.info.status for r in runs} == {"FINISHED"}
    versions = store.versions.of("credit")
    assert sorted(v.number for v in versions) == list(range(1, 9))
    assert {v.run_id for v in versions} == {r.info.run_id for r in runs}


def test_a_fresh_store_keeps_its_files_in_the_project(project: Path) -> None:
    client = store.runs.connect()
    assert client.get_experiment("0").artifact_location == str(project / "mlruns" / "0")
    assert (project / "mlflow.db").is_file()


def test_a_set_tracking_uri_is_respected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    elsewhere = tmp_path / "team.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{elsewhere}")
    store.runs.connect()
    assert elsewhere.is_file()
    assert not (project / "mlflow.db").exists()


def test_a_folder_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_TRACKING_URI", "sqlite:////proc/nowhere/mlflow.db")
    with pytest.raises(StoreUnreachable, match="can't be opened"):
        store.runs.connect()


def test_the_run_of_a_killed_process_is_closed_as_killed(project: Path) -> None:
    store.runs.connect()
    code = (
        "import mlops_magics as m, time\n"
        "with m.train('credit'):\n print('open', flush=True)\n time.sleep(60)"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=project
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == "open\n"
    (run,) = store.runs.find(experiment="credit")
    assert run.info.status == "RUNNING"
    # While the process lives its run is left alone.
    assert mlops.status().closed_runs == ()
    worker.send_signal(signal.SIGKILL)
    worker.wait()

    assert mlops.status().closed_runs == (run.info.run_id,)
    closed = store.runs.get(run.info.run_id)
    assert closed.info.status == "KILLED"
    assert closed.data.tags["mlops.status"] == "killed"
    assert closed.info.end_time is not None
    assert mlops.status().closed_runs == ()


@pytest.mark.slow
def test_a_kernel_killed_in_mid_train_is_set_right_by_the_next_load(project: Path) -> None:
    from jupyter_client.manager import start_new_kernel

    store.runs.connect()
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(project))
    client.execute_interactive("%load_ext mlops_magics", timeout=60)
    client.execute("%%train credit\nimport time\ntime.sleep(120)")
    deadline = time.time() + 60
    while not (found := store.runs.find(experiment="credit")) and time.time() < deadline:
        time.sleep(0.1)
    (run,) = found
    manager.provisioner.process.send_signal(signal.SIGKILL)  # type: ignore[attr-defined]
    manager.provisioner.process.wait()  # type: ignore[attr-defined]
    client.stop_channels()
    assert store.runs.get(run.info.run_id).info.status == "RUNNING"

    manager, client = start_new_kernel(kernel_name="python3", cwd=str(project))
    said: list[str] = []
    try:
        client.execute_interactive(
            "%load_ext mlops_magics",
            timeout=60,
            output_hook=lambda m: said.append(m["content"].get("text", "")),
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert "recorded as killed" in "".join(said)
    assert store.runs.get(run.info.run_id).data.tags["mlops.status"] == "killed"


def test_only_the_stores_own_connections_commit_without_waiting(project: Path) -> None:
    import sqlalchemy

    mlops.status()
    engine = sqlalchemy.create_engine(f"sqlite:///{project / 'mlflow.db'}")
    own = sqlalchemy.create_engine(f"sqlite:///{project / 'own.db'}")
    with engine.connect() as ours, own.connect() as theirs:
        question = sqlalchemy.text("PRAGMA synchronous")
        assert ours.execute(question).scalar() == 1  # NORMAL
        assert theirs.execute(question).scalar() == 2  # FULL, SQLite's default
    engine.dispose()
    own.dispose()


def test_each_folder_keeps_a_store_of_its_own(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mlops.train("here"):
        pass
    for given in (None, "sqlite:///given.db"):
        if given:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
        monkeypatch.setenv("MLOPS_TRACKING_URI", f"sqlite:///{project / 'other.db'}")
        assert store.versions.names() == []  # turns MLflow to it
        assert os.environ.get("MLFLOW_TRACKING_URI") == given
        monkeypatch.delenv("MLOPS_TRACKING_URI")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert [run.info.run_name for run in store.runs.find()] == ["here"]
