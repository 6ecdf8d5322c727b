"""A recorded training as it is needed to run it again, and why one could not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlops_magics.notebooks import slices
from mlops_magics.notebooks.running import Outcome
from mlops_magics.verbs import reproduced
from mlops_magics.verbs.originals import Original
from mlops_magics.verbs.rerunning import Again, Task


def original(**changed: Any) -> Original:
    whole: dict[str, Any] = {
        "ref": "credit/1",
        "run_id": "r",
        "name": "credit",
        "version": None,
        "metrics": {},
        "params": {},
        "record": {},
    }
    return Original(**{**whole, **changed})


def test_the_cells_of_a_notebook() -> None:
    cells = [{"number": 3, "source": "a = 1"}, {"number": 4, "source": "%%train credit\nf(a)"}]
    found, before = original(slice={"cells": cells}).cells()
    assert [c["source"] for c in found] == ["a = 1", "%%train credit\nf(a)"]
    assert before == ""


def test_a_script_of_the_command_line_is_opened_as_there(tmp_path: Path) -> None:
    (found,), before = original(
        slice={"cells": [{"number": 1, "source": "fit()"}], "script": "code/train.py"},
        record={
            "folder": str(tmp_path),
            "cell": {"script": "code/train.py"},
            "arguments": {"data": "my data", "metric": "roc_auc", "model": "", "tag": []},
        },
    ).cells()
    assert found["source"] == "%%train credit --data 'my data' --metric roc_auc\nfit()"
    assert f"__file__ = {str(tmp_path / 'code/train.py')!r}" in before
    assert f"sys.path.insert(0, {str(tmp_path / 'code')!r})" in before


def test_the_best_trial_of_a_search_stands_for_its_cell() -> None:
    (found,), _ = original(
        slice={"cells": [{"number": 1, "source": "%%tune credit\nf(trial)"}]},
        record={"cell": {"written": "%%train credit\nf(best)"}},
    ).cells()
    assert found["source"] == "%%train credit\nf(best)"


def test_a_secret_in_the_cells() -> None:
    cells = [{"number": 1, "source": "api_key = '•••'"}]
    assert original(slice={"cells": cells}).masked
    assert not original(slice={"cells": [{"number": 1, "source": "key = 1"}]}).masked


def test_a_folder_that_is_gone(project: Path) -> None:
    assert original(record={"folder": "/no/such/folder"}).folder == project
    assert original(record={}).folder == project


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
    notebook = slices.notebook([{"number": 7, "source": "f()"}], head="#")
    failed = {"index": index, "error": error, "message": message} if index is not None else None
    outcome = Outcome(
        notebook=notebook, status="failed", reason="the time was over", failed_cell=failed
    )
    stale = {"stamp": "stale", "reasons": ["It read df as cell 3 left it."], "outside": ["df"]}
    task = Task(
        original=original(slice=stale),
        notebook=notebook,
        params={},
        tolerance=0.0,
        target=Path("x.ipynb"),
        timeout=None,
        arguments={},
    )
    again = Again(outcome=outcome, run_id="", digest="")
    with pytest.raises(reproduced.CantRunError) as caught:
        reproduced.compare(task, again, None, None)  # type: ignore[arg-type]
    stale_too = "" if index is None else " It read df as cell 3 left it."
    assert str(caught.value) == f"{said}{stale_too}"
