"""The ready transformer takes any table and gives finite numbers."""

from __future__ import annotations

import datetime as dt
import io
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from mlops_magics.evidence import features

ROWS = 200
random = np.random.default_rng(0)


def with_gap(values: Any, dtype: Any = None) -> pd.Series:
    series = pd.Series(values, dtype=dtype)
    series[3] = None
    return series


words = random.choice(["x", "y", "z"], ROWS)
many = random.choice([f"v{i}" for i in range(60)], ROWS)

COLUMNS: dict[str, pd.Series] = {
    "a number with spaces": with_gap(random.normal(size=ROWS)),
    "integer": pd.Series(random.integers(0, 9, ROWS)),
    "boolean": pd.Series(random.random(ROWS) < 0.5),
    "boolean objects": with_gap(random.random(ROWS) < 0.5, object),
    "nullable boolean": with_gap(random.random(ROWS) < 0.5, "boolean"),
    "nullable integer": with_gap(random.integers(0, 9, ROWS), "Int64"),
    "nullable float": with_gap(random.normal(size=ROWS), "Float64"),
    "arrow integer": with_gap(random.integers(0, 9, ROWS), pd.ArrowDtype(pa.int32())),
    "all missing": pd.Series([np.nan] * ROWS),
    "text": with_gap(words, "str"),
    "objects": with_gap(words, object),
    "nullable text": with_gap(words, "string"),
    "arrow text": with_gap(words, pd.ArrowDtype(pa.string())),
    "category": with_gap(words, "category"),
    "nullable category": with_gap(words, "string").astype("category"),
    "codes": with_gap(random.integers(0, 4, ROWS)).astype("category"),
    "boolean category": pd.Series(random.random(ROWS) < 0.5).astype("category"),
    "mixed": with_gap([1, "a", 2.5, True] * (ROWS // 4), object),
    "many": with_gap(many, "str"),
    "many nullable": with_gap(many, "string"),
    "date": with_gap(pd.date_range("2020", periods=ROWS)),
    "zoned": pd.Series(pd.date_range("2020", periods=ROWS, tz="Europe/Berlin")),
    "day": pd.Series(pd.date_range("2020", periods=ROWS).date),
    "date objects": pd.Series(
        [pd.Timestamp(2020, 1, 1 + i % 28) for i in range(ROWS)], dtype=object
    ),
    "text dates": pd.Series(pd.date_range("2020", periods=ROWS).strftime("%Y-%m-%d")),
}
TARGET = pd.Series(random.choice(["bad", "good"], ROWS), name="y")


def fitted(frame: pd.DataFrame, target: str | None = "y") -> Any:
    found = features.transformer(frame.assign(y=TARGET), target)
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        return found.fit(frame, TARGET)


def finite(values: Any) -> bool:
    return isinstance(values, np.ndarray) and bool(np.isfinite(values.astype(float)).all())


@pytest.mark.parametrize("name", COLUMNS)
def test_every_kind_of_column(name: str) -> None:
    frame = pd.DataFrame({name: COLUMNS[name]})
    assert features.left_out(frame) == {}
    transformer = fitted(frame)
    whole = transformer.transform(frame)
    assert finite(whole)
    assert whole.shape[0] == ROWS
    assert whole.shape[1] >= 1
    np.testing.assert_allclose(transformer.transform(frame.iloc[[0]]), whole[:1], atol=1e-6)
    assert finite(transformer.transform(pd.DataFrame({name: [None, None]})))


def test_all_together_and_as_they_come_from_json() -> None:
    frame = pd.DataFrame(COLUMNS)
    transformer = fitted(frame)
    assert finite(transformer.transform(frame))
    rows = frame.head(3).to_json(orient="records", date_format="iso")
    served = pd.read_json(io.StringIO(rows), convert_dates=False)
    assert finite(transformer.transform(served))


def test_missing_is_missing_however_it_is_written() -> None:
    transformer = fitted(pd.DataFrame({"text": COLUMNS["text"]}))
    one, other = (
        transformer.transform(pd.DataFrame({"text": pd.Series([v], dtype=object)}))
        for v in (None, np.nan)
    )
    assert (one == other).all()
    present = transformer.transform(pd.DataFrame({"text": ["x"]}))
    assert (one != present).any()


def test_unseen_categories_are_taken() -> None:
    names = ["text", "category", "codes", "many", "mixed"]
    transformer = fitted(pd.DataFrame({n: COLUMNS[n] for n in names}))
    unseen = pd.DataFrame(
        {"text": ["new"], "category": ["new"], "codes": [99], "many": ["new"], "mixed": ["new"]}
    )
    assert finite(transformer.transform(unseen))


def test_missing_only_in_production_is_taken(credit: pd.DataFrame) -> None:
    X, y = credit.drop(columns="Status"), credit["Status"]
    model = make_pipeline(features.transformer(credit, "Status"), LogisticRegression()).fit(X, y)
    gaps = pd.DataFrame([dict.fromkeys(X.columns)])
    assert model.predict(gaps)[0] in ("good", "bad")


def test_credit_learns(credit: pd.DataFrame) -> None:
    X, y = credit.drop(columns="Status"), credit["Status"]
    for estimator in (LogisticRegression(max_iter=500), RandomForestClassifier(30, random_state=0)):
        model = make_pipeline(features.transformer(credit, "Status"), estimator)
        model.fit(X[:3500], y[:3500])
        assert model.score(X[3500:], y[3500:]) > y[3500:].eq("good").mean() + 0.03


def test_survives_skops() -> None:
    frame = pd.DataFrame(COLUMNS)
    if pd.__version__ < "3":
        frame = frame.drop(columns="zoned")  # skops does not get through its zone (→ cloudpickle)
    model = make_pipeline(
        features.transformer(frame.assign(y=TARGET), "y"), LogisticRegression()
    ).fit(frame, TARGET)
    data = skops.io.dumps(model)
    types = skops.io.get_untrusted_types(data=data)
    libraries = ("numpy.", "pandas.", "skrub.", "sklearn.", "zoneinfo.")
    assert all(t.startswith(libraries) for t in types)
    again = skops.io.loads(data, trusted=types)
    np.testing.assert_array_equal(again.predict_proba(frame), model.predict_proba(frame))


def test_plain_columns_need_scikit_learn_only() -> None:
    frame = pd.DataFrame({n: COLUMNS[n] for n in ("a number with spaces", "text", "many")})
    data = skops.io.dumps(fitted(frame))
    assert not [t for t in skops.io.get_untrusted_types(data=data) if t.startswith("skrub")]


def test_same_data_same_numbers() -> None:
    frame = pd.DataFrame({"many": COLUMNS["many"]})
    one, same = (
        features.transformer(frame.assign(y=TARGET), "y").fit_transform(frame, TARGET)
        for _ in range(2)
    )
    np.testing.assert_array_equal(one, same)


def test_without_a_target() -> None:
    frame = pd.DataFrame(COLUMNS)
    transformer = features.transformer(frame).fit(frame)
    assert finite(transformer.transform(frame))


def test_the_target_is_no_feature(credit: pd.DataFrame) -> None:
    used = [c for _, _, names in features.transformer(credit, "Status").transformers for c in names]
    assert sorted(used) == sorted(c for c in credit.columns if c != "Status")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([[1, 2]] * 50, "lists"),
        ([{"a": 1}] * 50, "mappings"),
        (pd.to_timedelta(range(50), unit="s"), "total_seconds"),
        ([None] * 50, "no value"),
        ([dt.date(2020, 1, 1), dt.datetime(2020, 1, 2, 12, 30)] * 25, "pd.to_datetime"),
        ([f"customer {i}" for i in range(50)], "another value in every row"),
    ],
)
def test_what_is_left_out_is_said(values: Any, reason: str) -> None:
    frame = pd.DataFrame({"a": values, "b": range(50)})
    sentence = features.left_out(frame)["a"]
    assert sentence.startswith("`features` leaves out 'a': it ")
    assert reason in sentence
    assert features.transformer(frame).fit_transform(frame).shape == (50, 1)
    assert features.left_out(frame, target="a") == {}


def test_five_rows() -> None:
    frame = pd.DataFrame({"n": [1, 2, 3, 4, 5], "w": list("abcde")})
    y = pd.Series([0, 1, 0, 1, 0])
    model = make_pipeline(features.transformer(frame.assign(y=y), "y"), LogisticRegression())
    assert len(model.fit(frame, y).predict(frame)) == 5
