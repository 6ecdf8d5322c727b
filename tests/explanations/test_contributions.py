"""Contributions: equal to SHAP's where it is exact, to exact Shapley values in the limit."""

from __future__ import annotations

import importlib.util
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import special
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import (
    Lasso,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    RidgeClassifier,
)
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC

from mlops_magics import evidence
from mlops_magics.explanations import linear, origins, sampling
from tests.conftest import need
from tests.explanations.asking import Told

NUMBERS = ["Seniority", "Time", "Age", "Amount", "Price"]


@pytest.fixture
def frame(credit: pd.DataFrame) -> pd.DataFrame:
    return credit.dropna(subset=["Status"]).iloc[:900].reset_index(drop=True)


def features(frame: pd.DataFrame) -> Any:
    return evidence.features.transformer(frame, target="Status")


def adds_up(told: Told, rows: pd.DataFrame, unit: str) -> np.ndarray:
    """The contributions, after looking that with the base they make the model's own answers."""
    found = told.explain(rows)
    total = found.base + found.values.sum(axis=1)
    ways = {"log-odds": special.expit, "logarithm of the prediction": np.exp}
    assert found.unit == unit
    np.testing.assert_allclose(
        ways.get(unit, lambda v: v)(total), told.answers(rows), rtol=1e-5, atol=1e-6
    )
    return found.values


@pytest.mark.parametrize("outcome", ["bad", "good"])
def test_a_linear_model_is_explained_as_shap_does_it(frame: pd.DataFrame, outcome: str) -> None:
    shap = need("shap")
    X = frame[NUMBERS]
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, frame["Status"])
    told = Told(model, X, outcome)
    assert told.explainer.kind == "linear"
    values = adds_up(told, X[:50], "log-odds")
    scaled = model[:-1].transform(X)
    theirs = shap.LinearExplainer(model[-1], shap.maskers.Independent(scaled[:200], 200))
    sign = 1 if outcome == "good" else -1
    np.testing.assert_allclose(values, sign * theirs.shap_values(scaled[:50]), atol=1e-9)


def test_trees_are_explained_as_shap_does_it_on_the_raw_model(frame: pd.DataFrame) -> None:
    shap = need("shap")
    X = frame[NUMBERS]
    forest = RandomForestClassifier(20, max_depth=6, random_state=0).fit(X, frame["Status"])
    told = Told(forest, X, "bad")
    values = adds_up(told, X[:20], "probability")
    theirs = shap.TreeExplainer(forest).shap_values(X[:20])[:, :, 0]
    np.testing.assert_allclose(values, theirs, atol=1e-12)


SKLEARN: dict[str, tuple[Callable[[], Any], str, str]] = {
    "logistic": (lambda: LogisticRegression(max_iter=500), "linear", "log-odds"),
    "linear svc": (LinearSVC, "linear", "decision function"),
    "ridge": (RidgeClassifier, "linear", "decision function"),
    "forest": (lambda: RandomForestClassifier(10, random_state=0), "trees", "probability"),
    "hist": (lambda: HistGradientBoostingClassifier(max_iter=10), "trees", "log-odds"),
    "boosting": (lambda: GradientBoostingClassifier(n_estimators=10), "trees", "log-odds"),
    "neighbours": (KNeighborsClassifier, "sampled", "probability"),
    "kernel": (lambda: SVC(kernel="rbf"), "sampled", "decision function"),
}


@pytest.mark.parametrize("name", SKLEARN)
def test_contributions_of_your_columns_add_up_to_the_answer(name: str, frame: pd.DataFrame) -> None:
    make, kind, unit = SKLEARN[name]
    if kind == "trees":
        need("shap")
    X = frame.drop(columns="Status")
    model = make_pipeline(features(frame), make()).fit(X, frame["Status"])
    told = Told(model, X, "bad")
    assert told.explainer.kind == kind
    values = adds_up(told, X[:12], unit)
    assert values.shape == (12, X.shape[1])
    assert told.explainer.notes == []


