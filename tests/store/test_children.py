"""Child runs in bulk look as if MLflow's own client had logged them one by one."""

from __future__ import annotations

import json
import math
import sqlite3
from typing import Any

import pytest

from mlops_magics import store
from mlops_magics.errors import StoreUnreachable
from mlops_magics.store.children import Child

NAN, INFINITE = math.nan, math.inf


def child(key: str, **options: Any) -> Child:
    metrics = [
        ("loss", 0.5, 0, 1_000),
        ("loss", 0.25, 1, 1_500),
        ("loss", 0.25, 1, 1_500),
        ("nan", NAN, 0, 1_500),
        ("infinite", -INFINITE, 0, 1_500),
    ]
    filled: dict[str, Any] = {
        "key": key,
        "name": f"trial {key}",
        "status": "finished",
        "started": 1_000,
        "ended": 2_000,
        "params": {"C": 0.1, "kind": "a", "none": None, "odd (name)": 1, "long": "x" * 9_000},
        "metrics": metrics,
        "tags": {"state": "complete"},
    }
    return Child(**{**filled, **options})


@pytest.fixture
def parent() -> str:
    return store.runs.start("credit", name="tune", verb="tune", tags={})


def told(run_id: str) -> dict[str, Any]:
    """All that a plain client says of a run, but for what is its own."""
    client = store.runs.connect()
    run = client.get_run(run_id).to_dictionary()
    for own in ("run_id", "artifact_uri"):
        assert run_id in run["info"].pop(own)
    run["data"]["tags"].pop("mlops.group")
    run["history"] = {
        name: [(m.value, m.step, m.timestamp) for m in client.get_metric_history(run_id, name)]
        for name in run["data"]["metrics"]
    }
    return run


def test_in_one_transaction_as_one_by_one(parent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    children = [child("0"), child("1", status="failed"), child("2", status="interrupted")]
    at_once = store.children.write(parent, "a", children)

    def no_such_table(*_: object) -> dict[str, str]:
        raise sqlite3.OperationalError("no such column")

    monkeypatch.setattr(store.children, "_insert", no_such_table)
    by_client = store.children.write(parent, "b", children)
    for key in ("0", "1", "2"):
        same = [json.dumps(told(ids[key]), sort_keys=True) for ids in (at_once, by_client)]
        assert same[0] == same[1]
    first = told(at_once["0"])
    assert first["info"]["status"] == "FINISHED"
    assert first["data"]["params"]["odd _name_"] == "1"
    assert first["history"]["loss"] == [(0.5, 0, 1_000), (0.25, 1, 1_500)]
    assert first["data"]["metrics"]["loss"] == 0.25
    assert told(at_once["1"])["info"]["status"] == "FAILED"


@pytest.mark.parametrize("by_client", [False, True])
def test_none_is_written_twice(
    parent: str, by_client: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if by_client:
        monkeypatch.setattr(type(store.runs.settings.load()), "database", None)
    first = store.children.write(parent, "a", [child("0"), child("1")])
    again = store.children.write(parent, "a", [child("1"), child("2")])
    assert again["1"] == first["1"]
    assert store.children.of("credit", "a") == {**first, **again}
    assert len(store.runs.find(tags={"mlflow.parentRunId": parent})) == 3
    other = store.children.write(parent, "b", [child("0")])
    assert other["0"] != first["0"]


def test_the_client_finds_and_sorts_them(parent: str) -> None:
    children = [child(str(n), metrics=[("auc", n / 10, 0, 1_000)]) for n in range(5)]
    ids = store.children.write(parent, "a", children)
    client = store.runs.connect()
    found = client.search_runs(
        [client.get_run(parent).info.experiment_id],
        f"tags.mlflow.parentRunId = '{parent}' and metrics.auc > 0.15",
        order_by=["metrics.auc DESC"],
    )
    assert [r.info.run_id for r in found] == [ids["4"], ids["3"], ids["2"]]
    client.log_metric(ids["4"], "later", 1.0)
    assert client.get_run(ids["4"]).data.metrics == {"auc": 0.4, "later": 1.0}


def test_a_batch_that_can_not_be_written_leaves_nothing(
    parent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = store.children._metrics

    def failing(one: Child) -> Any:
        if one.key == "1":
            raise sqlite3.IntegrityError("the disk is full")
        return real(one)

    monkeypatch.setattr(store.children, "_metrics", failing)
    with pytest.raises(StoreUnreachable, match="the disk is full"):
        store.children.write(parent, "a", [child("0"), child("1")])
    assert store.children.of("credit", "a") == {}


def test_a_writing_by_calls_that_was_cut_off_is_completed(
    parent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(store.runs.settings.load()), "database", None)
    client = store.runs.connect()
    with monkeypatch.context() as cut:
        cut.setattr(type(client), "log_batch", lambda *_, **__: 1 / 0)
        with pytest.raises(StoreUnreachable):
            store.children.write(parent, "a", [child("0")])
    assert store.children.of("credit", "a") == {}
    ids = store.children.write(parent, "a", [child("0")])
    assert store.children.of("credit", "a") == ids
    assert told(ids["0"])["info"]["status"] == "FINISHED"
    assert len(store.runs.find(tags={"mlflow.parentRunId": parent})) == 1


def test_nothing_to_write(parent: str) -> None:
    assert store.children.write(parent, "a", []) == {}
    assert store.children.of("nowhere", "a") == {}
