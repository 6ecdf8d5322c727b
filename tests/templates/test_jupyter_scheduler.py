"""jupyter-scheduler, the scheduler of JupyterLab, runs the shipped notebooks as they are."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from mlops_magics import store
from mlops_magics.notebooks import files
from tests.conftest import need
from tests.verbs import governed


@pytest.mark.slow
def test_it_runs_the_monitor_template(
    names: dict[str, Any], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process of its own, with parameters; the settings come from variables.

    It pastes parameters into the notebook as they are, so that text needs its quotes.
    """
    need("jupyter_scheduler")
    from jupyter_scheduler.environments import CondaEnvironmentManager
    from jupyter_scheduler.models import CreateJob, Status
    from jupyter_scheduler.orm import create_tables
    from jupyter_scheduler.scheduler import Scheduler

    governed.train(names)
    later = project / "later.csv"
    names["X_test"].assign(Price=names["X_test"]["Price"] * 3).to_csv(later, index=False)
    shutil.copy(files.templates()["monitor"], project / "monitor.ipynb")
    monkeypatch.setenv("MLOPS_TRACKING_URI", f"sqlite:///{project / 'mlflow.db'}")
    monkeypatch.setenv("MLOPS_SCHEDULE", "credit")
    database = f"sqlite:///{project / 'jobs.sqlite'}"
    create_tables(database)
    scheduler = Scheduler(
        root_dir=str(project), environments_manager=CondaEnvironmentManager(), db_url=database
    )
    scheduler.staging_path = str(project / "staging")
    told = {"name": "credit", "data": str(later), "thresholds": "drift(Price) <= 0.2"}
    job = scheduler.create_job(
        CreateJob(
            name="watch",
            input_uri="monitor.ipynb",
            runtime_environment_name="this one",
            output_formats=["ipynb"],
            parameters={name: repr(value) for name, value in told.items()},
        )
    )
    until = time.monotonic() + 120
    ended = (Status.COMPLETED, Status.FAILED)  # one that has not begun is called stopped
    while (seen := scheduler.get_job(job, job_files=False)).status not in ended:
        assert time.monotonic() < until
        time.sleep(0.2)
    # What is over its threshold ends the job as it ends a command, and the report is whole.
    assert seen.status == Status.FAILED
    assert "credit is over its thresholds." in seen.status_message
    [output] = (project / "staging").glob("*/*-2*.ipynb")
    cells = json.loads(output.read_text())["cells"]
    shown = [o["data"] for c in cells for o in c.get("outputs", []) if "data" in o]
    assert any("drift(Price)" in "".join(data.get("text/html", "")) for data in shown)
    [run] = store.runs.find(verb="monitor", experiment="credit")
    assert run.data.tags["mlops.passed"] == "false"
    assert run.data.tags["mlops.schedule"] == "credit"
