"""Leakage is found where it is, and not where it is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_magics.evidence import leakage, predictors
from mlops_magics.evidence.splitting import Split, split

ROWS = 600
random = np.random.default_rng(0)


def said(frame: pd.DataFrame, target: str | None = "y", **how: Any) -> list[str]:
    return leakage.check(frame, split(frame, target, **how), target, **how)


@pytest.fixture
def frame() -> pd.DataFrame:
    x = random.normal(size=ROWS)
    return pd.DataFrame(
        {
            "x": x,
            "w": random.choice(["a", "b", "c"], ROWS),
            "y": np.where(x + random.normal(size=ROWS) > 0, "good", "bad"),
        }
    )


def test_credit_is_clean(credit: pd.DataFrame) -> None:
    assert said(credit.drop_duplicates(), "Status") == []
    assert said(credit.drop_duplicates(), "Price") == []


def test_clean_data_is_clean(frame: pd.DataFrame) -> None:
    assert said(frame) == []
    assert said(frame, "x") == []
    assert said(frame, None) == []


def test_equal_to_the_target(frame: pd.DataFrame) -> None:
    assert said(frame.assign(copy=frame["y"])) == [
        "Column 'copy' is equal to the target 'y'; leave it out."
    ]
    assert "equal" in said(frame.assign(copy=frame["y"].astype("category")))[0]
    assert "equal" in said(frame.assign(copy=frame["x"]), "x")[0]
    flags = frame.assign(y=frame["y"] == "good")
    assert "equal" in said(flags.assign(copy=flags["y"].astype(int)))[0]


def test_standing_for_the_target(frame: pd.DataFrame) -> None:
    for code in (
        frame["y"].map({"good": 1, "bad": 2}),
        frame["y"].map({"good": "yes", "bad": None}),
        frame["y"].map({"good": [1], "bad": [2]}),
    ):
        assert "'code' stands for the target 'y' one to one" in said(frame.assign(code=code))[0]


@pytest.mark.parametrize("rows", [2000, 60_000])
def test_predicting_the_target_alone(rows: int) -> None:
    x = np.random.default_rng(0).normal(size=rows)
    label = pd.Series(np.where(x > 1, "rare", "usual"))
    noisy = label.mask(pd.Series(np.random.default_rng(1).random(rows) < 0.001), "usual")
    for y in (label, noisy):
        sentences = said(pd.DataFrame({"score": x, "y": y}))
        assert "'score' alone predicts the target almost perfectly" in sentences[0]
        assert ("in a sample of 50,000 rows" in sentences[0]) == (rows > 50_000)
    words = pd.Series(x).gt(1).map({True: "r", False: "u"}) + pd.Series(range(rows)).mod(3).map(str)
    assert "'word' alone predicts" in said(pd.DataFrame({"word": words, "y": label}))[0]


def test_predicting_a_quantity_alone() -> None:
    y = np.exp(3 * np.random.default_rng(0).normal(size=ROWS))
    near = y * 1.1 * (1 + np.random.default_rng(1).normal(size=ROWS) * 0.01)
    assert "'near' alone predicts" in said(pd.DataFrame({"near": near, "y": y}))[0]
    place = pd.Series(random.integers(0, 10, ROWS))
    y = place**2 + random.normal(size=ROWS) * 0.1
    assert "'place' alone predicts" in said(pd.DataFrame({"place": place.map(str), "y": y}))[0]


def test_a_strong_honest_feature_is_no_leak() -> None:
    x = random.normal(size=5000)
    y = np.where(x + random.normal(size=5000) * 0.2 > 0, 1, 0)
    assert said(pd.DataFrame({"x": x, "y": y})) == []


def test_always_the_same_class_is_not_predicted() -> None:
    frame = pd.DataFrame({"x": range(100), "y": ["a"] * 100})
    assert not any("predicts" in s or "stands for" in s for s in said(frame))


def test_a_rare_class_does_not_make_everything_perfect() -> None:
    frame = pd.DataFrame({"x": random.normal(size=5000), "y": random.random(5000) < 0.005})
    assert said(frame) == []


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (range(ROWS), "n"),
        (random.permutation(ROWS), "customer_id"),
        (random.permutation(ROWS), "customerId"),
        ([f"c{i}" for i in range(ROWS)], "who"),
        (pd.array(random.permutation(ROWS), dtype="Int64"), "ID"),
    ],
)
def test_ids(frame: pd.DataFrame, values: Any, name: str) -> None:
    (sentence,) = said(frame.assign(**{name: values}))
    assert sentence.startswith(f"Column {name!r} looks like an id")


def test_numbers_that_are_all_different_are_no_ids(frame: pd.DataFrame) -> None:
    assert said(frame.assign(amount=random.permutation(ROWS) * 7)) == []
    assert said(frame.assign(grid=random.permutation(ROWS))) == []
    tiny = pd.DataFrame({"word": list("abcde"), "y": [1.5, 2.5, 3.5, 4.5, 5.5]})
    assert said(tiny) == []


def test_constants(frame: pd.DataFrame) -> None:
    found = said(frame.assign(one=1, none=np.nan, gap=[1.0] + [np.nan] * (ROWS - 1)))
    assert found == [
        "Column 'one' has the same value in every row; it tells a model nothing.",
        "Column 'none' has no value at all; it tells a model nothing.",
    ]


def test_duplicates_across_the_split(frame: pd.DataFrame) -> None:
    double = pd.concat([frame, frame.iloc[:10]], ignore_index=True)
    apart = Split(np.arange(ROWS), np.arange(ROWS, ROWS + 10), "by hand")
    assert leakage.check(double, apart, "y") == [
        "10 of 610 rows are duplicates of another row.",
        "10 of 10 test rows stand among the training rows as well, where a model can learn them "
        "by heart; drop the duplicates first.",
    ]
    together = Split(
        np.array([*range(20), *range(ROWS, ROWS + 10)]), np.arange(20, ROWS), "by hand"
    )
    assert leakage.check(double, together, "y") == ["10 of 610 rows are duplicates of another row."]


def test_an_id_does_not_hide_duplicates(frame: pd.DataFrame) -> None:
    double = pd.concat([frame, frame], ignore_index=True).assign(id=range(2 * ROWS))
    assert "600 of 1,200 rows are duplicates of another row." in said(double)


def test_duplicates_of_what_has_no_hash() -> None:
    frame = pd.DataFrame({"l": [[1, 2], [1, 2], [3]] * 30, "y": ["a", "a", "b"] * 30})
    assert "88 of 90 rows are duplicates of another row." in said(frame)


def test_groups_on_both_sides(frame: pd.DataFrame) -> None:
    grouped = frame.assign(customer_id=np.arange(ROWS) // 3)
    (sentence,) = said(grouped)
    assert "values of 'customer_id'" in sentence
    assert "--group customer_id" in sentence
    assert said(grouped, group="customer_id") == []
    broken = Split(np.arange(1, ROWS), np.array([0]), "by hand")
    assert "1 of the 1 values" in leakage.check(grouped, broken, "y", group="customer_id")[0]


def test_dates_on_both_sides(frame: pd.DataFrame) -> None:
    dated = frame.assign(day=pd.date_range("2020", periods=ROWS))
    (sentence,) = said(dated)
    assert "--time day" in sentence
    assert said(dated, time="day") == []
    broken = Split(np.arange(1, ROWS), np.array([0]), "by hand")
    assert leakage.check(dated, broken, "y", time="day") == [
        "599 training rows are as late as the first test row by 'day', or later."
    ]


def test_any_content_is_looked_at(frame: pd.DataFrame) -> None:
    odd = frame.assign(
        mixed=[1, "a", None] * (ROWS // 3),
        lists=[[i % 7] for i in range(ROWS)],
        flags=pd.array([True, None, False] * (ROWS // 3), dtype="boolean"),
        zoned=pd.Timestamp("2020-01-01", tz="Europe/Berlin"),
        infinite=np.inf,
        text=pd.array(["a", None, "b"] * (ROWS // 3), dtype="string"),
        category=pd.Categorical(["a", None, "b"] * (ROWS // 3)),
    )
    assert any("'zoned' has the same value" in s for s in said(odd))


def test_samples_are_looked_at_in_the_same_way_each_time(frame: pd.DataFrame) -> None:
    many = pd.concat([frame] * 100, ignore_index=True)
    many["gap"] = np.where(many.index < 3, many["x"], np.nan)  # none of them may be in the sample
    many["more"] = np.arange(len(many)) % 5
    assert len(many) > predictors.SAMPLE
    assert said(many) == said(many)
