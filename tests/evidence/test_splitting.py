"""Splits keep their promises for any data, and say so where they can't."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_magics.errors import BadData, WrongUsage
from mlops_magics.evidence.splitting import Split, split, task

quick = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def covers(found: Split, rows: int) -> bool:
    every = np.concatenate([found.train_rows, found.test_rows])
    ascending = (np.diff(found.train_rows) > 0).all() and (np.diff(found.test_rows) > 0).all()
    both = len(found.train_rows) > 0 and len(found.test_rows) > 0
    return bool(both and ascending and (np.sort(every) == np.arange(rows)).all())


def test_stratified(credit: pd.DataFrame) -> None:
    found = split(credit, "Status", test=0.25)
    assert found.method == "stratified"
    assert found.warnings == ()
    assert covers(found, len(credit))
    assert len(found.test_rows) == round(0.25 * len(credit))
    bad = credit["Status"].eq("bad")
    assert bad.iloc[found.test_rows].mean() == pytest.approx(bad.mean(), abs=1e-3)


def test_the_seed_decides_and_nothing_else(credit: pd.DataFrame) -> None:
    for options in ({}, {"group": "Records"}, {"group": "Age"}):
        one, same = (split(credit, "Status", seed=3, **options) for _ in range(2))  # type: ignore[arg-type]
        assert (one.test_rows == same.test_rows).all()
    assert set(split(credit, "Status", seed=1).test_rows) != set(
        split(credit, "Status", seed=2).test_rows
    )


def test_regression_is_split_at_random(credit: pd.DataFrame) -> None:
    found = split(credit, "Price")
    assert found.method == "at random"
    assert covers(found, len(credit))
    assert split(credit).method == "at random"


@pytest.mark.parametrize("target", ["Status", "Price", None])
@pytest.mark.parametrize("group", ["Age", "Job"])
def test_no_group_on_both_sides(credit: pd.DataFrame, target: str | None, group: str) -> None:
    frame = credit.dropna(subset=[group])
    found = split(frame, target, test=0.3, group=group)
    assert covers(found, len(frame))
    values = frame[group].to_numpy()
    assert not set(values[found.train_rows]) & set(values[found.test_rows])


def test_groups_are_stratified_and_of_the_share_asked_for() -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"g": random.integers(0, 400, 5000)})
    frame["y"] = random.random(5000) < 0.1 + 0.6 * (frame["g"] % 5 == 0)
    for test in (0.1, 0.3, 0.45):
        found = split(frame, "y", test=test, group="g")
        assert len(found.test_rows) / 5000 == pytest.approx(test, abs=0.02)
        assert frame["y"].iloc[found.test_rows].mean() == pytest.approx(frame["y"].mean(), abs=0.03)


def test_many_groups_are_split_by_chance() -> None:
    frame = pd.DataFrame({"g": np.arange(9000) // 3, "y": np.arange(9000) % 2})
    found = split(frame, "y", group="g")
    assert found.method == "by groups of g"
    assert len(found.test_rows) == 1800
    assert not set(found.train_rows // 3) & set(found.test_rows // 3)


def test_uneven_groups_are_said() -> None:
    frame = pd.DataFrame({"g": ["big"] * 90 + ["small"] * 10, "x": range(100)})
    found = split(frame, test=0.5, group="g")
    assert covers(found, 100)
    assert "instead of 50%" in found.warnings[0]


@pytest.mark.parametrize(
    "times",
    [
        pd.date_range("2020-01-01", periods=50, freq="D"),
        pd.date_range("2020-01-01", periods=50, freq="D", tz="Europe/Berlin"),
        [f"2020-{1 + i // 28:02}-{1 + i % 28:02}" for i in range(50)],
        [dt.date(2020, 1, 1) + dt.timedelta(days=i) for i in range(50)],
        range(50),
        pd.period_range("2020-01", periods=50, freq="M"),
        pd.Series(range(50), dtype="Int64"),
    ],
    ids=["naive", "zoned", "text", "date", "number", "period", "nullable"],
)
def test_the_latest_rows_are_the_test(times: Any) -> None:
    order = np.random.default_rng(0).permutation(50)
    frame = pd.DataFrame({"t": times}).iloc[order]
    found = split(frame, test=0.2, time="t")
    assert found.method == "the latest by t"
    assert sorted(order[found.test_rows]) == list(range(40, 50))
    assert covers(found, 50)


@quick
@given(st.lists(st.integers(0, 5), min_size=2, max_size=40), st.floats(0.05, 0.95))
def test_rows_of_one_time_stay_together(times: list[int], test: float) -> None:
    frame = pd.DataFrame({"t": times})
    if len(set(times)) < 2:
        with pytest.raises(BadData, match="one time only"):
            split(frame, test=test, time="t")
        return
    found = split(frame, test=test, time="t")
    assert covers(found, len(frame))
    values = np.array(times)
    cut = values[found.test_rows].min()
    assert values[found.train_rows].max() < cut
    # no other cut comes nearer to the share that was asked for
    best = min(abs((values >= c).mean() - test) for c in set(times) - {min(times)})
    assert abs((values >= cut).mean() - test) == pytest.approx(best)


@quick
@given(
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=2, max_size=30),
    st.floats(0.01, 0.99),
    st.booleans(),
)
def test_any_small_data_is_split_somehow(values: list[str], test: float, grouped: bool) -> None:
    frame = pd.DataFrame({"y": values, "g": [i // 2 for i in range(len(values))]})
    if grouped and frame["g"].nunique() < 2:
        return
    found = split(frame, "y", test=test, group="g" if grouped else None)
    assert covers(found, len(frame))


def test_what_can_not_be_stratified_is_said() -> None:
    lone = pd.DataFrame({"y": ["a"] * 10 + ["b"]})
    assert split(lone, "y").warnings == (
        "The split is not stratified: one class has a single row.",
    )
    tiny = pd.DataFrame({"y": ["a", "a", "b", "b", "b"]})
    found = split(tiny, "y")
    assert len(found.test_rows) == 1
    assert "2 classes do not fit into 1 rows" in found.warnings[0]


@pytest.mark.parametrize("test", [0, 1, -0.2, 1.5, float("nan")])
def test_shares_outside_of_0_and_1(test: float) -> None:
    with pytest.raises(WrongUsage, match="between 0 and 1"):
        split(pd.DataFrame({"a": range(10)}), test=test)


def test_what_can_not_be_split() -> None:
    frame = pd.DataFrame({"t": ["soon", "late"], "g": ["a", None], "one": [1, 1]})
    with pytest.raises(WrongUsage, match="not by both"):
        split(frame, group="g", time="t")
    with pytest.raises(BadData, match="1 of 2 rows have no group in column 'g'"):
        split(frame, group="g")
    with pytest.raises(BadData, match="one value only"):
        split(frame, group="one")
    with pytest.raises(BadData, match=r"'t' holds no times.*ISO 8601"):
        split(frame, time="t")
    with pytest.raises(BadData, match="at least two rows"):
        split(frame[:1])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["good", "bad"] * 50, "classification"),
        ([True, False] * 50, "classification"),
        ([0, 1] * 50, "classification"),
        ([0.0, 1.0] * 50, "classification"),
        (pd.Categorical([1.5, 2.5, 3.5] * 50), "classification"),
        ([0, 1, 2] * 50, "classification"),
        ([1, 2, 3, 4, 5], "regression"),
        ([0.5, 1, 2] * 50, "regression"),
        (range(150), "regression"),
        (pd.Series([0, 1, None] * 50, dtype="Int64"), "classification"),
    ],
    ids=str,
)
def test_task(values: Any, expected: str) -> None:
    assert task(pd.Series(values)) == expected
