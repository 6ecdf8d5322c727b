"""Models as ONNX graphs: the same answers on real data, whatever they were made with."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_magics import flavors
from mlops_magics.errors import BadData
from mlops_magics.evidence import features
from mlops_magics.flavors import onnx
from mlops_magics.flavors.onnx import parity, sessions
from mlops_magics.flavors.predictors import Input, Predictor
from tests.conftest import need

for _module in ("onnx", "onnxruntime", "skl2onnx"):
    need(_module)


def predictor(model: Any, X: Any, y: Any = None) -> Predictor:
    """The model as a predictor with a signature, as it is when it was loaded."""
    flavor = flavors.recognise(model)
    assert flavor is not None
    found = flavor.predictor(model, flavor.observe(model, X, y) if y is not None else {})
    if not hasattr(X, "columns"):
        found.columns = (Input(None, "float32", True, (-1, X.shape[1])),)
        return found
    kinds = {"f": "double", "i": "long", "b": "boolean"}
    found.columns = tuple(Input(c, kinds.get(X[c].dtype.kind, "string"), False) for c in X)
    return found


def same(model: Any, X: Any, y: Any = None) -> parity.Parity:
    """How the graph compares with its model; it is the same graph each time."""
    asked = predictor(model, X, y)
    converted = onnx.convert(asked)
    assert onnx.convert(asked).content == converted.content
    return parity.compare(asked, converted, sessions.opened(converted.content), X)


def fitted(estimator: Any, X: pd.DataFrame, y: Any) -> Any:
    """Behind the ready transformer, with its text, missing values and rare categories."""
    from sklearn.pipeline import make_pipeline

    transformer = features.transformer(X.assign(target=y), "target")
    return make_pipeline(transformer, estimator).fit(X, y)


def classifiers() -> dict[str, Callable[[], Any]]:
    from sklearn import calibration, ensemble, linear_model, neural_network, svm, tree

    return {
        "logistic": lambda: linear_model.LogisticRegression(max_iter=500),
        "forest": lambda: ensemble.RandomForestClassifier(20, random_state=0),
        "histograms": lambda: ensemble.HistGradientBoostingClassifier(max_iter=30),
        "boosting": lambda: ensemble.GradientBoostingClassifier(n_estimators=10),
        "tree": lambda: tree.DecisionTreeClassifier(),
        "network": lambda: neural_network.MLPClassifier((8,), max_iter=20),
        "margins": lambda: svm.LinearSVC(),
        "calibrated": lambda: calibration.CalibratedClassifierCV(
            linear_model.LogisticRegression(max_iter=300)
        ),
        "bagging": lambda: ensemble.BaggingClassifier(n_estimators=3, random_state=0),
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", list(classifiers()))
def test_two_classes(name: str, credit: pd.DataFrame) -> None:
    X, y = credit.drop(columns="Status"), credit["Status"]
    found = same(fitted(classifiers()[name](), X, y), X)
    assert (found.rows, found.labels_equal) == (len(credit), 1.0)
    # Only what skl2onnx writes in single precision is further away.
    assert found.largest < (1e-6 if name == "bagging" else 1e-12)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["logistic", "forest", "histograms", "boosting"])
def test_several_classes(name: str, credit: pd.DataFrame) -> None:
    X, y = credit.drop(columns=["Home", "Status"]), credit["Home"].fillna("unknown")
    found = same(fitted(classifiers()[name](), X, y), X)
    assert found.labels_equal == 1.0
    assert found.largest < 1e-12


def test_numbers_and_other_classes(credit: pd.DataFrame) -> None:
    from sklearn import ensemble, linear_model

    X, y = credit.drop(columns="Amount"), credit["Amount"].astype(float)
    for estimator in (
        linear_model.Ridge(),
        ensemble.RandomForestRegressor(10, random_state=0),
        ensemble.HistGradientBoostingRegressor(max_iter=20, loss="poisson"),
        ensemble.GradientBoostingRegressor(n_estimators=10),
    ):
        found = same(fitted(estimator, X, y), X)
        assert found.labels_equal is None
        assert found.largest < 1e-12
    rows = credit.drop(columns="Status")
    for truth in (credit["Status"] == "good", 1 * (credit["Status"] == "good")):
        model = fitted(linear_model.LogisticRegression(max_iter=500), rows, truth)
        assert same(model, rows).within(1e-12)


def test_xgboost_in_a_pipeline_and_by_itself(credit: pd.DataFrame) -> None:
    xgboost = need("xgboost")
    X, y = credit.drop(columns="Status"), 1 * (credit["Status"] == "good")
    assert same(fitted(xgboost.XGBClassifier(n_estimators=20), X, y), X).within()
    numbers = X.select_dtypes("number")
    poisson = xgboost.XGBRegressor(n_estimators=20, objective="count:poisson")
    assert same(poisson.fit(numbers, X["Amount"]), numbers).within()
    homes = pd.factorize(credit["Home"].fillna("unknown"))[0]
    assert same(xgboost.XGBClassifier(n_estimators=5).fit(numbers, homes), numbers).within()
    booster = xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(numbers, y), 10)
    assert same(booster, numbers).within()
    zero = xgboost.XGBClassifier(n_estimators=3, missing=0.0).fit(numbers, y)
    with pytest.raises(BadData, match=r"takes 0\.0 for missing"):
        onnx.convert(predictor(zero, numbers))
    categories = X.astype({"Home": "category"})[["Home", "Age"]]
    model = xgboost.XGBClassifier(n_estimators=3, enable_categorical=True).fit(categories, y)
    with pytest.raises(BadData):
        onnx.convert(predictor(model, categories))


def test_lightgbm_in_a_pipeline_and_by_itself(credit: pd.DataFrame) -> None:
    lightgbm = need("lightgbm")
    X, y = credit.drop(columns="Status"), credit["Status"]
    options = {"n_estimators": 20, "verbose": -1}
    assert same(fitted(lightgbm.LGBMClassifier(**options), X, y), X).within(1e-12)
    numbers = X.select_dtypes("number")
    assert same(
        lightgbm.LGBMClassifier(**options).fit(numbers, X["Job"].fillna("")), numbers
    ).within()
    tweedie = lightgbm.LGBMRegressor(objective="tweedie", **options)
    assert same(tweedie.fit(numbers, X["Amount"]), numbers).within(1e-12)
    data = lightgbm.Dataset(numbers, 1 * (y == "good"))
    assert same(lightgbm.train({"objective": "binary", "verbose": -1}, data, 5), numbers).within()


def test_a_module_of_pytorch(credit: pd.DataFrame) -> None:
    torch = need("torch")
    rows = credit[["Seniority", "Time", "Age"]].to_numpy(dtype="float32") / 50
    y = 1 * (credit["Status"] == "good").to_numpy()
    for width in (1, 2):
        model = torch.nn.Sequential(
            torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, width)
        )
        assert same(model, rows, y).within()
    assert same(model[:1].append(torch.nn.Linear(8, 1)), rows, credit["Amount"]).within()


@pytest.mark.filterwarnings("ignore")
def test_other_encoders_and_text(credit: pd.DataFrame) -> None:
    from sklearn.compose import make_column_transformer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, PolynomialFeatures

    text = credit["Home"].fillna("no home") + " " + credit["Job"].fillna("none")
    X = credit[["Home", "Job", "Age", "Time"]].assign(text=text)
    ordinal = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
    )
    columns = make_column_transformer(
        (OneHotEncoder(drop="first"), ["Home"]),
        (ordinal, ["Job"]),
        (TfidfVectorizer(), "text"),
        (PolynomialFeatures(2), ["Age"]),
        remainder="passthrough",
    )
    model = make_pipeline(columns, LogisticRegression(max_iter=2000)).fit(X, credit["Status"])
    asked = predictor(model, X)
    converted = onnx.convert(asked)
    assert "refuses a category" in converted.notes[0]
    found = parity.compare(asked, converted, sessions.opened(converted.content), X)
    assert found.within(), found


def test_what_can_not_be_converted_is_named(credit: pd.DataFrame) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    X = credit.drop(columns="Status").assign(day=pd.Timestamp("2024-05-01"))
    asked = predictor(fitted(LogisticRegression(max_iter=500), X, credit["Status"]), X)
    asked.columns = (*asked.columns[:-1], Input("day", "datetime"))
    with pytest.raises(BadData, match=r"no column of type datetime \('day'\)"):
        onnx.convert(asked)
    numbers = credit[["Age", "Time"]]
    model = make_pipeline(Doubled(), LogisticRegression()).fit(numbers, credit["Status"])
    with pytest.raises(BadData, match=r"In the step 'doubled': .*Doubled can't be converted"):
        onnx.convert(predictor(model, numbers))


class Doubled:
    """A step that nobody knows."""

    def fit(self, X: Any, y: Any = None) -> Doubled:
        return self

    def transform(self, X: Any) -> Any:
        return 2 * np.asarray(X)


def test_dates_are_refused_by_the_name_of_their_step(credit: pd.DataFrame) -> None:
    from sklearn.linear_model import LogisticRegression

    days = pd.date_range("2024-01-01", periods=len(credit)).strftime("%Y-%m-%d")
    X = credit[["Age"]].assign(day=days)
    model = fitted(LogisticRegression(max_iter=500), X, credit["Status"])
    with pytest.raises(BadData, match=r"'time day': skrub's ToDatetime can't be converted"):
        onnx.convert(predictor(model, X))


def test_rows_that_the_model_can_not_answer(credit: pd.DataFrame) -> None:
    from sklearn.linear_model import LogisticRegression

    X = credit[["Age", "Income"]]
    whole = X.notna().all(axis=1)
    asked = predictor(LogisticRegression().fit(X[whole], credit["Status"][whole]), X)
    inputs = onnx.convert(asked).inputs
    may_miss = onnx.missing.allowed(asked, inputs, X)
    assert may_miss == (False, False)
    assert len(onnx.missing.answerable(inputs, may_miss, X)) == whole.sum()


def test_numbers_among_text_are_refused() -> None:
    mixed = pd.DataFrame({"Home": pd.Series(["rent", 3, None], dtype=object)})
    with pytest.raises(BadData, match="'Home' holds 3 among text"):
        onnx.feeds(mixed, [onnx.Field("Home", "string")])


def test_the_worst_rows_are_told(credit: pd.DataFrame) -> None:
    from sklearn.linear_model import LogisticRegression

    X, y = credit[["Age", "Time"]], credit["Status"]
    first = predictor(LogisticRegression().fit(X, y), X)
    other = predictor(LogisticRegression().fit(X.assign(Age=X["Age"] * 1.5), y), X)
    converted = onnx.convert(other)
    found = parity.compare(first, converted, sessions.opened(converted.content), X)
    assert not found.within()
    assert len(found.worst) == 5
    assert dataclasses.astuple(found)[1] <= 1.0
