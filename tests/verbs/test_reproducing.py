"""`reproduce`: recorded cells again in a real kernel, and what is said of the result."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

import mlops_magics as mlops
from mlops_magics import store
from mlops_magics.errors import NotIntact, UnknownName, WrongUsage
from mlops_magics.notebooks.running import Outcome, Plan
from mlops_magics.records import Reproduction, Written
from mlops_magics.verbs import executing
from mlops_magics.verbs.auditing import verify

Cells = Callable[..., None]

IMPORTS = """import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.ensemble import RandomForestClassifier
columns = ["Seniority", "Time", "Age", "Amount", "Price"]"""
PREPARE = "%prepare credit.csv --name credit --target Status"
TRAIN = """%%train credit
C = 1.0
model = LogisticRegression(C=C, max_iter=500).fit(X_train[columns], y_train)"""


@pytest.fixture
def cells(project: Path, credit_csv: Path) -> Iterator[Cells]:
    """Runs cells in a notebook's shell of its own, beside the data."""
    from IPython.core.interactiveshell import InteractiveShell

    shutil.copy(credit_csv, project / "credit.csv")
    shell = InteractiveShell(colors="nocolor")

    def run(*sources: str) -> None:
        for source in sources:
            shell.run_cell(source, store_history=True).raise_error()

    run("%load_ext mlops_magics")
    yield run
    shell.run_line_magic("unload_ext", "mlops_magics")
    shell.history_manager.end_session()
    shell.history_manager.enabled = False


def again(ref: Any = "credit", **options: Any) -> Reproduction:
    record = mlops.reproduce(ref, **options)
    assert isinstance(record, Reproduction)
    return record


def runs() -> set[str]:
    return {str(run.info.run_id) for run in store.runs.find(limit=100)}


def test_reproduced_to_the_last_digit(cells: Cells, project: Path) -> None:
    cells(IMPORTS, PREPARE, "junk = 1/3", TRAIN)
    before = runs()
    record = again(tolerance=0.0)
    assert (record.outcome, record.exit_code) == ("reproduced", 0)
    assert record.differences == ()
    assert record.compared["data"] == "4,454 rows of credit"
    assert record.compared["metrics"] >= 5
    assert record.compared["predictions"] == "891 recorded test rows"
    assert "to the last digit" in record.reason

    # The user's store got the verdict and nothing else.
    assert runs() - before == {record.run_id}
    (version,) = store.versions.of("credit")
    assert version.tags["mlops.reproduction"] == "reproduced"
    assert version.tags["mlops.reproduction_run"] == record.run_id
    run = store.runs.get(record.run_id)
    assert run.data.tags["mlops.verb"] == "reproduce"
    assert run.data.tags["mlops.follows"] == version.run_id
    kept = store.runs.read_json(record.run_id, "reproduction.json")
    assert kept["outcome"] == "reproduced"
    assert verify(record.notebook).intact
    assert store.runs.fetch(record.run_id, f"notebook/{Path(record.notebook).name}").is_file()
    sources = [c.source for c in nbformat.read(record.notebook, 4).cells]
    assert not any("junk" in source for source in sources)
    assert "C: float = 1.0  # cell 5" in sources[1]


def test_an_unseeded_model_differs_and_it_is_said_how_much(cells: Cells) -> None:
    forest = "RandomForestClassifier(5, max_depth=8)"
    cells(IMPORTS, PREPARE, f"%%train credit\nm = {forest}.fit(X_train[columns], y_train)")
    record = again()
    assert (record.outcome, record.exit_code) == ("differs", 3)
    found = {d["what"]: d for d in record.differences}
    assert "data fingerprint" not in found
    auc = found["metric roc_auc"]
    assert auc["found"] - auc["recorded"] == pytest.approx(auc["difference"])
    assert found["probabilities"]["recorded"] == 891
    assert "of 891 rows" in found["probabilities"]["difference"]
    assert "random_state is not set, so every training draws other random" in record.reason
    assert store.versions.of("credit")[0].tags["mlops.reproduction"] == "differs"


