"""Permutation importance and partial dependence: as scikit-learn has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlops_magics.errors import BadData, UnknownName, WrongUsage
from mlops_magics.explanations import dependence, directions, mosaic, permutation, places, questions

NUMBERS = ["Seniority", "Time", "Age", "Amount", "Price"]


@pytest.fixture
def rows(credit: pd.DataFrame) -> pd.DataFrame:
    return credit.dropna(subset=["Status"]).iloc[:800].reset_index(drop=True)


@pytest.fixture
def model(rows: pd.DataFrame) -> Any:
    made = make_pipeline(StandardScaler(), LogisticRegression())
    return made.fit(rows[NUMBERS], rows["Status"] == "bad")


def answers(model: Any) -> Any:
    return lambda frame: (model.predict(frame), model.predict_proba(frame))


def test_importance_is_the_loss_of_the_metric_by_the_same_shuffles(
    rows: pd.DataFrame, model: Any
) -> None:
    X, y = rows[NUMBERS], rows["Status"] == "bad"
    whole = roc_auc_score(y, model.predict_proba(X)[:, 1])

    def loss(said: Any) -> float:
        return float(whole - roc_auc_score(y, said[1][:, 1]))

    found = permutation.importances(X, answers(model), loss, repeats=4, seed=3)
    chance = np.random.default_rng(3)
    shuffles = [chance.permutation(len(X)) for _ in range(4)]
    for j, name in enumerate(NUMBERS):
        lost = [
            whole
            - roc_auc_score(y, model.predict_proba(X.assign(**{name: X[name].to_numpy()[s]}))[:, 1])
            for s in shuffles
        ]
        assert found[j].loss == pytest.approx(np.mean(lost), abs=1e-12)
        assert found[j].interval is not None
        assert found[j].interval[0] <= found[j].loss <= found[j].interval[1]
    theirs = permutation_importance(
        model, X, y, scoring="roc_auc", n_repeats=20, random_state=0
    ).importances_mean
    ours = [one.loss for one in permutation.importances(X, answers(model), loss, 20)]
    assert np.argsort(ours).tolist() == np.argsort(theirs).tolist()
    np.testing.assert_allclose(ours, theirs, atol=0.01)


def test_the_model_is_asked_seldom_and_never_for_too_many_rows(monkeypatch: Any) -> None:
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(100, 6)), columns=list("abcdef"))
    sizes: list[int] = []

    def answer(frame: pd.DataFrame) -> Any:
        sizes.append(len(frame))
        return frame["a"].to_numpy(), None

    permutation.importances(X, answer, lambda said: float(said[0].sum()), repeats=5)
    assert sizes == [3000]
    sizes.clear()
    monkeypatch.setattr(mosaic, "ROWS", 700)
    permutation.importances(X, answer, lambda said: float(said[0].sum()), repeats=5)
    assert sizes == [700, 700, 700, 700, 200]


def test_a_constant_column_is_not_asked_for_and_a_single_repeat_has_no_interval() -> None:
    X = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [None, None, None], "c": ["x", "x", "x"]})
    found = permutation.importances(
        X, lambda f: (f["a"].to_numpy(), None), lambda said: 1.0, repeats=1
    )
    assert [one.constant for one in found] == [False, True, True]
    assert [one.loss for one in found] == [1.0, 0.0, 0.0]
    assert found[0].interval is None


def test_types_stay_as_they_are_in_rows_put_together() -> None:
    pool = pd.DataFrame(
        {
            "whole": [1, 2, 3],
            "kind": pd.Categorical(["a", "b", "a"], categories=["a", "b", "c"]),
            "text": ["x", None, "z"],
            "at": pd.to_datetime(["2024-01-01", "2024-02-01", None]),
            "maybe": pd.array([1, None, 3], dtype="Int64"),
        }
    )
    sources = np.array([[2, 1, 1, 0, 2], [0, 0, 0, 2, 1]])
    found = mosaic.rows(
        pool,
        [
            mosaic.Variant(np.array([0]), {j: sources[:1, j] for j in range(5)}),
            # The whole number and the text are those of the row itself.
            mosaic.Variant(
                np.array([0]), {1: sources[1:, 1], 3: sources[1:, 3], 4: sources[1:, 4]}
            ),
        ],
    )
    assert found.dtypes.to_dict() == pool.dtypes.to_dict()
    assert found["whole"].tolist() == [3, 1]
    assert found["kind"].tolist() == ["b", "a"]
    assert found.isna().to_numpy().tolist() == [
        [False, False, True, False, False],
        [False, False, False, True, True],
    ]


def test_partial_dependence_is_that_of_scikit_learn_on_the_same_places(
    rows: pd.DataFrame, model: Any
) -> None:
    X = rows[NUMBERS].iloc[:300].astype(float)
    at = NUMBERS.index("Amount")
    found = dependence.dependences(X, [at], answers(model), lambda said: said[1][:, 1])[at]
    grid = [float(v) for v in found.places.values]
    theirs = partial_dependence(
        model, X, ["Amount"], custom_values={"Amount": np.array(grid)}, kind="average",
        response_method="predict_proba", method="brute",
    )  # fmt: skip
    np.testing.assert_allclose(found.average, theirs["average"][0], rtol=1e-9)
    assert 10 < len(grid) <= places.NUMBERS
    assert grid == sorted(grid)
    assert sum(found.places.shares) == pytest.approx(1)


def test_places_of_few_numbers_categories_times_and_missing_values() -> None:
    few = places.of(pd.Series([3, 1, 1, None, 2]))
    assert few.values == (1.0, 2.0, 3.0, None)
    assert few.shares == (0.4, 0.2, 0.2, 0.2)
    words = places.of(pd.Series(["b", "a", "a", None]))
    assert words.values == ("a", "b", None)
    assert words.kind == "category"
    many = places.of(pd.Series([f"v{i % 30}" for i in range(100)]))
    assert len(many.values) == places.CATEGORIES
    times = places.of(pd.Series(pd.to_datetime(["2024-03-01", "2024-01-01"])))
    assert times.values == ("2024-01-01", "2024-03-01")
    assert times.kind == "time"
    empty = places.of(pd.Series([np.nan, np.nan]))
    assert empty.values == (None,)
    truth = places.of(pd.Series([True, False, True]))
    assert truth.values == (True, False)
    lists = places.of(pd.Series([[1], [1], [2]]))
    assert lists.values == ("[1]", "[2]")


@pytest.mark.parametrize(
    ("function", "word"),
    [
        (lambda v: v, "raises"),
        (lambda v: -(v**3), "lowers"),
        (lambda v: v**2, "mixed"),
        (lambda v: 0 * v, "none"),
    ],
)
def test_the_direction_in_one_word(function: Any, word: str) -> None:
    X = pd.DataFrame({"v": np.linspace(-1, 1, 101), "w": ["a", "b", "c"] * 33 + ["a", "b"]})
    found = dependence.dependences(
        X, [0, 1], lambda f: (function(f["v"]).to_numpy(), None), lambda said: said[0]
    )
    assert directions.of_dependence(found[0]) == word
    assert directions.of_dependence(found[1]) == "by category"
    assert directions.of_contributions(X["v"], function(X["v"]).to_numpy()) == word
    assert directions.of_contributions(X["w"], X["v"].to_numpy()) == "by category"


def test_what_is_explained_of_each_kind_of_answer() -> None:
    said = np.array(["a", "b", "a"], dtype=object)
    chances = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    two = questions.Answered.of("classification", ("a", "b"), said, chances)
    assert two.usual() == "b"
    assert two.usual("a") == "a"
    question = two.question("a")
    assert question.about == "the probability of 'a'"
    assert question.read((said, chances)).tolist() == [0.9, 0.2, 0.6]

    margins = np.array([-2.0, 1.0, -0.5])
    ranked = questions.Answered.of("classification", ("a", "b"), said, margins)
    assert ranked.question("b").about == "the decision function of 'b'"
    assert ranked.question("b").read((said, margins)).tolist() == margins.tolist()
    assert ranked.question("a").read((said, margins)).tolist() == (-margins).tolist()

    plain = questions.Answered.of("classification", None, said, None)
    assert plain.classes == ("a", "b")
    assert plain.question("a").about == "the share answered with 'a'"
    assert plain.question("a").read((said, None)).tolist() == [1, 0, 1]

    numbers = questions.Answered.of("regression", None, np.array([1.5]), None, "Price")
    assert numbers.question(None).about == "the predicted Price"
    assert numbers.usual() is None
    with pytest.raises(WrongUsage, match="the model predicts numbers"):
        numbers.named("high")
    with pytest.raises(UnknownName, match="Did you mean 'good'"):
        questions.Answered.of("classification", ("good", "bad"), said, None).named("god")
    with pytest.raises(BadData, match=r"1 of 2 answers .* missing \(NaN\)"):
        numbers.question(None).read((np.array([1.0, np.nan]), None))


def test_of_three_classes_the_one_predicted_most_is_explained() -> None:
    said = np.array([2, 0, 2, 1])
    found = questions.Answered.of("classification", (0, 1, 2), said, None)
    assert found.usual() == 2
    assert found.named("1") == 1


def test_importance_of_a_regression_by_how_much_the_answers_move() -> None:
    chance = np.random.default_rng(0)
    X = pd.DataFrame({"much": chance.normal(size=500), "little": chance.normal(size=500)})
    model = LinearRegression().fit(X, 5 * X["much"] + X["little"])
    before = model.predict(X)
    found = permutation.importances(
        X,
        lambda f: (model.predict(f), None),
        lambda said: float(np.abs(said[0] - before).mean()),
    )
    # The mean distance of two independent normal values is 2/√π deviations.
    np.testing.assert_allclose([f.loss for f in found], [10 / np.pi**0.5, 2 / np.pi**0.5], rtol=0.1)