@pytest.mark.parametrize("library", ["xgboost", "lightgbm", "catboost"])
def test_boosted_trees_with_text_columns(library: str, frame: pd.DataFrame) -> None:
    need("shap")
    need(library)
    X, y = frame.drop(columns="Status"), (frame["Status"] == "bad").astype(int)
    text = [c for c in X if evidence.columns.type_of(X[c]) == "string"]
    if library == "xgboost":
        import xgboost

        model: Any = xgboost.XGBClassifier(n_estimators=10, enable_categorical=True)
        model.fit(X.astype(dict.fromkeys(text, "category")), y)
    elif library == "lightgbm":
        import lightgbm

        model = lightgbm.LGBMClassifier(n_estimators=10, verbose=-1)
        model.fit(X.astype(dict.fromkeys(text, "category")), y)
    else:
        import catboost

        model = catboost.CatBoostClassifier(iterations=10, verbose=0, allow_writing_files=False)
        X = X.fillna(dict.fromkeys(text, "missing"))
        model.fit(X, y, cat_features=text)
    told = Told(model, X)
    assert told.explainer.kind == "trees"
    adds_up(told, X[:20], "log-odds")


@pytest.mark.parametrize(
    ("model", "unit"),
    [
        (LinearRegression(), "predicted y"),
        (Lasso(), "predicted y"),
        (PoissonRegressor(), "logarithm of the prediction"),
        (RandomForestRegressor(10, random_state=0), "predicted y"),
        (HistGradientBoostingRegressor(max_iter=10), "predicted y"),
    ],
    ids=lambda m: type(m).__name__,
)
def test_regressions(model: Any, unit: str, frame: pd.DataFrame) -> None:
    X = frame[NUMBERS[:4]]
    told = Told(make_pipeline(StandardScaler(), model).fit(X, frame["Price"]), X)
    assert told.explainer.kind in ("linear", "trees")
    adds_up(told, X[:10], unit)


@pytest.mark.parametrize(
    ("model", "unit"),
    [
        (LogisticRegression(max_iter=500), "score before the softmax"),
        (RandomForestClassifier(10, random_state=0), "probability"),
        (HistGradientBoostingClassifier(max_iter=5), "score before the softmax"),
    ],
    ids=lambda m: type(m).__name__,
)
def test_of_many_classes_each_has_contributions_of_its_own(
    model: Any, unit: str, frame: pd.DataFrame
) -> None:
    X, y = frame[NUMBERS], frame["Job"].fillna("none")
    fitted = make_pipeline(StandardScaler(), model).fit(X, y)
    tops = {}
    for outcome in fitted.classes_[:2]:
        told = Told(fitted, X, outcome)
        found = told.explain(X[:10])
        assert found.unit == unit
        assert found.exact
        tops[outcome] = found.values
        if unit == "probability":
            total = found.base + found.values.sum(axis=1)
            np.testing.assert_allclose(total, told.answers(X[:10]), atol=1e-12)
    assert not np.allclose(*tops.values())


def exact(answer: Callable[[pd.DataFrame], Any], row: pd.DataFrame, base: pd.DataFrame) -> list:
    """Shapley values by their definition: over all subsets of the columns."""
    names = list(row.columns)

    def worth(subset: tuple[str, ...]) -> float:
        mixed = base.copy()
        for name in subset:
            mixed[name] = row[name].iloc[0]
        return float(answer(mixed).mean())

    found = []
    for name in names:
        others = [n for n in names if n != name]
        value = 0.0
        for size in range(len(names)):
            for subset in itertools.combinations(others, size):
                weight = math.factorial(size) * math.factorial(len(names) - size - 1)
                value += weight * (worth((*subset, name)) - worth(subset))
        found.append(value / math.factorial(len(names)))
    return found


def test_sampling_comes_to_the_exact_values_and_says_how_near_it_is() -> None:
    chance = np.random.default_rng(1)
    rows = pd.DataFrame(chance.normal(size=(400, 4)), columns=list("abcd"))

    def answer(frame: pd.DataFrame) -> tuple[Any, None]:
        return (frame["a"] * frame["b"] + np.maximum(frame["c"], 0)).to_numpy(), None

    row, base = rows.iloc[[7]], rows.iloc[:200]
    found = sampling.contributions(row, base, answer, lambda said: np.asarray(said[0]))
    wanted = exact(lambda f: answer(f)[0], row, base)
    assert np.all(np.abs(found.values[0] - wanted) <= 4 * found.errors[0] + 1e-12)
    # The antithetic walk is exact for two columns that interact, but for what the base rows vary.
    assert np.abs(found.values[0] - wanted).max() < 0.1
    assert found.values[0, 3] == 0
    total = found.base + found.values.sum()
    assert total == pytest.approx(answer(row)[0][0], abs=1e-12)


