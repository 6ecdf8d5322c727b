"""Inputs that are disturbed on purpose: the same for everyone, and of the kind they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_magics.errors import BadGoal
from mlops_magics.goals import grammar, robustness
from mlops_magics.goals.samples import Undefined

ROWS = 2000


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    words = rng.choice(["own", "rent", "parents"], ROWS, p=[0.6, 0.3, 0.1])
    return pd.DataFrame(
        {
            "amount": rng.normal(100, 20, ROWS),
            "narrow": rng.normal(0, 1, ROWS).astype("float32"),
            "age": rng.integers(18, 80, ROWS),
            "tiny": rng.integers(0, 4, ROWS).astype("uint8"),
            "nullable": pd.array(rng.integers(0, 50, ROWS), dtype="Int64"),
            "home": words,
            "kind": pd.Categorical(words, categories=["own", "rent", "parents", "boat"]),
            "flag": rng.random(ROWS) < 0.3,
            "since": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 900, ROWS), "D"),
            "zoned": pd.date_range("2024-01-01", periods=ROWS, freq="h", tz="Europe/Berlin"),
        },
        index=np.arange(ROWS) * 3 + 7,
    )


def disturbed(kind: str, amount: float, seed: int = 0, **given: Any) -> pd.DataFrame:
    inputs = given.get("inputs")
    return robustness.disturbed(
        frame() if inputs is None else inputs, kind, amount, given.get("training"), seed
    )


@pytest.mark.parametrize("kind", robustness.KINDS)
def test_the_same_seed_disturbs_alike_and_another_one_otherwise(kind: str) -> None:
    one = disturbed(kind, 0.2)
    pd.testing.assert_frame_equal(one, disturbed(kind, 0.2))
    other = disturbed(kind, 0.2, seed=1)
    assert all(not one[c].equals(other[c]) for c in one.columns)


@pytest.mark.parametrize("kind", robustness.KINDS)
def test_a_column_is_disturbed_alike_whatever_stands_beside_it(kind: str) -> None:
    whole = disturbed(kind, 0.2)
    part = disturbed(kind, 0.2, inputs=frame()[["home", "age", "amount"]])
    pd.testing.assert_frame_equal(part, whole[["home", "age", "amount"]])
    twins = pd.DataFrame({"a": np.arange(50.0), "b": np.arange(50.0)})
    apart = disturbed(kind, 0.5, inputs=twins)
    assert not apart["a"].equals(apart["b"])


@pytest.mark.parametrize("kind", robustness.KINDS)
def test_the_rows_that_were_given_stay_as_they_are(kind: str) -> None:
    inputs = frame()
    found = disturbed(kind, 0.5, inputs=inputs)
    pd.testing.assert_frame_equal(inputs, frame())
    assert found.index.equals(inputs.index)
    assert list(found.columns) == list(inputs.columns)


def test_noise_keeps_the_type_of_every_column() -> None:
    found = disturbed("noise", 0.5)
    pd.testing.assert_series_equal(found.dtypes, frame().dtypes)
    for name in ("amount", "narrow", "age", "tiny", "nullable", "since", "zoned"):
        assert (found[name] != frame()[name]).mean() > 0.3, name


@pytest.mark.parametrize("amount", [0.1, 0.5])
def test_noise_is_a_share_of_the_columns_own_spread(amount: float) -> None:
    before, after = frame(), disturbed("noise", amount)
    for name in ("amount", "narrow", "age", "nullable"):
        change = (after[name].astype(float) - before[name].astype(float)).to_numpy()
        wanted = amount * before[name].astype(float).std()
        # Rounding to whole numbers adds 1 / 12 to the variance.
        rounded = np.sqrt(wanted**2 + (1 / 12 if name in ("age", "nullable") else 0))
        assert change.std() == pytest.approx(rounded, rel=0.06), name
        assert abs(change.mean()) < 4 * rounded / np.sqrt(ROWS), name
    days = (after["since"] - before["since"]) / pd.Timedelta(days=1)
    wanted = amount * (before["since"].std() / pd.Timedelta(days=1))
    assert days.std() == pytest.approx(wanted, rel=0.06)


def test_whole_numbers_stay_within_what_their_type_holds() -> None:
    inputs = pd.DataFrame({"tiny": np.tile([0, 1, 254, 255], 100).astype("uint8")})
    found = disturbed("noise", 0.05, inputs=inputs)["tiny"].astype(int)
    # None goes over the edge and comes back at the other end.
    assert (found - inputs["tiny"].astype(int)).abs().max() < 50
    assert found.between(0, 255).all()


def test_large_whole_numbers_keep_their_digits() -> None:
    inputs = pd.DataFrame({"key": np.array([2**60 + 1, 2**60 + 3] * 20)})
    training = pd.DataFrame({"key": [0, 2] * 20})
    shift = disturbed("noise", 1.0, inputs=inputs, training=training)["key"] - inputs["key"]
    assert shift.abs().max() <= 4
    assert (shift % 2 != 0).any()  # which a float of that size can't tell


def test_words_categories_and_booleans_are_swapped_as_often_as_asked() -> None:
    before, after = frame(), disturbed("noise", 0.25)
    for name in ("home", "kind", "flag"):
        shares = before[name].value_counts(normalize=True)
        other = float(1 - (shares**2).sum())  # a value drawn anew may be the same
        changed = (before[name] != after[name]).mean()
        assert changed == pytest.approx(0.25 * other, abs=0.03), name
        assert set(after[name]) <= set(before[name])


def test_training_tells_the_spread_and_the_values() -> None:
    inputs = frame()[["amount", "home", "kind"]].assign(home="own")
    training = pd.DataFrame(
        {
            "amount": np.random.default_rng(1).normal(0, 200, 500),
            "home": ["castle"] * 500,
            "kind": ["castle"] * 500,
        }
    )
    found = disturbed("noise", 0.1, inputs=inputs, training=training)
    assert (found["amount"] - inputs["amount"]).std() == pytest.approx(20, rel=0.1)
    assert set(found["home"]) == {"own", "castle"}
    # A category that the column does not know can't be put there.
    pd.testing.assert_series_equal(found["kind"], inputs["kind"])


def test_noise_leaves_missing_values_missing() -> None:
    gaps = frame()
    gone = np.arange(ROWS) % 5 == 0
    for name in ("amount", "nullable", "home", "kind", "since", "zoned"):
        gaps.loc[gaps.index[gone], name] = None
    found = disturbed("noise", 0.5, inputs=gaps)
    for name in ("amount", "nullable", "home", "kind", "since", "zoned"):
        assert (found[name].isna() == gone).all(), name


@pytest.mark.parametrize("amount", [0.2, 1.0])
def test_missing_takes_that_share_of_every_column_and_leaves_the_rest(amount: float) -> None:
    before, after = frame(), disturbed("missing", amount)
    for name in before.columns:
        gone = after[name].isna()
        assert gone.mean() == pytest.approx(amount, abs=0.04), name
        assert (after[name][~gone] == before[name][~gone]).all(), name
    for name in ("kind", "since", "zoned", "nullable", "narrow"):
        assert after[name].dtype == before[name].dtype, name


def test_a_column_without_any_spread_stays() -> None:
    inputs = pd.DataFrame({"same": [3.0] * 40, "none": [np.nan] * 40, "word": [None] * 40})
    pd.testing.assert_frame_equal(disturbed("noise", 1.0, inputs=inputs), inputs)
    lone = pd.DataFrame({"one": [3.0]})
    pd.testing.assert_frame_equal(disturbed("noise", 1.0, inputs=lone), lone)


def test_two_columns_of_one_name_are_both_disturbed() -> None:
    inputs = pd.DataFrame(np.ones((60, 2)) * np.arange(60)[:, None], columns=["a", "a"])
    for training in (None, inputs):
        found = disturbed("noise", 0.5, inputs=inputs, training=training)
        assert (found.to_numpy() != inputs.to_numpy()).all()


def test_what_there_is_not_is_answered_with_what_there_is() -> None:
    with pytest.raises(Undefined, match="nothing is known of 'blur': there is noise and missing"):
        disturbed("blur", 0.1)
    with pytest.raises(Undefined, match="no inputs to disturb"):
        disturbed("noise", 0.1, inputs=frame().head(0))
    with pytest.raises(BadGoal, match=r"line 1, column 22: nothing is known of 'noize'.*'noise'"):
        grammar.parse("roc_auc >= 0.5 under noize 10%")
