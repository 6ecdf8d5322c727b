"""Notebooks run in real kernels, and end in every way there is."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mlops_magics.errors import MlopsError, UnknownName
from mlops_magics.notebooks import kernels, running
from mlops_magics.notebooks.running import Outcome, Plan
from mlops_magics.notebooks.stopping import Stopper


def run(*sources: str, stopper: Stopper | None = None, **options: Any) -> Outcome:
    notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
    plan = Plan(notebook=notebook, kernel=kernels.find(notebook), **options)
    return running.run(plan, lambda _: None, stopper=stopper)


def papermill_states(outcome: Outcome) -> list[str]:
    return [cell.metadata.papermill.status for cell in outcome.notebook.cells]


def errors(outcome: Outcome, index: int) -> list[str]:
    outputs = outcome.notebook.cells[index].outputs
    return [output.ename for output in outputs if output.output_type == "error"]


def test_finished() -> None:
    notebook = new_notebook(
        cells=[
            new_markdown_cell("# Title"),
            new_code_cell("x: int = 1", metadata={"tags": ["parameters"]}),
            new_code_cell("print('a'); print('b', flush=True)\nprint('c')\nx * 2"),
            new_code_cell("import os\nprint(os.environ['ONLY_HERE'], os.getcwd())"),
        ]
    )
    plan = Plan(
        notebook=notebook,
        kernel=kernels.find(notebook),
        params={"x": 21},
        environment={"ONLY_HERE": "yes"},
        folder="/",
    )
    saved: list[int] = []
    outcome = running.run(plan, lambda n: saved.append(len(n.cells)))
    assert outcome.status == "finished"
    assert outcome.failed_cell is None
    assert outcome.states == ("finished",) * 5
    cells = outcome.notebook.cells
    assert [c.get("execution_count") for c in cells] == [None, 1, 2, 3, 4]
    assert cells[2].source == "# Parameters\nx = 21\n"
    assert [o.output_type for o in cells[3].outputs] == ["stream", "execute_result"]
    assert cells[3].outputs[0].text == "a\nb\nc\n"
    assert cells[3].outputs[1].data["text/plain"] == "42"
    assert cells[4].outputs[0].text == "yes /\n"
    assert "ONLY_HERE" not in os.environ
    assert outcome.notebook.metadata.kernelspec.name == "python3"
    assert outcome.notebook.metadata.language_info.name == "python"
    assert notebook.cells[1].execution_count is None  # the one given is left alone
    assert saved[0] == 5


def test_a_cell_raises() -> None:
    outcome = run("1", "raise ValueError('no')", "2")
    assert outcome.status == "failed"
    assert outcome.states == ("finished", "failed", "never ran")
    assert papermill_states(outcome) == ["completed", "failed", "pending"]
    assert outcome.failed_cell is not None
    assert outcome.failed_cell["number"] == 2
    assert outcome.failed_cell["error"] == "ValueError"
    assert outcome.failed_cell["message"] == "no"
    assert errors(outcome, 1) == ["ValueError"]
    assert outcome.notebook.cells[2].execution_count is None


def test_the_kernel_is_killed() -> None:
    """Papermill alone would call all three cells completed."""
    outcome = run(
        "1",
        # Words reach the front end by a thread of the kernel's, which dies with it.
        "print('last words', flush=True)\nimport os, time\ntime.sleep(1)\nos.kill(os.getpid(), 9)",
        "2",
    )
    assert outcome.status == "killed"
    assert "SIGKILL" in outcome.reason
    assert outcome.states == ("finished", "killed", "never ran")
    assert papermill_states(outcome) == ["completed", "failed", "pending"]
    assert outcome.notebook.cells[1].outputs[0].text == "last words\n"
    assert errors(outcome, 1) == ["KernelDied"]


def test_a_cell_ends_the_process() -> None:
    outcome = run("import os\nos._exit(3)")
    assert outcome.status == "killed"
    assert outcome.reason == "the kernel ended itself with exit code 3"


def test_cell_timeout_shows_where_it_stood() -> None:
    outcome = run("1", "import time\ntime.sleep(60)  # here", "2", cell_timeout=1)
    assert outcome.status == "timed out"
    assert outcome.reason == "the cell ran longer than 1 s"
    assert outcome.states == ("finished", "timed out", "never ran")
    assert errors(outcome, 1) == ["KeyboardInterrupt", "TimedOut"]
    assert "# here" in "".join(outcome.notebook.cells[1].outputs[0].traceback)


def test_timeout_of_the_whole() -> None:
    outcome = run("1", "import time\ntime.sleep(60)", timeout=3)
    assert outcome.status == "timed out"
    assert "whole notebook" in outcome.reason


def test_a_cell_that_can_not_be_interrupted() -> None:
    stubborn = """
    import time
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass
    """
    outcome = run(stubborn, cell_timeout=0.5)
    assert outcome.status == "timed out"
    assert errors(outcome, 0) == ["TimedOut"]


def test_stopped_by_another_thread() -> None:
    stopper = Stopper()
    # The cell tells that it runs by writing a file.
    flag = Path("running")

    def stop() -> None:
        while not flag.exists():
            time.sleep(0.05)
        stopper.stop("the user said so")

    threading.Thread(target=stop, daemon=True).start()
    outcome = run(
        f"open({str(flag.absolute())!r}, 'w')\nimport time\ntime.sleep(60)", "2", stopper=stopper
    )
    assert outcome.status == "interrupted"
    assert outcome.reason == "the user said so"
    assert outcome.states == ("interrupted", "never ran")
    assert errors(outcome, 0) == ["KeyboardInterrupt", "Interrupted"]


def test_stopped_before_the_first_cell() -> None:
    stopper = Stopper()
    stopper.stop("too late")
    outcome = run("1", stopper=stopper)
    assert outcome.status == "interrupted"
    assert outcome.states == ("never ran",)
    assert outcome.failed_cell is None


@pytest.mark.parametrize(("code", "status"), [("", "finished"), ("3", "failed")])
def test_a_notebook_that_ends_itself(code: str, status: str) -> None:
    outcome = run(f"import sys\nsys.exit({code})", "2")
    assert outcome.status == status
    assert outcome.states[1] == "never ran"
    assert bool(outcome.warnings) == (status == "finished")


def test_tags_that_allow_errors_and_skip() -> None:
    notebook = new_notebook(
        cells=[
            new_code_cell("1/0", metadata={"tags": ["raises-exception"]}),
            new_code_cell("raise SystemError", metadata={"tags": ["skip-execution"]}),
            new_code_cell("print('on')"),
        ]
    )
    outcome = running.run(Plan(notebook=notebook, kernel=kernels.find(notebook)), lambda _: None)
    assert outcome.status == "finished"
    assert outcome.notebook.cells[2].outputs[0].text == "on\n"


def test_nothing_of_an_earlier_run_is_left() -> None:
    first = run("print('a')")
    first.notebook.metadata["mlops"] = {"record": {}, "seal": {}}
    first.notebook.cells[0].source = "raise SystemExit(1)"
    first.notebook.cells.append(new_code_cell("2", metadata={"tags": ["injected-parameters"]}))
    again = running.run(
        Plan(notebook=first.notebook, kernel=kernels.find(first.notebook)), lambda _: None
    )
    assert "mlops" not in again.notebook.metadata
    assert len(again.notebook.cells) == 1
    assert again.status == "failed"


def test_a_notebook_that_can_not_be_saved_does_not_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    notebook = new_notebook(cells=[new_code_cell(f"open({str(ran)!r}, 'w')")])

    def full(_: Any) -> None:
        raise MlopsError("The disk is full.")

    with pytest.raises(MlopsError, match="disk is full"):
        running.run(Plan(notebook=notebook, kernel=kernels.find(notebook)), full)
    assert not ran.exists()


def test_trouble_on_the_way_does_not_end_the_run(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    def fail_later(_: Any) -> None:
        calls.append(1)
        if len(calls) > 1:
            raise MlopsError("The disk is full.")

    notebook = new_notebook(
        cells=[new_code_cell("import time\ntime.sleep(2.2)"), new_code_cell("1")]
    )
    outcome = running.run(Plan(notebook=notebook, kernel=kernels.find(notebook)), fail_later)
    assert outcome.status == "finished"
    assert "Not saved on the way" in caplog.text


def test_several_at_once_in_threads() -> None:
    """Each kernel has its own variables, and this process has none of them."""
    outcomes: dict[int, Outcome] = {}

    def one(number: int) -> None:
        outcomes[number] = run(
            "import os\nprint(os.environ['NUMBER'])", environment={"NUMBER": str(number)}
        )

    threads = [threading.Thread(target=one, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    texts = {n: o.notebook.cells[0].outputs[0].text for n, o in outcomes.items()}
    assert texts == {0: "0\n", 1: "1\n", 2: "2\n"}


def test_unknown_kernel() -> None:
    notebook = new_notebook(cells=[])
    with pytest.raises(UnknownName, match=r"no kernel 'pyton3'. Did you mean 'python3'"):
        kernels.find(notebook, "pyton3")
    notebook.metadata["kernelspec"] = {"name": "of-a-colleague", "display_name": "x"}
    with pytest.raises(UnknownName, match="--kernel python3 runs it"):
        kernels.find(notebook)
    assert kernels.find(notebook, "python3").ours


def test_a_kernel_that_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = tmp_path / "kernels" / "broken"
    spec.mkdir(parents=True)
    argv = ["/no/such/python", "-f", "{connection_file}"]
    content = {"argv": argv, "display_name": "x", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(content))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    outcome = run_with("broken")
    assert outcome.status == "failed"
    assert "the kernel 'broken' failed" in outcome.reason
    assert outcome.states == ("never ran",)


def run_with(kernel: str) -> Outcome:
    notebook = new_notebook(cells=[new_code_cell("1")])
    plan = Plan(notebook=notebook, kernel=kernels.find(notebook, kernel))
    return running.run(plan, lambda _: None)


def test_packages_of_another_python(tmp_path: Path) -> None:
    """The kernel's own Python is asked; one that can't be is not guessed at."""
    import sys

    link = tmp_path / "python-of-the-kernel"
    link.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    link.chmod(0o755)
    asked = kernels.packages(kernels.Kernel("other", "python", str(link)))
    assert asked["versions"]["nbformat"]
    gone = kernels.packages(kernels.Kernel("other", "python", "/no/such/python"))
    assert gone["versions"] == {}
    assert "could not be asked" in gone["of"]
