"""`monitor` closer: all columns together, windows, segments; by real models and captures."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mlops_magics as mlops
from mlops_magics import store
from mlops_magics.errors import BadData, BadGoal, UnknownName, WrongUsage
from mlops_magics.records import Dataset
from mlops_magics.verbs import large
from tests.verbs.test_monitoring import COLUMNS, Send, answers, data, send, unseen

__all__ = ["data", "send", "unseen"]  # fixtures


def timed(frame: pd.DataFrame, days: int) -> pd.DataFrame:
    """With a column of times, in no order and in two zones."""
    rng = np.random.default_rng(0)
    seconds = rng.uniform(0, days * 86_400, len(frame))
    when = pd.Timestamp("2026-06-01", tz="UTC") + pd.to_timedelta(seconds, unit="s")
    text = pd.Series(when.strftime("%Y-%m-%dT%H:%M:%SZ"), index=frame.index)
    other = when.tz_convert("Etc/GMT-2").strftime("%Y-%m-%dT%H:%M:%S+02:00")
    return frame.assign(asked=text.mask(frame.index % 2 == 0, pd.Series(other, index=frame.index)))


def test_given_rows_are_cut_by_a_column_of_times(unseen: pd.DataFrame) -> None:
    rows = timed(unseen, 10)
    late = pd.to_datetime(rows["asked"], utc=True, format="ISO8601") >= "2026-06-07"
    rows["Price"] = rows["Price"].mask(late, rows["Price"] * 2)
    rows.loc[:4, "asked"] = ["soon", None, "", "June 2, 2026", "2026-06-03"]
    record = mlops.monitor("credit", data=rows, window="1d", time="asked")
    assert [w["begin"][:10] for w in record.windows] == [f"2026-06-{d:02}" for d in range(1, 11)]
    change = next(c for c in record.changes if c["feature"] == "Price")
    assert change["at"].startswith("2026-06-07")
    assert "Price changed on 2026-06-07: its mean was" in change["reason"]
    # What the model said changed with it.
    assert "prediction" in record.windows[0]["drift"]
    assert {c["feature"] for c in record.changes} <= {"Price", "prediction"}
    warnings = " ".join(record.warnings)
    assert "2 rows of asked are no times, 'soon' for one" in warnings
    assert "asked is missing in 1 row" in warnings
    assert "are in 2 zones" in warnings
    assert not record.passed
    told = mlops.history("credit").events[-1]["summary"]
    assert "Price changed on 2026-06-07" in told
    kept = store.runs.read_json(record.run_id, "monitoring.json")
    assert kept["changes"][0]["at"] == record.changes[0]["at"]

    with pytest.raises(UnknownName, match="Did you mean 'asked'"):
        mlops.monitor("credit", data=rows, window="1d", time="askd")
    with pytest.raises(BadData, match="Age holds numbers"):
        mlops.monitor("credit", data=rows, window="1d", time="Age")
    with pytest.raises(WrongUsage, match="Name a column of times"):
        mlops.monitor("credit", data=rows, window="1d")


@pytest.mark.parametrize("window", ["soon", "0d", "-1d", "1 month"])
def test_a_window_that_is_none_is_refused(window: str) -> None:
    with pytest.raises(WrongUsage, match=r"is no span of time\. For example 1d"):
        mlops.monitor("credit", window=window)
    with pytest.raises(WrongUsage, match="Add --window 1d"):
        mlops.monitor("credit", time="asked")


def test_captured_rows_have_a_time_of_their_own(unseen: pd.DataFrame, send: Send) -> None:
    moved = unseen.assign(Price=unseen["Price"] * 2)
    for day in range(6, 0, -1):
        rows = (unseen if day > 2 else moved).sample(60, random_state=day)
        send(rows[COLUMNS], answers(rows), age=timedelta(days=day))
    record = mlops.monitor("credit", window="1d")
    assert [w["rows"] for w in record.windows] == [60] * 6
    change = next(c for c in record.changes if c["feature"] == "Price")
    assert change["at"] == record.windows[4]["begin"]
    # Over the whole week it is not much; what came last has drifted.
    assert "Price" in record.windows[-1]["drifted"]
    assert not record.passed
    assert mlops.monitor("credit", window="1d", thresholds="drift(*) <= 9").passed


def test_without_traffic_nothing_is_looked_at_closer(data: Dataset, send: Send) -> None:
    send(None, status=400, error="x")
    asked: dict[str, Any] = {"window": "1h", "by": "Age", "multivariate": True}
    record = mlops.monitor("credit", **asked)
    assert (record.windows, record.changes, record.segments) == ((), (), ())
    assert record.multivariate == {"reason": "There are no rows."}
    assert record.passed


def test_three_rows_are_too_few_for_all_of_it(unseen: pd.DataFrame) -> None:
    rows = timed(unseen.head(3), 1)
    asked: dict[str, Any] = {"window": "1d", "time": "asked", "by": "Home", "multivariate": True}
    record = mlops.monitor("credit", data=rows, **asked)
    assert [w["reason"] for w in record.windows] == ["3 rows are too few to judge (30 are needed)."]
    assert record.changes == ()
    assert not any(s["drifted"] for s in record.segments)
    assert "3 rows are too few" in record.multivariate["reason"]
    assert record.passed


def test_all_columns_together_by_flag_and_by_goal(unseen: pd.DataFrame) -> None:
    # Each column as it was, dealt out anew: only how they go together has changed.
    rng = np.random.default_rng(0)
    amount = unseen["Amount"].to_numpy()[rng.permutation(len(unseen))]
    alone = mlops.monitor("credit", data=unseen.assign(Amount=amount))
    assert {f["name"] for f in alone.features if f["drifted"]} <= {"prediction"}
    assert alone.multivariate == {}
    record = mlops.monitor("credit", data=unseen.assign(Amount=amount), multivariate=True)
    assert record.multivariate["drifted"]
    assert {d["feature"] for d in record.multivariate["drivers"][:2]} == {"Amount", "Price"}
    assert not record.passed
    run = store.runs.get(record.run_id)
    assert run.data.metrics["multivariate_drift"] == record.multivariate["auc"]
    goal = "multivariate_drift <= 0.6"
    judged = mlops.monitor("credit", data=unseen.assign(Amount=amount), thresholds=goal)
    assert judged.goals[0].value == record.multivariate["auc"]
    assert not judged.passed
    same = mlops.monitor("credit", data=unseen, thresholds=goal)
    assert same.passed
    assert same.goals[0].value == pytest.approx(0.5, abs=0.06)


def test_segments_are_judged_beside_their_own_training(unseen: pd.DataFrame) -> None:
    rows = unseen.copy()
    rent = rows["Home"] == "rent"
    rows.loc[rent, "Price"] *= 2
    record = mlops.monitor("credit", data=rows, by="Home")
    judged = {s["segment"]: s for s in record.segments}
    assert judged["Home = rent"]["drifted"] == ["Price"]
    assert judged["Home = owner"]["drifted"] == []
    assert judged["Home = rent"]["share"] == pytest.approx(rent.mean())
    assert sum(s["reference_rows"] for s in record.segments) == record.reference_rows
    assert not record.passed
    assert len(mlops.monitor("credit", data=rows, by="Age").segments) == 4
    with pytest.raises(UnknownName, match=r"Did you mean 'Home'.*In the rows that came"):
        mlops.monitor("credit", data=rows, by="Hom")
    with pytest.raises(BadGoal, match="`monitor --by Home` judges each group"):
        mlops.monitor("credit", data=rows, thresholds="drift(Price) <= 0.2 by Home")


def test_training_rows_that_are_gone_are_said(
    unseen: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(dataset: Dataset) -> Any:
        raise BadData("The rows were in memory only and are not kept.")

    monkeypatch.setattr(store.datasets, "frames", gone)
    record = mlops.monitor(
        "credit", data=unseen, by="Home", thresholds="multivariate_drift <= 0.6", exact=True
    )
    assert record.segments == ()
    assert record.multivariate["reason"].startswith("It needs the rows of training: The rows were")
    assert "are not kept" in record.goals[0].reason
    warnings = " ".join(record.warnings)
    assert "Multivariate drift was not computed: The rows were in memory only" in warnings
    assert "Drift by Home needs the rows of training" in warnings


@pytest.mark.parametrize("suffix", ["feather", "parquet"])
def test_of_a_large_file_a_sample_is_looked_at_closer(
    unseen: pd.DataFrame, project: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    rows = timed(unseen, 5)
    file = project / f"many.{suffix}"
    (rows.to_feather if suffix == "feather" else rows.to_parquet)(file)
    whole = mlops.monitor("credit", data=str(file))
    monkeypatch.setattr(large, "LARGE", 100)
    monkeypatch.setattr(large, "SAMPLE", len(rows) // 2)
    record = mlops.monitor("credit", data=str(file), window="1d", time="asked")
    assert record.rows == len(rows)
    assert sum(w["rows"] for w in record.windows) == len(rows) // 2
    assert any("what else is asked for of" in w for w in record.warnings)
    for found, wanted in zip(record.features, whole.features, strict=True):
        if found.get("role") != "prediction":
            assert found["drift"] == pytest.approx(wanted["drift"], rel=1e-9), found["name"]
