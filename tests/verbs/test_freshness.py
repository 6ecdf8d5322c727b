"""A verdict goes stale with anything that it rests on: files, rows, champion, tags by hand."""

from __future__ import annotations

import contextlib
import json
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import mlops_magics as mlops
from mlops_magics import store
from mlops_magics.errors import Refused
from mlops_magics.verbs import freshness, verdict_keeping

NUMBERS = ["Seniority", "Time", "Age", "Amount", "Price"]
GOAL = "roc_auc >= 0.5"


def prepared(frame: pd.DataFrame, **options: Any) -> Any:
    return mlops.prepare(frame, name="credit-data", target="Status", positive="bad", **options)


@pytest.fixture
def train(credit: pd.DataFrame) -> Callable[..., str]:
    data = prepared(credit[[*NUMBERS, "Home", "Status"]])

    def once(columns: list[str] | None = None) -> str:
        X, y = data.bindings["X_train"][columns or NUMBERS], data.bindings["y_train"]
        with warnings.catch_warnings(), mlops.train("credit", data="credit-data") as run:
            warnings.simplefilter("ignore")
            model = LogisticRegression(max_iter=500).fit(X, y)  # noqa: F841
        assert run.record is not None
        return str(run.record.model)

    return once


def objection(ref: str = "credit/1") -> str:
    return freshness.objection(store.versions.resolve(ref))


def test_it_is_fresh_as_long_as_nothing_changes(train: Callable[..., str]) -> None:
    train()
    assert objection() == "it has not been validated"
    mlops.validate("credit", goals="roc_auc >= 0.999")
    assert objection() == "its verdict is failed"
    mlops.validate("credit", goals=GOAL)
    assert objection() == ""
    assert mlops.promote("credit/1").overridden is False


def test_changed_files_of_the_model(train: Callable[..., str]) -> None:
    train()
    mlops.validate("credit", goals=GOAL)
    path = store.versions.local_path(store.versions.resolve("credit/1"))
    file = path / "MLmodel"
    whole = file.read_text(encoding="utf-8")
    file.write_text(whole + "\n# touched\n", encoding="utf-8")
    assert objection() == "its verdict is stale: the files of the model were changed since"
    with pytest.raises(Refused, match="the files of the model were changed since"):
        mlops.promote("credit/1")
    file.write_text(whole, encoding="utf-8")
    assert objection() == ""
    path.rename(path.with_name("elsewhere"))
    assert "are not at" in objection()


def test_a_dataset_prepared_anew(train: Callable[..., str], credit: pd.DataFrame) -> None:
    train()
    mlops.validate("credit", goals=GOAL)
    prepared(credit[[*NUMBERS, "Home", "Status"]])  # the same content is no change
    assert objection() == ""
    prepared(credit[[*NUMBERS, "Home", "Status"]].iloc[:-1])
    said = "the dataset 'credit-data' was prepared anew with other content since"
    assert objection() == f"its verdict is stale: {said}"
    # Judged on the new rows, some of which it has seen by now, it holds again.
    assert not mlops.validate("credit/1", goals=GOAL, on="credit-data").passed
    mlops.validate("credit/1", goals=GOAL, on="credit-data", waive=["seen rows"])
    assert objection() == ""


def test_a_file_that_changed_or_went(train: Callable[..., str], project: Path) -> None:
    train()
    _, unseen = store.datasets.frames(store.datasets.find("credit-data"))
    frame = unseen[[*NUMBERS, "Status"]].sample(300, random_state=1)
    file = project / "more.csv"
    frame.to_csv(file, index=False)
    verdict = mlops.validate("credit", goals=GOAL, on="more.csv")
    assert (verdict.origin, verdict.dataset) == ("file", str(file))
    assert objection() == ""
    frame.to_csv(file, index=False, lineterminator="\r\n")  # another file, the same rows
    assert objection() == ""
    frame.assign(Age=frame["Age"] + 1).to_csv(file, index=False)
    assert objection() == f"its verdict is stale: the file {file} was changed since"
    file.write_text("", encoding="utf-8")
    assert "can't be read any more" in objection()
    file.unlink()
    assert objection().endswith("that it was judged on is gone")
    # Rows in memory can't be looked at again.
    assert mlops.validate("credit", goals=GOAL, on=frame).origin == "memory"
    assert objection() == ""


