"""Several notebooks at the same time: on this machine here, on a cluster in `tests/engines`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from mlops_magics import engines, store
from mlops_magics.engines import tasks
from mlops_magics.errors import UnknownName, WrongUsage
from mlops_magics.evidence import secrets
from mlops_magics.records import Executions
from mlops_magics.verbs.auditing import verify
from mlops_magics.verbs.executing import execute


def put(name: str, *sources: str, parameters: str = "depth: int = 1") -> str:
    cells = [new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    nbformat.write(new_notebook(cells=[*cells, *map(new_code_cell, sources)]), name)
    return name


def several(*names: str, **options: Any) -> Executions:
    done = execute(*names, **options)
    assert isinstance(done, Executions)
    return done


def test_a_grid_one_of_which_fails(project: Path) -> None:
    name = put(
        "work.ipynb",
        "from mlops_magics.verbs.steps import step\n"
        "with step('train', experiment='credit', arguments={}) as s:\n"
        "    s.metrics({'depth': depth})\n"
        "    s.summary = {'model': f'credit/{depth}'}",
        "assert depth != 3, 'not three'",
        parameters="depth: int = 1\nlabel: str = 'x'\napi_token: str = ''",
    )
    done = several(
        name, grid=["depth=2,3", 'label=["a/b", "c d"]'], params={"api_token": "hunter22-x"}
    )
    assert [run.varied for run in done.runs] == [
        {"depth": 2, "label": "a/b"},
        {"depth": 2, "label": "c d"},
        {"depth": 3, "label": "a/b"},
        {"depth": 3, "label": "c d"},
    ]
    assert [run.status for run in done.runs] == ["finished"] * 2 + ["failed"] * 2
    assert [run.params["depth"] for run in done.runs] == [2, 2, 3, 3]
    assert done.exit_code == 1
    assert done.engine == "local"
    assert sorted(file.name for file in Path(done.folder).iterdir()) == [
        "1-work-depth=2-label=a_b.ipynb",
        "2-work-depth=2-label=c_d.ipynb",
        "3-work-depth=3-label=a_b.ipynb",
        "4-work-depth=3-label=c_d.ipynb",
    ]
    shown = str(done)
    assert "2 finished · 2 failed" in shown
    assert "cell 4: AssertionError: not three" in shown
    assert "hunter22-x" not in shown + done.to_json()
    record = json.loads(Path(done.runs[0].output).read_text())["metadata"]["mlops"]["record"]
    assert record["attempt"] == {"number": 1, "place": "", "earlier": []}
    assert record["kernel"]["forked"] == sys.platform.startswith("linux")
    for run in done.runs:
        assert verify(run.output).intact
        # Each has a run of its own in the store, and its steps know which.
        assert store.runs.get(run.run_id).data.tags["mlops.seal"] == run.digest
        (step,) = run.steps
        assert store.runs.get(step["run_id"]).data.metrics == {"depth": run.params["depth"]}
        assert store.runs.get(step["run_id"]).data.tags["mlops.attempt"] == "1"


def test_secrets_that_vary_stand_in_no_name(project: Path) -> None:
    name = put("work.ipynb", "print(len(api_token))", parameters="api_token: str = ''")
    done = several(name, grid=["api_token=hunter22-a,hunter22-b"])
    assert [run.status for run in done.runs] == ["finished", "finished"]
    assert [run.varied for run in done.runs] == [{"api_token": secrets.MASK}] * 2
    names = sorted(file.name for file in Path(done.folder).iterdir())
    assert [n[:1] for n in names] == ["1", "2"]
    assert "hunter22" not in " ".join(names) + str(done) + done.to_json()


def test_a_list_of_notebooks_into_a_folder(project: Path) -> None:
    put("a.ipynb", "import numpy", "print('a')")
    put("b.ipynb", "import os\nos.environ['A'] = '1'", "raise SystemExit")
    done = several("a.ipynb", "b.ipynb", output="out", jobs=1, html=True)
    assert done.exit_code == 0
    assert (done.folder, done.jobs) == (str(project / "out"), 1)
    found = sorted(file.name for file in (project / "out").iterdir())
    assert found == ["1-a.html", "1-a.ipynb", "2-b.html", "2-b.ipynb"]
    assert "2 notebooks" in str(done)
    forked = [
        json.loads(Path(run.output).read_text())["metadata"]["mlops"]["record"]["kernel"]["forked"]
        for run in done.runs
    ]
    # What the second sets has to be there before it imports anything.
    assert forked == [sys.platform.startswith("linux"), False]


def test_a_signal_ends_those_that_run_and_begins_no_other(project: Path) -> None:
    name = put("slow.ipynb", "open(f'begun-{depth}', 'w').close()\nimport time\ntime.sleep(60)")
    code = "import sys; from mlops_magics.doors.cli import main; sys.exit(main(sys.argv[1:]))"
    words = ("execute", name, "--grid", "depth=1,2,3", "--jobs", "2", "--json")
    process = subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE)
    for _ in range(1200):
        if len(list(project.glob("begun-*"))) == 2 or process.poll() is not None:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    runs = json.loads(said)["runs"]
    assert [run["status"] for run in runs] == ["interrupted", "interrupted", "never ran"]
    assert all(run["reason"] == "SIGTERM was received" for run in runs)
    assert verify(runs[0]["output"]).intact
    assert not (project / "begun-3").exists()


def test_one_that_cannot_be_written_is_no_failure_of_the_others(project: Path) -> None:
    put("a.ipynb", "1")
    put("b.ipynb", "1")
    (project / "out").mkdir()
    (project / "out" / "1-a.ipynb").mkdir()  # in the way
    done = several("a.ipynb", "b.ipynb", output="out")
    assert [run.status for run in done.runs] == ["failed", "finished"]
    assert "can't be written" in done.runs[0].reason
    assert "can't be written" in str(done)


def test_refused_before_a_kernel_starts(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def boom(*_: object) -> None:
        raise AssertionError("a kernel was started")

    monkeypatch.setattr("mlops_magics.notebooks.booting.Boot.__enter__", boom)
    name = put("work.ipynb", "1")
    with pytest.raises(WrongUsage, match="needs NOTEBOOK"):
        execute()
    with pytest.raises(UnknownName, match=r"no parameter 'dpth'. Did you mean 'depth'"):
        execute(name, grid=["dpth=1,2"])
    with pytest.raises(WrongUsage, match="'depth' is int, and 'deep' is not"):
        execute(name, grid=["depth=1,deep"])
    with pytest.raises(WrongUsage, match="one notebook, and 2 are to be run"):
        execute(name, grid=["depth=1,2"], output="one.ipynb")
    with pytest.raises(WrongUsage, match="One notebook can be resumed at a time"):
        execute(name, grid=["depth=1,2"], resume=True)
    with pytest.raises(WrongUsage, match="help is for one notebook, and 2 are named"):
        execute(name, name, help_notebook=True)
    with pytest.raises(WrongUsage, match="--jobs must be at least 1"):
        execute(name, grid=["depth=1,2"], jobs=0)
    with pytest.raises(UnknownName, match=r"no engine 'dsak'. Did you mean 'dask'"):
        execute(name, on="dsak")
    with pytest.raises(WrongUsage, match=r"neither on this machine nor protected.*tls://"):
        execute(name, on="tcp://203.0.113.1:8786")
    assert not (project / "executed").exists()


def test_a_light_task_hears_that_it_is_recalled() -> None:
    heard: list[str] = []

    def wait(shared: str) -> str:
        task = tasks.current()
        with task.recalled(heard.append):
            while not heard:
                time.sleep(0.01)
        return f"{shared} {task.attempt}"

    with engines.find("local", 1, light=True) as engine:
        assert not engine.apart
        first, second = (engine.submit(wait, engine.share("done")) for _ in range(2))
        engine.recall("enough")
        engine.recall("again")
        assert first.result(timeout=10) == second.result(timeout=10) == "done 1"
    assert heard == ["enough", "enough"]
