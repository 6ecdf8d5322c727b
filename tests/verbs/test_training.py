"""`train` from Python and as a script."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

import mlops_magics as mlops
from mlops_magics import store
from mlops_magics.errors import StoreUnreachable, UnknownName, WrongUsage


def fit(names: dict[str, Any]) -> Any:
    return names["fresh"]().fit(names["X_train"], names["y_train"])


def test_with_block(names: dict[str, Any]) -> None:
    X_test, y_test = names["X_test"], names["y_test"]
    with mlops.train("credit", message="by hand", tag=["team=risk"]) as run:
        model = fit(names)
    record = run.record
    assert record is not None
    assert record.status == "finished"
    assert record.model == "credit/1"
    assert record.metrics["accuracy"] == pytest.approx(model.score(X_test, y_test))
    stored = store.runs.get(record.run_id)
    assert stored.data.tags["team"] == "risk"
    assert stored.data.tags["mlflow.note.content"] == "by hand"


def test_the_exception_leaves_the_block_as_it_was_raised() -> None:
    with pytest.raises(KeyError, match="mine"), mlops.train("credit") as run:
        raise KeyError("mine")
    assert run.record is not None
    assert run.record.status == "failed"
    error = store.runs.read_json(run.record.run_id, "mlops/record.json")["error"]
    assert error["name"] == "KeyError"


def test_data_given_as_a_pair(names: dict[str, Any]) -> None:
    with mlops.train("credit", data=(names["X_test"], names["y_test"])) as run:
        model = fit(names)
    assert run.record is not None
    assert run.record.metrics
    assert run.record.trust["unseen rows"] == "given"
    assert model is not None


def test_without_unseen_rows_it_says_so(names: dict[str, Any]) -> None:
    with mlops.train("credit") as run:
        model = fit(names)  # noqa: F841
    assert run.record is not None
    assert run.record.metrics == {}
    assert "No unseen rows" in run.record.warnings[0]
    assert run.record.model == "credit/1"


SCRIPT = """
    import pandas as pd
    from sklearn.linear_model import LogisticRegression
    table = pd.read_csv({path!r}).dropna()
    X, y = table[["Age", "Amount", "Time"]], table["Status"]
    X_train, X_test, y_train, y_test = X[:3000], X[3000:], y[:3000], y[3000:]
    model = LogisticRegression(max_iter=300).fit(X_train, y_train)
"""


def test_script(project: Path, credit_csv: Path) -> None:
    script = project / "train_credit.py"
    script.write_text(textwrap.dedent(SCRIPT.format(path=str(credit_csv))))
    record = mlops.train("credit", script)
    assert record.model == "credit/1"
    assert record.metrics["roc_auc"] > 0.5
    source = store.runs.fetch(record.run_id, "mlops/source.py").read_text()
    assert source == script.read_text()


def test_script_that_is_missing(project: Path) -> None:
    (project / "train_credit.py").touch()
    with pytest.raises(UnknownName, match=r"Did you mean 'train_credit.py'"):
        mlops.train("credit", "train_credti.py")


def test_a_store_that_is_unreachable_refuses_before_any_code_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    ran = []
    with (
        pytest.raises(StoreUnreachable, match=r"127\.0\.0\.1:9 does not answer"),
        mlops.train("credit"),
    ):
        ran.append(1)
    assert ran == []


def test_a_class_defined_in_the_notebook_is_saved(names: dict[str, Any]) -> None:
    from sklearn.preprocessing import FunctionTransformer

    model = names["fresh"]()
    model.steps.insert(0, ("double", FunctionTransformer(lambda X: X * 2)))
    with mlops.train("credit", data=(names["X_test"], names["y_test"])) as run:
        model.fit(names["X_train"], names["y_train"])
    assert run.record is not None
    assert run.record.model == "credit/1"


def test_a_model_that_cannot_be_pickled_keeps_its_run(names: dict[str, Any]) -> None:
    import threading

    model = fit(names)
    model.lock = threading.Lock()
    with mlops.train("credit", data=(names["X_test"], names["y_test"]), model="model") as run:
        pass
    assert run.record is not None
    assert run.record.status == "finished"
    assert run.record.metrics
    assert run.record.model is None
    assert "could not be saved" in run.record.warnings[-1]


def test_tags_need_a_value() -> None:
    with pytest.raises(WrongUsage, match="KEY=VALUE"), mlops.train("credit", tag=["team"]):
        pass


def test_the_run_is_mlflows_active_one_while_the_block_runs() -> None:
    import mlflow

    mlflow.set_experiment("mine")
    with mlflow.start_run() as outer:
        with mlops.train("credit") as run:
            active = mlflow.active_run()
            assert active is not None
            assert active.info.run_id == run.run_id
            mlflow.log_metric("theirs", 1.0)
            with mlflow.start_run(nested=True) as inner:
                pass
            mlflow.start_run(nested=True)  # left open
        left = mlflow.active_run()
        assert left is not None
        assert left.info.run_id == outer.info.run_id
    assert mlflow.active_run() is None
    stored = store.runs.get(run.run_id)
    assert stored.data.metrics["theirs"] == 1.0
    parent = store.runs.get(inner.info.run_id).data.tags["mlflow.parentRunId"]
    assert parent == run.run_id