def test_data_that_was_changed_since(cells: Cells, project: Path) -> None:
    cells(IMPORTS, PREPARE, TRAIN)
    file = project / "credit.csv"
    rows = file.read_text().splitlines()
    file.write_text("\n".join(rows[:-400]) + "\n")
    record = again()
    assert record.outcome == "differs"
    assert record.differences[0]["what"] == "data fingerprint"
    assert record.differences[0]["difference"] == "4,454 → 4,054 rows"
    assert record.compared["predictions"] == "891 recorded test rows"
    assert record.reason.startswith("Not the same: data fingerprint: 4,454 → 4,054 rows;")
    assert record.reason.endswith("Probable reason: other data.")


def test_it_can_not_run_without_its_file(cells: Cells, project: Path) -> None:
    cells(
        IMPORTS,
        "df = pd.read_csv('credit.csv')",
        "%%train credit\nm = LogisticRegression(max_iter=500).fit(df[columns], df['Status'])",
    )
    (project / "credit.csv").unlink()
    record = again()
    assert (record.outcome, record.exit_code) == ("can't run", 1)
    assert record.reason.startswith("Cell 3 needs a file that is not there (")
    assert "credit.csv" in record.reason
    assert store.versions.of("credit")[0].tags["mlops.reproduction"] == "can't run"
    assert store.runs.get(record.run_id).info.status == "FINISHED"
    assert Path(record.notebook).is_file()


SCRIPT = """import os
from pathlib import Path
import pandas as pd
from sklearn.linear_model import LogisticRegression
from helper import columns

C = 1.0
frame = pd.read_csv(Path(__file__).parent.parent / "credit.csv")
m = LogisticRegression(C=C, max_iter=500).fit(frame[columns], frame["Status"])
"""


@pytest.fixture
def script(project: Path, credit_csv: Path) -> str:
    """A training script in a folder of its own, beside a module of its own."""
    shutil.copy(credit_csv, project / "credit.csv")
    folder = project / "code"
    folder.mkdir()
    (folder / "train.py").write_text(SCRIPT)
    (folder / "helper.py").write_text('columns = ["Seniority", "Time", "Age"]\n')
    return "code/train.py"


