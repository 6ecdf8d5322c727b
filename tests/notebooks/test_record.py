"""What is written into an executed notebook: whole, masked, and the same when it is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from mlops_magics.evidence import keys, manifests, seal, secrets
from mlops_magics.notebooks import files, kernels, record, running, settling


@pytest.fixture
def plan() -> running.Plan:
    notebook = new_notebook(
        cells=[
            new_code_cell("depth: int = 3\nbroker_token: str = 'default-token'", id="p"),
            new_code_cell("1", id="one"),
        ]
    )
    notebook.cells[0].metadata["tags"] = ["parameters"]
    params = {"broker_token": "given-token-1"}
    return running.Plan(notebook=notebook, kernel=kernels.find(notebook), params=params)


def outcome(plan: running.Plan, *outputs: Any) -> running.Outcome:
    notebook = running._prepared(plan)
    for cell in notebook.cells:
        cell.metadata.papermill = {"duration": 0.5}
    notebook.cells[-1].outputs = list(outputs)
    settled = settling.settle(notebook, len(notebook.cells) - 1, settling.Ending())
    return running.Outcome(notebook=notebook, started="a", ended="b", duration=1.0, **settled)


def write(plan: running.Plan, done: running.Outcome, folder: Path) -> dict[str, Any]:
    source = folder / "source.ipynb"
    source.write_text(files.text_of(plan.notebook))
    around = record.surroundings(source, plan.kernel)
    body = record.build(plan, done, around, event="e", verb="execute", arguments={"a": 1})
    masker = record.masker_for(plan)
    plain = record.masked(done.notebook, masker)
    sealed, digest = record.sealed(plain, body, masker, keys.signer(folder / "keys"), "x.ipynb")
    file = folder / "x.ipynb"
    files.write(file, files.dumps(sealed))
    read = manifests.parse(file.read_bytes())
    finding = seal.verify(read, keys.trusted(folder / "keys"))
    assert finding.intact, finding.problems
    assert finding.digest == digest
    return read


def test_what_is_sealed_is_what_is_read(plan: running.Plan, tmp_path: Path) -> None:
    data = {"text/html": "a\nb\n", "application/json": {"x": [1.0, 2.5]}}
    written = write(plan, outcome(plan, new_output("display_data", data=data)), tmp_path)
    body = written["metadata"]["mlops"]["record"]
    assert body["parameters"] == {"depth": 3, "broker_token": secrets.MASK}
    assert body["cells"][0]["id"] == "p"
    digests = list(manifests.cells(written))
    assert [c["outputs"] for c in body["cells"]] == [d["outputs"] for d in digests]
    assert written["cells"][0]["source"][0].endswith("\n")  # laid out as every notebook is


def test_default_and_given_secrets_are_masked(plan: running.Plan, tmp_path: Path) -> None:
    said = new_output("stream", text="given-token-1 and default-token\n")
    written = json.dumps(write(plan, outcome(plan, said), tmp_path), ensure_ascii=False)
    assert "given-token-1" not in written
    assert "default-token" not in written
    assert f"{secrets.MASK} and {secrets.MASK}" in written


def test_the_running_notebook_holds_no_given_secret_and_is_left_alone(plan: running.Plan) -> None:
    """The kernel asks for it by name; what is saved shows a mask in code that can be read."""
    done = outcome(plan)
    before = files.text_of(done.notebook)
    saved = record.masked(done.notebook, record.masker_for(plan))
    assert files.text_of(done.notebook) == before
    assert "given-token-1" not in before
    assert saved["cells"][1]["source"] == '# Parameters\nbroker_token = "•••"\n'


def test_not_a_number_in_an_output(plan: running.Plan, tmp_path: Path) -> None:
    """JSON has none, and a file that holds one could not be verified."""
    data = {"application/json": {"x": [float("nan"), float("inf"), 1.5]}}
    written = write(plan, outcome(plan, new_output("display_data", data=data)), tmp_path)
    assert written["cells"][-1]["outputs"][0]["data"]["application/json"] == {
        "x": [None, None, 1.5]
    }


def test_half_a_surrogate_pair_in_an_output(plan: running.Plan, tmp_path: Path) -> None:
    written = write(plan, outcome(plan, new_output("stream", text="\ud83d")), tmp_path)
    assert written["cells"][-1]["outputs"][0]["text"] == ["\ud83d"]


def test_git_is_the_project_s(plan: running.Plan, project: Path) -> None:
    import subprocess

    (project / "sub").mkdir()
    source = project / "sub" / "source.ipynb"
    source.write_text(files.text_of(plan.notebook))
    assert record.surroundings(source, plan.kernel).git == {}
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    assert record.surroundings(source, plan.kernel).git["root"] == str(project)


def test_a_shipped_notebook_s_repository_is_not_the_user_s(plan: running.Plan) -> None:
    source = files.templates()["train"]
    assert record.surroundings(source, plan.kernel).git == {}
