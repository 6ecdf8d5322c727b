"""The best runs: MLflow's order, read from the file or asked for, a page at a time."""

from __future__ import annotations

import dataclasses
import math
import sqlite3
from typing import Any

import pytest

from mlops_magics import settings, store
from mlops_magics.errors import StoreUnreachable
from mlops_magics.store import embedded, leaderboard, runs
from mlops_magics.store.leaderboard import Scope

VALUES = [0.7, 0.9, math.nan, 0.8, None, 0.9, math.inf, -math.inf, 0.1]


@pytest.fixture
def filled() -> list[str]:
    """Runs of an experiment, a failed one, trials, other steps, and a version from elsewhere."""
    client = runs.connect()
    identifier = runs.experiment_id("credit")
    made = []
    for i, value in enumerate(VALUES):
        run = client.create_run(identifier, start_time=1000 + i, tags={"n": str(i)})
        made.append(run.info.run_id)
        client.log_param(made[-1], "C", i)
        if value is not None:
            client.log_metric(made[-1], "auc", value)
        client.log_metric(made[-1], "loss", i)
        client.set_terminated(made[-1], "FINISHED")
    for verb, status in [
        ("train", "FAILED"),
        ("train", "KILLED"),
        ("trial", "FINISHED"),
        ("trial", "FAILED"),
        ("prepare", "FINISHED"),
        ("tune", "FINISHED"),
    ]:
        run = client.create_run(identifier, start_time=5000, tags={"mlops.verb": verb})
        client.log_metric(run.info.run_id, "auc", 0.99)
        client.log_metric(run.info.run_id, f"of_{verb}", 1)
        client.set_terminated(run.info.run_id, status)
    deleted = client.create_run(identifier)
    client.delete_run(deleted.info.run_id)
    other = client.create_run(runs.experiment_id("elsewhere"), tags={"mlops.verb": "trial"})
    client.log_metric(other.info.run_id, "auc", 0.85)
    client.create_registered_model("credit")
    client.create_model_version("credit", source="file:///tmp/m", run_id=other.info.run_id)
    client.create_model_version("credit", source="file:///tmp/m", run_id=made[0])
    client.set_registered_model_alias("credit", "champion", "2")
    return [*made, other.info.run_id]


@pytest.fixture(params=["file", "MLflow"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to the same store."""
    if request.param == "MLflow":

        def other_layout(*_: Any) -> Any:
            raise sqlite3.OperationalError("no such table: latest_metrics")

        monkeypatch.setattr(embedded, "page", other_layout)
        monkeypatch.setattr(embedded, "metrics", other_layout)
    return str(request.param)


CREDIT = Scope(names=("credit",))


def ids(page: leaderboard.Page) -> list[str]:
    return [entry.run_id for entry in page.entries]


def test_values_then_nan_then_none(filled: list[str], way: str) -> None:
    best = leaderboard.page(CREDIT, "auc", True, 20)
    values = [e.metrics.get("auc") for e in best.entries]
    assert values[:6] == [math.inf, 0.9, 0.9, 0.85, 0.8, 0.7]
    assert values[6:8] == [0.1, -math.inf]
    assert values[8] is not None
    assert math.isnan(values[8])
    assert values[9] is None
    assert ids(best)[1:3] == [filled[5], filled[1]]  # equal: the newest first
    least = leaderboard.page(CREDIT, "auc", False, 20)
    assert [e.metrics.get("auc") for e in least.entries][:2] == [-math.inf, 0.1]
    assert ids(least)[-2:] == ids(best)[-2:]


def test_it_is_mlflows_own_order(filled: list[str]) -> None:
    client = runs.connect()
    identifier = client.get_experiment_by_name("credit").experiment_id
    for metric, greater in [("auc", True), ("auc", False), ("loss", False)]:
        theirs = client.search_runs(
            [identifier], order_by=[f"metrics.{metric} {'DESC' if greater else 'ASC'}"]
        )
        ours = leaderboard.page(Scope(names=("credit",), everything=True), metric, greater, 50)
        elsewhere = {filled[-1]}
        expected = [
            str(r.info.run_id)
            for r in theirs
            if r.data.tags.get("mlops.verb") not in ("prepare", "tune")
        ]
        assert [i for i in ids(ours) if i not in elsewhere] == expected


@pytest.mark.parametrize("by", ["auc", "loss", "", "unknown"])
@pytest.mark.parametrize("everything", [False, True])
def test_both_ways_tell_the_same(filled: list[str], by: str, everything: bool) -> None:
    file = settings.load().database
    assert file is not None
    scope = dataclasses.replace(CREDIT, everything=everything)
    for greater in (True, False):
        read = embedded.page(file, scope, by, greater, 50, 0)
        asked = leaderboard._ask(scope, by, greater, 50, 0)
        assert repr(read) == repr(asked)  # NaN equals itself only so


def test_it_pages(filled: list[str], way: str) -> None:
    whole = ids(leaderboard.page(CREDIT, "auc", True, 50))
    assert len(whole) == len(set(whole)) == 10
    parts = [leaderboard.page(CREDIT, "auc", True, 4, offset) for offset in (0, 4, 8, 12)]
    assert [i for p in parts for i in ids(p)] == whole
    assert [len(p.entries) for p in parts] == [4, 4, 2, 0]
    assert {p.total for p in parts} == ({10} if way == "file" else {None, 10})


def test_what_is_left_out_is_counted(filled: list[str], way: str) -> None:
    page = leaderboard.page(CREDIT, "auc", True, 50)
    assert (page.total, page.trials, page.failed) == (10, 2, 2)
    page = leaderboard.page(Scope(names=("credit",), everything=True), "auc", True, 50)
    assert (page.total, page.trials, page.failed) == (14, 0, 0)


def test_named_runs_count_whatever_they_are(filled: list[str], way: str) -> None:
    page = leaderboard.page(Scope(run_ids=(filled[-1], filled[3])), "auc", True, 50)
    assert ids(page) == [filled[-1], filled[3]]
    assert page.total == 2
    assert page.entries[0].experiment == "elsewhere"


def test_metrics_of_these_runs(filled: list[str], way: str) -> None:
    assert leaderboard.metrics(CREDIT) == {"auc": 9, "loss": 9}
    assert leaderboard.metrics(Scope(names=("nothing",))) == {}


def test_versions_with_their_aliases(filled: list[str]) -> None:
    found = leaderboard.versions_of(filled)
    assert {run: [v.ref for v in versions] for run, versions in found.items()} == {
        filled[0]: ["credit/2"],
        filled[-1]: ["credit/1"],
    }
    assert found[filled[0]][0].aliases == ("champion",)
    assert leaderboard.versions_of([]) == {}


def test_names_are_never_part_of_a_statement(filled: list[str], way: str) -> None:
    hostile = "credit'; DROP TABLE runs; --"
    assert leaderboard.page(Scope(names=(hostile,)), "auc", True, 5).entries == ()
    if way == "file":
        assert leaderboard.page(CREDIT, hostile, True, 50).total == 10


def test_a_store_that_is_away_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(StoreUnreachable):
        store.leaderboard.page(CREDIT, "auc", True, 5)