def test_another_champion_than_it_was_compared_with(train: Callable[..., str]) -> None:
    train()
    train()
    for number in (1, 2):
        mlops.validate(f"credit/{number}", goals="roc_auc >= champion - 0.5")
    mlops.promote("credit/1")
    assert objection("credit/1") == ""
    said = "there was no champion to compare it with, and now there is credit/1"
    assert objection("credit/2") == f"its verdict is stale: {said}"
    mlops.validate("credit/2", goals="roc_auc >= champion - 0.5")
    train(["Age"])
    mlops.validate("credit/3", goals="roc_auc >= champion - 0.5")
    mlops.promote("credit/2")
    assert objection("credit/2") == ""
    said = "it was compared with credit/1, and the champion is now credit/2"
    assert objection("credit/3") == f"its verdict is stale: {said}"
    # A verdict that compares with nobody does not care.
    mlops.validate("credit/3", goals=GOAL)
    store.versions.set_alias("credit", "champion", 1)
    assert objection("credit/3") == ""


def test_tags_set_by_hand_are_believed_in_nothing(train: Callable[..., str]) -> None:
    train()
    train()
    failed = mlops.validate("credit/1", goals="roc_auc >= 0.999")
    version = store.versions.resolve("credit/1")
    store.versions.tag(version, "mlops.verdict.passed", "true")
    assert objection() == "its verdict is failed"
    good = mlops.validate("credit/2", goals=GOAL)
    store.versions.tag(version, "mlops.verdict", good.run_id)
    assert objection() == f"the verdict that it names ({good.run_id}) is that of credit/2"
    store.versions.tag(version, "mlops.verdict", "0" * 32)
    assert objection() == f"its verdict can't be read any more (run {'0' * 32})"
    store.runs.fetch(failed.run_id, "verdict.json").write_text("{", encoding="utf-8")
    store.versions.tag(version, "mlops.verdict", failed.run_id)
    assert "can't be read any more" in objection()


def test_an_interrupted_validation_leaves_no_half_verdict(
    train: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train()
    before = mlops.validate("credit/1", goals=GOAL)
    real = store.versions.tag
    for stop_at in ("mlops.verdict.passed", "mlops.verdict.gates_digest", "mlops.verdict"):

        def tag(version: Any, key: str, value: Any, stop_at: str = stop_at) -> None:
            if key == stop_at:
                raise KeyboardInterrupt
            real(version, key, value)

        monkeypatch.setattr(store.versions, "tag", tag)
        with pytest.raises(KeyboardInterrupt):
            mlops.validate("credit/1", goals="roc_auc >= 0.999")
        monkeypatch.setattr(store.versions, "tag", real)
        assert objection() == "it has not been validated"
    assert mlops.validate("credit/1", goals=GOAL).run_id != before.run_id
    assert objection() == ""

    def asked(*given: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    # Interrupted while it judges, the verdict of before stands.
    monkeypatch.setattr("mlops_magics.goals.judging.judge", asked)
    with pytest.raises(KeyboardInterrupt):
        mlops.validate("credit/1", goals="roc_auc >= 0.999")
    assert store.runs.find(verb="validate", experiment="credit")[0].info.status == "KILLED"
    assert objection() == ""


def test_of_two_validations_at_once_the_version_names_one_whole(
    train: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train()
    version = store.versions.resolve("credit/1")
    verdicts = [mlops.validate("credit/1", goals=goals) for goals in ("roc_auc >= 0.999", GOAL)]
    real = store.versions.tag
    meet = threading.Barrier(2)

    def slowly(of: Any, key: str, value: Any) -> None:
        if key.endswith("passed"):  # both are at it at the same instant, but for the lock
            with contextlib.suppress(threading.BrokenBarrierError):
                meet.wait(timeout=0.5)
        real(of, key, value)

    monkeypatch.setattr(store.versions, "tag", slowly)
    threads = [
        threading.Thread(target=verdict_keeping.name_at, args=(version, v)) for v in verdicts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tags = store.versions.resolve("credit/1").tags
    named = next(v for v in verdicts if v.run_id == tags["mlops.verdict"])
    assert tags["mlops.verdict.passed"] == str(named.passed).lower()
    assert tags["mlops.verdict.at"] == named.at
    kept = json.loads(store.runs.fetch(named.run_id, "verdict.json").read_text(encoding="utf-8"))
    assert kept["passed"] == named.passed
