"""A recorded training as it is needed to run it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlops_magics.verbs.originals import Original


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