def test_sampling_of_a_single_column_needs_no_walk() -> None:
    rows = pd.DataFrame({"a": [1.0, 2.0, 6.0]})
    found = sampling.contributions(
        rows, rows, lambda f: (f["a"].to_numpy(), None), lambda said: np.asarray(said[0])
    )
    np.testing.assert_allclose(found.values[:, 0], [-2, -1, 3])


def test_one_hot_columns_belong_to_the_column_that_they_code(frame: pd.DataFrame) -> None:
    X = frame[["Home", "Age", "Marital"]]
    coder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["Home", "Marital"]), (StandardScaler(), ["Age"])
    ).fit(X)
    names = [n.partition("__")[2].partition("_")[0] for n in coder.get_feature_names_out()]
    found = origins.of(coder.transform, X)
    assert found is not None
    assert [X.columns[j] for j in found] == names


def test_words_of_a_text_belong_to_the_text() -> None:
    X = pd.DataFrame({"said": ["good food", "bad food", "good", "awful"] * 20, "n": range(80)})
    y = [1, 0, 1, 0] * 20
    coder = make_column_transformer((TfidfVectorizer(), "said"), (StandardScaler(), ["n"]))
    told = Told(make_pipeline(coder, LogisticRegression()).fit(X, y), X)
    assert told.explainer.kind == "linear"
    values = adds_up(told, X[:8], "log-odds")
    assert np.abs(values[:, 0]).min() > 10 * np.abs(values[:, 1]).max()


def test_where_columns_are_mixed_it_is_sampled_and_said(frame: pd.DataFrame) -> None:
    X = frame[NUMBERS]
    model = make_pipeline(StandardScaler(), PCA(3), LogisticRegression()).fit(X, frame["Status"])
    told = Told(model, X, "bad")
    assert told.explainer.kind == "sampled"
    assert "come from several of yours at once" in told.explainer.notes[0]
    found = told.explain(X[:5])
    assert not found.exact
    assert "32 permutations" in found.method
    adds_up(told, X[:5], "probability")


def test_a_search_is_looked_into(frame: pd.DataFrame) -> None:
    X = frame[NUMBERS]
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression()),
        {"logisticregression__C": [0.1, 1]},
        cv=2,
    ).fit(X, frame["Status"])
    told = Told(search, X, "bad")
    assert told.explainer.kind == "linear"
    adds_up(told, X[:5], "log-odds")


def test_without_shap_trees_are_sampled_and_the_extra_is_named(
    frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "shap" else real(name, *a)
    )
    X = frame[NUMBERS]
    told = Told(RandomForestClassifier(5, random_state=0).fit(X, frame["Status"]), X, "bad")
    assert told.explainer.kind == "sampled"
    assert "pip install 'mlops_magics[explain]'" in told.explainer.notes[0]
    assert told.explainer.notes[0].startswith("The contributions were sampled: SHAP")
    adds_up(told, X[:3], "probability")


def test_parts_that_do_not_make_the_answer_are_not_shown(frame: pd.DataFrame) -> None:
    """A model that has weights and answers otherwise is asked, not believed."""

    class Shifted(LinearRegression):
        def predict(self, X: Any) -> np.ndarray:
            return np.asarray(super().predict(X)) ** 2

    X = frame[NUMBERS[:3]]
    told = Told(Shifted().fit(X, frame["Price"]), X)
    assert told.explainer.kind == "linear"
    adds_up(told, X[:5], "predicted y")
    assert told.explainer.kind == "sampled"
    assert "do not add up to the model's answers" in told.explainer.notes[0]


@pytest.mark.parametrize("intercept", [0.5, [0.5], [[0.5]]])
def test_weights_are_read_in_every_shape(intercept: Any) -> None:
    class Weighted:
        coef_ = np.array([1.0, 2.0])
        intercept_ = np.asarray(intercept)

    found = linear.parts(Weighted(), np.array([[1.0, 1.0]]), np.zeros((2, 2)))
    assert found is not None
    assert found.sums.tolist() == [[3.5]]
    assert found.base.tolist() == [0.5]