def test_a_variation_of_a_script_on_the_dataset_of_the_session(
    script: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlops.prepare("credit.csv", name="credit", target="Status")
    trained = mlops.train("credit", script)
    (elsewhere := project / "elsewhere").mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("MLOPS_TRACKING_URI", f"sqlite:///{project / 'mlflow.db'}")
    record = again(trained, params={"C": "0.001"})
    assert record.outcome == "differs"
    assert record.params == {"C": 0.001}
    assert record.differences[0] == {
        "what": "parameter C", "recorded": 1.0, "found": 0.001, "difference": None,
    }  # fmt: skip
    assert "hyperparameter C" in [d["what"] for d in record.differences]
    assert record.compared["data"] == "4,454 rows of credit"
    assert "data fingerprint" not in [d["what"] for d in record.differences]
    assert "mlops.reproduction" not in store.versions.of("credit")[0].tags


@pytest.mark.slow
def test_a_template_that_execute_runs(cells: Cells, project: Path) -> None:
    cells(IMPORTS, PREPARE, TRAIN)
    before = runs()
    written = mlops.reproduce("credit/1", as_template="templates/mine")
    assert isinstance(written, Written)
    assert runs() == before
    notebook = nbformat.read(project / "templates" / "mine.ipynb", 4)
    nbformat.validate(notebook)
    assert "credit/1" in notebook.cells[0].source
    with pytest.raises(WrongUsage, match="is there already"):
        mlops.reproduce("credit/1", as_template="templates/mine.ipynb")
    done = executing.execute("templates/mine.ipynb", params={"C": "0.5"})
    assert done.status == "finished", done.failed_cell
    newest = store.versions.of("credit")[0]
    assert newest.number == 2
    assert float(store.runs.get(newest.run_id).data.params["C"]) == 0.5


def test_refused_before_anything_runs(
    cells: Cells, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells(IMPORTS, PREPARE, TRAIN)
    before = runs()

    def boom(*_: Any, **__: Any) -> None:
        raise AssertionError("a kernel was started")

    monkeypatch.setattr("mlops_magics.notebooks.booting.Boot.__enter__", boom)
    with pytest.raises(UnknownName, match=r"no model 'credits'. Did you mean 'credit'"):
        again("credits")
    with pytest.raises(UnknownName, match=r"no parameter in the cells of credit/1 'c'.*'C'"):
        again(params={"c": 1})
    with pytest.raises(WrongUsage, match="'C' is float, and 'x' is not"):
        again(params={"C": "x"})
    with pytest.raises(WrongUsage, match="tolerance is -1"):
        again(tolerance=-1)
    with pytest.raises(WrongUsage, match="timeout is 0"):
        again(timeout=0)
    (prepared,) = store.runs.find(verb="prepare")
    with pytest.raises(WrongUsage, match="is a run of `prepare`"):
        again(f"runs:/{prepared.info.run_id}")
    with pytest.raises(WrongUsage, match="with the recorded values"):
        mlops.reproduce("credit", as_template="t.ipynb", params={"C": 1})
    assert not (project / "t.ipynb").exists()
    model = store.versions.local_path(store.versions.of("credit")[0])
    (model / "MLmodel").write_text("flavors: {}")
    with pytest.raises(NotIntact):
        again()
    assert runs() == before


def test_without_recorded_cells(cells: Cells) -> None:
    cells(IMPORTS, PREPARE, TRAIN)
    version = store.versions.of("credit")[0]
    store.runs.fetch(version.run_id, "mlops/cells.json").unlink()
    record = again()
    assert record.outcome == "can't run"
    assert record.reason.startswith("No cells are recorded with credit/1")
    with pytest.raises(WrongUsage, match="No cells are recorded"):
        mlops.reproduce("credit", as_template="t.ipynb")


def test_an_interrupted_reproduction_is_recorded_as_such(
    cells: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells(IMPORTS, PREPARE, TRAIN)

    def stopped(plan: Plan, save: Any, *, meanwhile: Any) -> Outcome:
        meanwhile()
        save(plan.notebook)
        states = ("never ran",) * len(plan.notebook.cells)
        return Outcome(notebook=plan.notebook, status="interrupted", states=states)

    monkeypatch.setattr("mlops_magics.notebooks.running.run", stopped)
    with pytest.raises(KeyboardInterrupt):
        again()
    (run,) = store.runs.find(verb="reproduce")
    assert run.data.tags["mlops.status"] == "interrupted"
    assert "mlops.reproduction" not in store.versions.of("credit")[0].tags


@pytest.mark.slow
@pytest.mark.timeout(900)  # what is not in the installer's cache is downloaded
def test_in_an_environment_made_from_the_lock(script: str, project: Path) -> None:
    """Only what was imported, and its needs, in the recorded versions."""
    for words in (
        ("prepare", "credit.csv", "--name", "credit", "--target", "Status"),
        ("train", "credit", script, "--data", "credit"),  # with nothing imported but its own
    ):
        subprocess.run([sys.executable, "-m", "mlops_magics.doors.cli", *words], check=True)
    record = again("credit", env=True)
    assert record.outcome == "reproduced", record.reason
    assert record.environment == "lock"
    # Only this package itself, which is installed where it lies here, is another there.
    assert {d["what"] for d in record.compared.get("environment", ())} <= {"library mlops-magics"}
    facts = json.loads(Path(record.notebook).read_text())["metadata"]["mlops"]["record"]
    installed = facts["packages"]["versions"]
    assert "scikit-learn" in installed
    assert "jupyterlab" not in installed
    assert os.fspath(project) not in str(facts["kernel"])
