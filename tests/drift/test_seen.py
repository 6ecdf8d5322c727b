"""One pass: a table in memory and the same table in batches are counted alike, and exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mlops_magics.drift import numeric, quality, report, seen, tallies
from mlops_magics.evidence.profile import profile


def batches(frame: pd.DataFrame, size: int) -> list[pa.RecordBatch]:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    return list(table.to_batches(max_chunksize=size))


def damaged(credit: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return credit.assign(
        Income=credit["Income"] * 1.6,
        Home=np.where(rng.random(len(credit)) < 0.2, "houseboat", credit["Home"].astype(object)),
        Debt=credit["Debt"].where(rng.random(len(credit)) > 0.3),
        Price=1000,
        Time=credit["Time"].astype(str),
        Age=np.where(rng.random(len(credit)) < 0.01, np.inf, credit["Age"]),
        Paid=credit["Status"] == "good",
    ).drop(columns="Assets")


@pytest.mark.parametrize("size", [1, 97, 1_000_000])
def test_batches_give_what_a_table_gives(credit: pd.DataFrame, size: int) -> None:
    reference = profile(credit.head(3000).assign(Paid=credit["Status"].head(3000) == "good"))
    current = damaged(credit).tail(1454 if size > 1 else 40).reset_index(drop=True)
    whole, parts = seen.of(reference, current), seen.of_batches(reference, batches(current, size))
    assert (parts.rows, parts.strangers, parts.copies) == (
        whole.rows, whole.strangers, whole.copies,
    )  # fmt: skip
    compared = report.compare(reference, parts)
    for found, wanted in zip(compared, report.compare(reference, whole), strict=True):
        # Sums in another order differ in their last digits.
        assert found == approximately(wanted)
    assert quality.find(reference, parts) == quality.find(reference, whole)


def test_a_file_gives_what_a_table_gives(credit: pd.DataFrame, tmp_path: Path) -> None:
    reference = profile(credit.head(3000))
    current = damaged(credit).tail(1454).reset_index(drop=True)
    current.to_parquet(tmp_path / "now.parquet", row_group_size=400)
    whole, read = seen.of(reference, current), seen.of_parquet(reference, tmp_path / "now.parquet")
    assert (read.rows, read.strangers, read.copies, read.compared) == (
        whole.rows, whole.strangers, whole.copies, whole.compared,
    )  # fmt: skip
    found, wanted = report.compare(reference, read), report.compare(reference, whole)
    assert found == approximately(wanted)
    assert quality.find(reference, read) == quality.find(reference, whole)


def approximately(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: approximately(each) for name, each in value.items()}
    if isinstance(value, list):
        return [approximately(each) for each in value]
    return pytest.approx(value, rel=1e-9) if isinstance(value, float) else value


def test_texts_that_are_dictionaries_or_large(credit: pd.DataFrame) -> None:
    reference = profile(credit[["Home"]])
    wanted = report.compare(reference, credit[["Home"]].head(300))
    text = pa.array(credit["Home"].head(300).astype(object).where(credit["Home"].notna(), None))
    for array in (text.dictionary_encode(), text.cast(pa.large_string())):
        batch = pa.record_batch({"Home": array})
        assert report.compare(reference, seen.of_batches(reference, [batch])) == wanted


def test_a_type_that_changes_on_the_way_is_said() -> None:
    reference = profile(pd.DataFrame({"x": np.arange(100.0)}))
    parts = [
        pa.record_batch({"x": pa.array(["1", "2"] * 30)}),
        pa.record_batch({"x": pa.array(["high", None] * 30)}),
    ]
    found = seen.of_batches(reference, parts)
    assert (found.rows, found.columns["x"].missing) == (120, 30)
    (column,) = report.compare(reference, found)
    assert (column["level"], column["missing"]) == ("changed", 0.25)
    assert "holds text, and held numbers in training" in column["reason"]


def test_nothing_came() -> None:
    reference = profile(pd.DataFrame({"x": np.arange(100.0)}))
    empty = seen.of_batches(reference, [])
    assert report.compare(reference, empty)[0]["reason"] == "There are no rows."
    assert quality.find(reference, empty) == []


VALUES = st.lists(
    st.one_of(
        st.integers(-4, 4).map(float),
        st.floats(-1e6, 1e6),
        st.just(np.nan),
        st.sampled_from([np.inf, -np.inf]),
    ),
    min_size=1,
    max_size=60,
)


@given(st.lists(st.integers(-4, 4).map(float), min_size=2, max_size=40), VALUES, st.integers(1, 9))
@settings(max_examples=300, deadline=None)
def test_counts_are_those_of_the_values(one: list[float], values: list[float], size: int) -> None:
    knots = np.unique(one)
    tally = tallies.Numbers(knots)
    given = np.array(values)
    for start in range(0, len(given), size):
        tally.add(given[start : start + size])
    real = given[~np.isnan(given)]
    assert (tally.rows, tally.missing) == (len(given), len(given) - len(real))
    assert tally.infinite == np.isinf(real).sum()
    count = max(len(real), 1)
    assert tally.upto == pytest.approx([(real <= k).sum() / count for k in knots])
    assert tally.below == pytest.approx([(real < k).sum() / count for k in knots])
    assert list(tally.reached(knots)) == [(real <= k).sum() for k in knots]
    finite = real[np.isfinite(real)]
    assert tally.outside == ((finite < knots[0]) | (finite > knots[-1])).sum()
    if len(finite):
        assert tally.mean == pytest.approx(finite.mean(), rel=1e-6, abs=1e-6)
        assert (tally.least, tally.greatest) == (finite.min(), finite.max())
        areas, tails = tally.areas()
        for area, left, right in zip(areas, knots[:-1], knots[1:], strict=True):
            exact = np.clip(right - np.maximum(finite, left), 0, None).sum() / len(finite)
            assert area == pytest.approx(exact, rel=1e-6, abs=1e-6)
        beyond = np.clip(knots[0] - finite, 0, None) + np.clip(finite - knots[-1], 0, None)
        assert tails == pytest.approx(beyond.mean(), rel=1e-6, abs=1e-6)


def test_a_sample_is_spread_over_all_and_stays_small() -> None:
    tally = tallies.Numbers(np.array([0.0]))
    for start in range(0, 3_000_000, 70_001):
        tally.add(np.arange(start, min(start + 70_001, 3_000_000), dtype=float))
    sample = tally.sample
    assert tallies.SAMPLE / 2 < len(sample) <= tallies.SAMPLE
    assert len(np.unique(np.diff(sample))) == 1
    few = tallies.Numbers(np.array([0.0]))
    few.add(np.arange(500.0))
    assert list(few.sample) == list(range(500))


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.5])
def test_figures_of_a_million_rows_are_those_of_all_values(shift: float) -> None:
    rng = np.random.default_rng(1)
    one, other = rng.gamma(2.0, 40.0, 200_000), rng.gamma(2.0, 40.0 * (1 + shift), 200_000)
    known = profile(pd.DataFrame({"x": one}))["x"]
    tally = tallies.Numbers(numeric.knots(known))
    tally.add(other)
    found = numeric.compare(known, tally)
    exact = stats.ks_2samp(one, other, method="asymp")
    assert found["ks"] == pytest.approx(exact.statistic, abs=0.0005)
    moved = stats.wasserstein_distance(one, other)
    assert found["wasserstein"] == pytest.approx(moved, rel=0.01, abs=0.05)
