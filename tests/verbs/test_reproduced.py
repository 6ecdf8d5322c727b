"""Why a training could not be run again, and what is said of one that could."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlops_magics.notebooks import slices
from mlops_magics.notebooks.running import Outcome
from mlops_magics.verbs import reproduced
from mlops_magics.verbs.originals import Original
from mlops_magics.verbs.rerunning import Again, Task


class Store:
    """Stands for the store aside: the rerun's metrics, and nothing else."""

    def __init__(self, metrics: dict[str, float]) -> None:
        self.info = self.data = self
        self.metrics, self.params, self.tags = metrics, {"f__random_state": "null"}, {}

    def run(self, run_id: str) -> Store:
        return self

    def json(self, run_id: str, path: str) -> Any:
        return {"packages": {"a": "1"}, "lock": {"imported": ["a"]}}


def task(source: str = "f()", **changed: Any) -> Task:
    cells = [{"number": 7, "source": source}]
    whole: dict[str, Any] = {
        "ref": "runs:/r",
        "run_id": "r",
        "name": "credit",
        "version": None,
        "metrics": {"auc": 0.5, "fit_time": 1.0},
        "params": {"f__random_state": "null"},
        "record": {"packages": {"a": "1"}, "lock": {"imported": ["a"]}},
        "slice": {"stamp": "stale", "reasons": ["It is stale."], "outside": ["df"]},
    }
    params = changed.pop("given", {})
    return Task(
        original=Original(**{**whole, **changed}),
        notebook=slices.notebook(cells, head="#"),
        params=params,
        tolerance=0.0,
        target=Path("x.ipynb"),
        timeout=None,
        arguments={},
    )


def again(status: str = "finished", **failed: Any) -> Again:
    outcome = Outcome(
        notebook=task().notebook,
        status=status,
        reason="the time was over",
        failed_cell=failed or None,
    )
    return Again(outcome=outcome, run_id="again", digest="")


def compare(task: Task, found: dict[str, float]) -> Any:
    return reproduced.compare(task, again(), Store(found), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("index", "error", "message", "said"),
    [
        (
            2,
            "FileNotFoundError",
            "[Errno 2] No such file or directory: 'x.csv'",
            "Cell 7 needs a file that is not there ([Errno 2] No such file or directory: 'x.csv').",
        ),
        (
            2,
            "ModuleNotFoundError",
            "No module named 'xyz'",
            "Cell 7 needs a package that is not installed here (No module named 'xyz'); "
            "--env installs it.",
        ),
        (
            2,
            "NameError",
            "name 'df' is not defined",
            "Cell 7 raised NameError: name 'df' is not defined. 'df' came from outside the "
            "notebook.",
        ),
        (2, "ValueError", "no\nmore", "Cell 7 raised ValueError: no."),
        (
            1,
            "ValueError",
            "no",
            "The cell that was put before them raised ValueError: no.",
        ),
        (2, "", "", "Cell 7 was stopped: the time was over."),
        (None, "", "", "The run ended early: the time was over."),
    ],
)
def test_why_it_could_not_run(index: int | None, error: str, message: str, said: str) -> None:
    failed = {"index": index, "error": error, "message": message} if index is not None else {}
    with pytest.raises(reproduced.CantRunError) as caught:
        reproduced.compare(task(), again("failed", **failed), None, None)  # type: ignore[arg-type]
    assert str(caught.value) == (said if index is None else f"{said} It is stale.")


def test_times_are_not_compared() -> None:
    record = compare(task(), {"auc": 0.5, "fit_time": 9.0})
    assert record.outcome == "reproduced"
    assert record.compared["metrics"] == 1
    assert "Times differ in any two runs and were not compared: fit_time." in record.warnings


def test_nothing_to_compare_is_no_success() -> None:
    with pytest.raises(reproduced.CantRunError, match="neither a metric nor a prediction"):
        compare(task(metrics={"fit_time": 1.0}), {"fit_time": 9.0})


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({}, "f__random_state is not set, so every training draws other random numbers"),
        (
            {"record": {"packages": {"a": "2"}, "lock": {"imported": ["a"]}}},
            "library a changed since",
        ),
        ({"params": {}}, "the same code on the same data does not always give the same"),
    ],
)
def test_the_probable_reason(changed: dict[str, Any], cause: str) -> None:
    record = compare(task(**changed), {"auc": 0.25})
    assert record.outcome == "differs"
    assert record.reason.startswith("Not the same: ")
    assert "metric auc 0.5 → 0.25" in record.reason
    assert record.reason.endswith(f"Probable reason: {cause}. It is stale.")


def test_a_variation_shows_no_secret() -> None:
    varied = task("api_key = 'abc'\nC = 1.0\nf(api_key, C)", given={"api_key": "def", "C": 2.0})
    record = compare(varied, {"auc": 0.25})
    assert record.reason.startswith("A variation: parameter api_key ••• → •••; parameter C 1 → 2;")
    assert "Probable reason" not in record.reason
    assert "def" not in record.to_json().replace("undefined", "")
