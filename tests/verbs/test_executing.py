"""`execute`: from a notebook with parameters to a sealed record, however the run ends."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mlops_magics.errors import BadData, MlopsError, UnknownName, WrongUsage
from mlops_magics.records import Execution
from mlops_magics.verbs.auditing import verify
from mlops_magics.verbs.executing import execute

Put = Callable[..., str]
SECRET = "hunter22-and-more"


@pytest.fixture
def put(project: Path) -> Put:
    """Writes a notebook of the given cells into the project and returns its name."""

    def write(*sources: str, parameters: str | None = None, name: str = "work.ipynb") -> str:
        cells = [new_markdown_cell("# Work")]
        if parameters is not None:
            cells.append(new_code_cell(parameters, metadata={"tags": ["parameters"]}))
        cells += [new_code_cell(source) for source in sources]
        nbformat.write(new_notebook(cells=cells), project / name)
        return name

    return write


def content(record: Execution) -> dict[str, Any]:
    return dict(json.loads(Path(record.output).read_text()))


def facts(record: Execution) -> dict[str, Any]:
    return dict(content(record)["metadata"]["mlops"]["record"])


def test_finished_and_sealed(put: Put, project: Path) -> None:
    name = put(
        "print(depth * 2)",
        "import os\nprint(os.environ['MLOPS_NOTEBOOK'], os.environ['MLFLOW_DISABLE_TELEMETRY'])",
        parameters="depth: int = 1\nlabel: str = 'x'",
    )
    done = execute(name, params={"depth": "21"})
    assert done.status == "finished"
    assert done.exit_code == 0
    assert done.params == {"depth": 21, "label": "x"}
    assert done.cells == {"run": 5, "failed": 0, "never ran": 0}
    assert Path(done.output).parent == project / "executed"
    cells = content(done)["cells"]
    assert cells[3]["outputs"][0]["text"] == ["42\n"]
    assert cells[4]["outputs"][0]["text"] == [f"{project / name} true\n"]
    checked = verify(done.output)
    assert checked.intact
    assert checked.problems == ()
    assert done.run_id == ""  # no step was taken, so the store was not touched
    assert not (project / "mlflow.db").exists()


def test_the_record(put: Put, project: Path) -> None:
    name = put("1", "2", parameters="depth: int = 1\nrate: float = 0.5")
    subprocess.run(["git", "init", "-q"], check=True)
    done = execute(name, params={"depth": 3}, timeout=60)
    record = facts(done)
    assert record["verb"] == "execute"
    assert record["arguments"]["timeout"] == 60
    assert record["parameters"] == {"depth": 3, "rate": 0.5}
    assert record["parameters_given"] == ["depth"]
    assert record["notebook"]["path"] == str(project / name)
    assert record["notebook"]["digest"].startswith("sha256:")
    assert record["who"]["actor"]
    assert record["git"]["root"] == str(project)
    assert record["environment"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert record["packages"]["versions"]["nbformat"] == nbformat.__version__
    assert [c["status"] for c in record["cells"]] == ["finished"] * 5
    assert [c["execution_count"] for c in record["cells"]] == [None, 1, 2, 3, 4]
    assert all(c["source"].startswith("sha256:") for c in record["cells"])
    assert record["started"] < record["ended"]
    again = execute(done.output, output="again.ipynb")
    assert facts(again)["notebook"]["follows"] == record["event"]


def test_a_cell_raises(put: Put) -> None:
    done = execute(put("1", "raise ValueError('no such luck')", "3"))
    assert done.status == "failed"
    assert done.exit_code == 1
    assert done.failed_cell is not None
    assert (done.failed_cell["number"], done.failed_cell["error"]) == (3, "ValueError")
    assert done.cells == {"run": 3, "failed": 1, "never ran": 1}
    cells = content(done)["cells"]
    assert cells[2]["outputs"][0]["evalue"] == "no such luck"
    assert cells[3]["execution_count"] is None
    assert facts(done)["cells"][3]["status"] == "never ran"
    assert verify(done.output).intact


def test_the_kernel_is_killed_in_mid_run(put: Put) -> None:
    done = execute(put("print('before')", "import os\nos.kill(os.getpid(), 9)", "3"))
    assert done.status == "killed"
    assert done.exit_code == 1
    assert facts(done)["cells"][2]["status"] == "killed"
    marks = [c["metadata"]["papermill"]["status"] for c in content(done)["cells"]]
    assert marks == ["completed", "completed", "failed", "pending"]
    assert verify(done.output).intact


def test_time_out(put: Put) -> None:
    done = execute(put("import time\ntime.sleep(60)"), cell_timeout=0.5)
    assert done.status == "timed out"
    assert verify(done.output).intact


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_executor(number: int, put: Put, project: Path) -> None:
    name = put(
        "print('done before')", "open('running', 'w').close()\nimport time\ntime.sleep(60)", "3"
    )
    code = "import sys; from mlops_magics.doors.cli import main; sys.exit(main(sys.argv[1:]))"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "execute", name, "--output", "out.ipynb"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    for _ in range(600):
        if (project / "running").exists() or process.poll() is not None:
            break
        time.sleep(0.05)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 1
    saved = json.loads((project / "out.ipynb").read_text())
    record = saved["metadata"]["mlops"]["record"]
    assert record["status"] == "interrupted"
    assert signal.Signals(number).name in record["reason"]
    assert [c["status"] for c in record["cells"]][1:] == ["finished", "interrupted", "never ran"]
    names = [o["ename"] for o in saved["cells"][2]["outputs"]]
    assert names == ["KeyboardInterrupt", "Interrupted"]
    assert verify("out.ipynb").intact


def test_refused_before_a_kernel_starts(
    put: Put, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def boom(*_: Any, **__: Any) -> None:
        raise AssertionError("a kernel was started")

    monkeypatch.setattr("mlops_magics.notebooks.booting.Boot.__enter__", boom)
    name = put("1", parameters="depth: int = 1\ndata: str")
    bare = put("1", name="bare.ipynb")
    (project / "text.ipynb").write_text("hello")
    with pytest.raises(UnknownName, match=r"no notebook 'wrok.ipynb'. Did you mean 'work.ipynb'"):
        execute("wrok.ipynb")
    with pytest.raises(UnknownName, match=r"no parameter 'dpth'. Did you mean 'depth'"):
        execute(name, params={"dpth": "1", "data": "x"})
    with pytest.raises(WrongUsage, match=r"'depth' is int, and '7.5' is not"):
        execute(name, params={"depth": "7.5", "data": "x"})
    with pytest.raises(WrongUsage, match=r"needs data \(str\)"):
        execute(name)
    with pytest.raises(WrongUsage, match="has no parameters cell, but was given depth"):
        execute(bare, params={"depth": 1})
    with pytest.raises(BadData, match="not a notebook"):
        execute("text.ipynb")
    with pytest.raises(UnknownName, match="no kernel 'julia-9'"):
        execute(bare, kernel="julia-9")
    with pytest.raises(WrongUsage, match="timeout is 0"):
        execute(bare, timeout=0)
    with pytest.raises(WrongUsage, match="can't take its place"):
        execute(bare, output=bare)
    assert not (project / "executed").exists()


def test_a_file_of_parameters(put: Put, project: Path) -> None:
    name = put("print(depth, label)", parameters="depth: int = 1\nlabel: str = 'x'")
    (project / "p.yaml").write_text("depth: 2\nlabel: '007'\n")
    done = execute(name, file="p.yaml", params={"depth": 3})
    assert content(done)["cells"][3]["outputs"][0]["text"] == ["3 007\n"]


def test_secrets_are_written_nowhere(
    put: Put, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_API_KEY", "key-from-the-environment")
    name = put(
        "import os\nprint(db_password, os.environ['SERVICE_API_KEY'])",
        "from IPython.display import HTML\nHTML(f'<b>{db_password}</b>')",
        "pin_code = pin_token\nprint('pin is', len(str(pin_token)))",
        "raise RuntimeError(f'login with {db_password} failed')",
        parameters="db_password: str = ''\npin_token: int = 0",
    )
    done = execute(name, params={"db_password": SECRET, "pin_token": 918273}, html=True)
    assert done.status == "failed"
    assert "pin is 6" in str(content(done))  # the kernel had the real one
    for file in project.rglob("*"):
        if file.is_file():
            written = file.read_bytes()
            assert SECRET.encode() not in written, file
            assert b"key-from-the-environment" not in written, file
            assert b"918273" not in written, file
    assert SECRET not in done.to_json()
    record = facts(done)
    assert record["parameters"] == {"db_password": "•••", "pin_token": "•••"}
    assert record["masked"]["count"] >= 5
    assert verify(done.output).intact


@pytest.mark.parametrize("when", ["start", "end"])
def test_disk_full(when: str, put: Put, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start no cell runs; at the end the notebook is kept where there is room."""
    name = put("open('ran', 'w').close()")
    real, calls = os.fsync, []

    def full(descriptor: int) -> None:
        # Each save syncs its file and then its folder; the first save is at the start.
        if ".out.ipynb" in os.readlink(f"/proc/self/fd/{descriptor}"):
            calls.append(descriptor)
            if when == "start" or len(calls) > 1:
                raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    if when == "start":
        with pytest.raises(MlopsError, match="No space left on device"):
            execute(name, output="there/out.ipynb")
        assert not (project / "ran").exists()
        assert list((project / "there").iterdir()) == []
        return
    done = execute(name, output="there/out.ipynb")
    assert (done.status, done.exit_code) == ("finished", 1)
    assert done.unwritten == str(project / "there" / "out.ipynb")
    assert Path(done.output).parent == project / "executed"
    assert "No space left on device. The executed notebook is kept in" in done.warnings[0]
    assert verify(done.output).intact
    # The one that was saved on the way is still whole.
    assert json.loads((project / "there" / "out.ipynb").read_text())["nbformat"] == 4


