"""`changes`: what differs between two trainings, cell by cell and column by column."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

import mlops_magics as mlops
from mlops_magics import store
from mlops_magics.doors import completion, views
from mlops_magics.errors import UnknownName, WrongUsage
from mlops_magics.verbs import data_changes

PREPARE = "%prepare frame --name credit-data --target Status"
TRAIN = """%%train credit --metric roc_auc
C = {C}
model = fresh(C=C).fit(X_train, y_train)"""


@pytest.fixture
def cell(ip: Any, credit: pd.DataFrame) -> Callable[[str], None]:
    """Runs a cell of a notebook that has the credit data."""

    def run(source: str) -> None:
        ip.run_cell(source, store_history=True).raise_error()

    numbers = ["Seniority", "Time", "Age", "Amount", "Price", "Status"]
    ip.user_ns["raw"] = credit[numbers]
    return run


def champion(version: str) -> None:
    store.versions.set_alias("credit", "champion", int(version.partition("/")[2]))


def test_one_parameter_in_one_cell(cell: Callable[[str], None]) -> None:
    cell("frame = raw.copy()")
    cell(PREPARE)
    cell(TRAIN.format(C=0.001))
    cell(TRAIN.format(C=1.0))
    champion("credit/1")
    record = mlops.changes("credit@candidate")
    assert (record.a, record.b) == ("credit/2", "credit/1")
    assert record.data["same"] is True
    assert record.data["split"] == {}
    assert record.params == {"logisticregression__C": [0.001, 1.0]}
    (code,) = record.code
    assert code["change"] == "changed"
    assert "-C = 0.001\n+C = 1.0" in code["diff"]
    assert record.unchanged_cells == 2
    assert (record.libraries, record.environment, record.git) == ({}, {}, {})
    better = record.metrics["roc_auc"]
    assert better["difference"] == better["after"] - better["before"]
    assert better["better"] is (better["difference"] > 0)
    assert next(iter(record.metrics)) == "roc_auc"
    text = views.text(record)
    assert "1 parameter and 1 cell differ; roc_auc 0." in text
    assert "-C = 0.001" in text


def test_other_data(cell: Callable[[str], None]) -> None:
    cell("frame = raw.copy()")
    cell(PREPARE)
    cell(TRAIN.format(C=1.0))
    cell(
        "frame = raw.iloc[:4000].drop(columns='Time').assign(New=1.5)\n"
        "frame['Amount'] = frame.Amount * 3.0\n"
        f"{PREPARE} --seed 3"
    )
    cell(TRAIN.format(C=1.0))
    record = mlops.changes("credit/2", "credit/1")
    data = record.data
    assert data["same"] is False
    assert (data["before"]["rows"], data["after"]["rows"]) == (4454, 4000)
    assert data["columns"]["added"] == {"New": "number"}
    assert data["columns"]["removed"] == {"Time": "integer"}
    assert data["columns"]["retyped"] == [
        {"name": "Amount", "before": "integer", "after": "number"}
    ]
    assert data["split"]["seed"] == [0, 3]
    drifted = {f["name"] for f in data["distributions"] if f["drifted"]}
    assert drifted == {"Amount"}
    assert data["compared"] == "the training rows"
    assert "measured on different rows" in record.warnings[0]
    assert not any("in training" in f["reason"] for f in data["distributions"])
    html = views.html(record)
    assert "retyped" in html
    assert "<svg" in html


def test_rows_that_are_not_kept_are_compared_by_their_profiles(
    credit: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_SNAPSHOT_MB", "0")
    first = mlops.prepare(credit, name="a", target="Status")
    second = mlops.prepare(credit.assign(Age=credit.Age + 9), name="b", target="Status")
    found = data_changes.compare(first, second)
    assert "the recorded profiles (The rows of dataset 'b'" in found["compared"]
    moved = {f["name"]: f["reason"] for f in found["distributions"]}
    assert "mean 37.0" in moved["Age"]
    assert moved["Amount"] == "The profiles are alike."


def test_runs_without_a_record_of_ours() -> None:
    client = store.runs.connect()
    identifier = store.runs.experiment_id("plain")
    ids = []
    for depth, loss in ((3, 0.5), (5, 0.6)):
        run = client.create_run(identifier)
        ids.append(run.info.run_id)
        client.log_param(ids[-1], "depth", depth)
        client.log_metric(ids[-1], "log_loss", loss)
        client.log_metric(ids[-1], "hits", depth)
        client.set_terminated(ids[-1])
    record = mlops.changes(f"runs:/{ids[1]}", f"runs:/{ids[0]}")
    assert record.params == {"depth": [3, 5]}
    assert record.metrics["log_loss"]["better"] is False
    assert record.metrics["hits"]["better"] is None  # which way is better is not known
    assert record.data["same"] is None
    assert len(record.warnings) == 2
    assert "1 parameter differs; log_loss 0.5 → 0.6 (worse)." in views.text(record)


def test_libraries_python_and_commit(names: dict[str, Any]) -> None:
    for _ in range(2):
        with mlops.train("credit", data=(names["X_test"], names["y_test"])) as run:
            model = names["fresh"]().fit(names["X_train"], names["y_train"])  # noqa: F841
    assert run.record is not None
    old = store.runs.read_json(run.record.run_id, "mlops/record.json")
    old["packages"]["scikit-learn"] = "1.0.0"
    old["packages"] |= {"aardvark": "2.0"}
    old["environment"]["python"] = "3.9.0"
    old["git"] = {"commit": "b" * 40, "dirty": True}
    store.runs.connect().log_dict(run.record.run_id, old, "mlops/record.json")
    record = mlops.changes("credit/2", "credit/1")
    assert list(record.libraries) == ["scikit-learn", "aardvark"]  # what was imported first
    assert record.libraries["scikit-learn"][1] == "1.0.0"
    assert record.libraries["aardvark"] == [None, "2.0"]
    assert record.imported == ("scikit-learn",)
    assert record.environment["python"][1] == "3.9.0"
    assert record.git["commit"][1] == "b" * 40
    assert "2 libraries and Python differ" in views.text(record)


def test_what_cannot_be_compared_is_one_sentence(names: dict[str, Any]) -> None:
    with mlops.train("credit", data=(names["X_test"], names["y_test"])) as run:
        model = names["fresh"]().fit(names["X_train"], names["y_train"])
    assert run.record is not None
    with pytest.raises(WrongUsage, match="credit has no champion to compare credit/1 with"):
        mlops.changes("credit")
    champion("credit/1")
    with pytest.raises(WrongUsage, match="are of one run, so nothing differs"):
        mlops.changes(run.record)
    with pytest.raises(UnknownName, match="no version 'credit/7'"):
        mlops.changes("credit/7")
    with pytest.raises(WrongUsage, match="A Pipeline has no record to compare"):
        mlops.changes(model)
    assert completion.candidates("%changes credit@", {}) == ["credit@candidate", "credit@champion"]
    bare = store.runs.connect().create_run(store.runs.experiment_id("bare"))
    with pytest.raises(WrongUsage, match="left no model, so there is no champion"):
        mlops.changes(f"runs:/{bare.info.run_id}")
