"""Notebooks on a real scheduler and two real workers, one of which is killed in mid-run."""

from __future__ import annotations

import json
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

import mlops_magics as mlops
from mlops_magics import store
from mlops_magics.engines.dask import DaskEngine
from mlops_magics.errors import WrongUsage
from mlops_magics.records import Executions
from mlops_magics.verbs import apart, jobs
from tests.engines import batches
from tests.engines.conftest import Cluster


@pytest.mark.slow
def test_a_killed_worker_and_a_stop(cluster: Cluster, project: Path) -> None:
    """One cluster for both, as it takes seconds to start."""
    name = batches.put(*batches.SOURCES)
    victim = cluster.workers[0]

    def kill() -> None:
        while not any(str(victim.pid) in f.read_text() for f in project.glob("begun-*")):
            time.sleep(0.02)
        victim.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    done = mlops.execute(
        name,
        grid=["depth=1,2,3,4"],
        params={"service_token": "hunter22-and-more"},
        on=cluster.address,
        html=True,
    )
    killer.join()
    assert isinstance(done, Executions)
    assert [run.status for run in done.runs] == ["finished", "failed", "finished", "finished"]
    assert done.engine == f"dask {cluster.address}"
    again = [run for run in done.runs if run.attempt == 2]
    assert again
    for run in again:
        begun = (project / f"begun-{run.params['depth']}").read_text().split()
        assert str(victim.pid) in begun
        (lost,) = run.earlier
        assert lost["place"] != run.place
        record = json.loads(Path(run.output).read_text())["metadata"]["mlops"]["record"]
        assert record["attempt"]["number"] == 2
        assert record["attempt"]["earlier"] == [dict(lost)]
        tags = store.runs.get(run.steps[0]["run_id"]).data.tags
        assert tags["mlops.attempt"] == "2"
        assert tags["mlops.execution"] == record["event"]
    for run in done.runs:
        assert mlops.verify(run.output).intact
        assert run.html
        assert Path(run.html).exists()
        assert run.run_id
    for file in project.rglob("*"):
        assert not file.is_file() or b"hunter22-and-more" not in file.read_bytes(), file

    # Asked to stop, the worker ends what it does, and what was done comes back.
    words = ["execute", name, "--grid", "depth=5,6", "-p", "pause", "60", "--on", cluster.address]
    process = batches.mlops(*words, "--json")
    batches.until(lambda: (project / "begun-5").exists() or (project / "begun-6").exists())
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    runs = json.loads(said)["runs"]
    assert sorted(run["status"] for run in runs) == ["interrupted", "never ran"]
    stopped = next(run for run in runs if run["status"] == "interrupted")
    assert mlops.verify(stopped["output"]).intact

    # Whoever asked is killed: nobody is left to tell, and no kernel stays.
    words[3] = "depth=7"
    process = batches.mlops(*words)
    batches.until(lambda: (project / "begun-7").exists())
    worker = psutil.Process(cluster.workers[1].pid)
    assert worker.children()
    process.kill()
    process.wait()
    batches.until(lambda: not worker.children())


def test_workers_elsewhere_need_a_store_that_they_reach(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said before the scheduler is asked anything; a notebook that takes no step needs none."""

    def job(source: str) -> jobs.Job:
        from mlops_magics.notebooks import files, kernels

        path = project / batches.put(source)
        notebook = files.read(path)
        kernel = kernels.find(notebook)
        return jobs.Job(
            source=path, notebook=notebook, kernel=kernel, params={}, target=path, arguments={}
        )

    engine = DaskEngine(address="tls://cluster.example.org:8786")
    with pytest.raises(WrongUsage, match=r"can't reach the store of this machine.*TRACKING_URI"):
        apart.place_of(engine, [job("1"), job("%load_ext mlops_magics")])
    assert "MLOPS_TRACKING_URI" not in apart.place_of(engine, [job("1")]).environment
    monkeypatch.setenv("MLOPS_TRACKING_URI", "https://mlflow.example.org")
    monkeypatch.setenv("MLOPS_KEYS", "/somewhere/here")
    told = apart.place_of(engine, [job("%load_ext mlops_magics")]).environment
    assert told["MLOPS_TRACKING_URI"] == "https://mlflow.example.org"
    assert "MLOPS_KEYS" not in told