def test_output_into_a_folder_and_without_suffix(put: Put, project: Path) -> None:
    name = put("1")
    (project / "there").mkdir()
    assert execute(name, output="there").output == str(project / "there" / "work.ipynb")
    assert execute(name, output="there/other").output == str(project / "there" / "other.ipynb")


def test_nothing_heavy_is_imported_without_steps(put: Put) -> None:
    name = put("1")
    code = (
        f"import sys; from mlops_magics.verbs.executing import execute; execute({name!r});"
        "print([m for m in ('mlflow', 'sklearn', 'pandas') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_html(put: Put) -> None:
    done = execute(put("print('seen')"), html=True)
    assert done.html is not None
    text = Path(done.html).read_text()
    assert "Sealed and intact" in text
    assert "seen" in text
    assert "<script" not in text


def test_steps_are_in_the_record(put: Put, project: Path) -> None:
    """A verb inside the notebook becomes a step of the record and of a run in the store."""
    from mlops_magics import store

    name = put(
        "from mlops_magics.verbs.steps import step",
        "with step('train', experiment='credit', arguments={'name': 'credit'}) as s:\n"
        "    s.metrics({'roc_auc': 0.8})\n"
        "    s.summary = {'model': 'credit/1', 'metrics': {'roc_auc': 0.8}}",
        "1/0",
    )
    done = execute(name)
    assert done.status == "failed"
    assert [s["verb"] for s in done.steps] == ["train"]
    assert done.steps[0]["metrics"] == {"roc_auc": 0.8}
    run = store.runs.get(done.run_id)
    assert run.data.tags["mlops.verb"] == "execute"
    assert run.data.tags["mlops.status"] == "failed"
    assert run.data.tags["mlops.seal"] == done.digest
    inner = store.runs.get(done.steps[0]["run_id"])
    assert inner.data.tags["mlops.notebook"] == str(project / name)
    assert inner.data.tags["mlops.execution"] == facts(done)["event"]
    kept = store.runs.fetch(done.run_id, f"notebook/{Path(done.output).name}")
    assert verify(str(kept)).intact


def test_from_within_a_notebook(put: Put) -> None:
    """There an event loop is running already."""
    inner = put("print('inner')", name="inner.ipynb")
    outer = put(
        "from mlops_magics.verbs.executing import execute",
        f"done = execute({inner!r})\nassert done.status == 'finished', done\nprint(done.status)",
        name="outer.ipynb",
    )
    assert execute(outer).status == "finished"
