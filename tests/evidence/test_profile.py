"""The profile of a column: right figures, plain JSON, for any content."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_magics.evidence.profile import profile


def of(values: Any, dtype: Any = None) -> dict[str, Any]:
    found = profile(pd.DataFrame({"a": pd.Series(values, dtype=dtype)}))["a"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return found


def test_credit(credit: pd.DataFrame) -> None:
    found = profile(credit)
    assert list(found) == list(credit.columns)
    age, home, income = found["Age"], found["Home"], found["Income"]
    assert (age["type"], age["rows"], age["missing"]) == ("integer", 4454, 0)
    assert age["distinct"] == credit["Age"].nunique()
    assert age["mean"] == pytest.approx(credit["Age"].mean())
    assert age["std"] == pytest.approx(credit["Age"].std())
    assert len(age["quantiles"]) == 401
    assert age["quantiles"][0] == age["min"] == credit["Age"].min()
    assert age["quantiles"][200] == credit["Age"].quantile(0.5, interpolation="lower")
    assert len(age["histogram"]["edges"]) == len(age["histogram"]["counts"]) + 1 == 21
    assert sum(age["histogram"]["counts"]) == 4454
    low, high = np.unique(age["quantiles"])[[1, -2]]
    first, last = age["ends"]
    assert first is None or age["min"] < first < low  # whole years: there may be none between
    assert last is None or high < last < age["max"]
    amounts = found["Amount"]
    knots = np.unique(amounts["quantiles"])
    beyond = credit["Amount"][(credit["Amount"] > knots[-2]) & (credit["Amount"] < knots[-1])]
    assert amounts["ends"][1] == pytest.approx(beyond.mean())
    assert income["missing"] == credit["Income"].isna().sum()
    assert sum(income["histogram"]["counts"]) == 4454 - income["missing"]
    assert home["categories"] == credit["Home"].value_counts().to_dict()
    assert home["other"] == 0


def test_many_categories_are_counted_together() -> None:
    values = [f"c{i}" for i in range(60) for _ in range(60 - i)]
    found = of(values)
    assert found["distinct"] == 60
    assert len(found["categories"]) == 50
    assert list(found["categories"])[:2] == ["c0", "c1"]
    assert found["other"] == sum(60 - i for i in range(50, 60))
    assert sum(found["categories"].values()) + found["other"] == len(values)


def test_booleans_in_every_container() -> None:
    for dtype in (object, "boolean"):
        found = of([True, False, True, None], dtype)
        assert (found["type"], found["missing"]) == ("boolean", 1)
        assert found["categories"] == {"True": 2, "False": 1}


def test_categories_without_rows_are_no_categories() -> None:
    found = of(pd.Categorical(["a", "a"], categories=["a", "b"]))
    assert (found["distinct"], found["categories"]) == (1, {"a": 2})


def test_infinite_values_are_counted_apart() -> None:
    found = of([1.0, 2.0, np.inf, -np.inf, np.nan])
    assert (found["mean"], found["max"], found["infinite"]) == (1.5, 2.0, 2)
    assert (found["distinct"], found["missing"]) == (4, 1)


@pytest.mark.parametrize("values", [[], [np.nan, np.nan], [None]])
def test_no_values(values: list[Any]) -> None:
    found = of(values, "float64")
    assert found["distinct"] == 0
    assert found["mean"] is found["min"] is found["quantiles"] is found["histogram"] is None


def test_one_value_and_a_constant() -> None:
    assert of([3])["std"] is None
    constant = of([3, 3, 3])
    assert (constant["std"], constant["distinct"]) == (0.0, 1)
    assert set(constant["quantiles"]) == {3.0}
    assert sum(constant["histogram"]["counts"]) == 3


def test_values_beyond_what_a_sum_can_hold() -> None:
    found = of([1.7e308, -1.7e308, 1.7e308])
    assert found["max"] == 1.7e308
    assert found["std"] is None
    assert found["histogram"] is None


def test_dates() -> None:
    zoned = pd.Series(pd.to_datetime(["2020-01-01", "2021-06-01", None])).dt.tz_localize(
        "Europe/Berlin"
    )
    assert of(zoned)["min"] == "2020-01-01T00:00:00+01:00"
    assert of([dt.date(2020, 1, 1), dt.date(2021, 1, 1)])["max"].startswith("2021-01-01")
    assert of([pd.NaT], "datetime64[ns]")["min"] is None


def test_other_containers_of_numbers() -> None:
    assert of([1, 2, None], "Int64")["mean"] == 1.5
    assert of([Decimal("1.5"), None, Decimal("2.5")])["mean"] == 2.0
    assert of(pd.Categorical([1, 3, None]))["mean"] == 2.0
    assert of(pd.Series([0, 0, 3]).astype("Sparse[int]"))["max"] == 3.0


def test_objects_are_only_counted() -> None:
    found = of([[1], [1], {"a": 2}, None])
    assert found == {"type": "object", "rows": 4, "missing": 1, "distinct": 2}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(-1e9, 1e9) | st.none(), min_size=1, max_size=300))
def test_quantiles_and_histogram_cover_all_values(values: list[float | None]) -> None:
    found = of(values, "float64")
    seen = [v for v in values if v is not None]
    if seen:
        assert set(found["quantiles"]) <= set(seen)
        assert found["quantiles"] == sorted(found["quantiles"])
        assert (found["quantiles"][0], found["quantiles"][-1]) == (min(seen), max(seen))
        assert sum(found["histogram"]["counts"]) == len(seen)
        assert found["distinct"] == len(set(seen))
