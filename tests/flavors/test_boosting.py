"""What XGBoost, LightGBM and CatBoost models are, and what their numbers mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml

from mlops_magics import flavors
from mlops_magics.errors import BadData
from mlops_magics.flavors.catboost import CatboostFlavor
from mlops_magics.flavors.lightgbm import LightgbmFlavor
from mlops_magics.flavors.sklearn import SklearnFlavor
from mlops_magics.flavors.xgboost import XgboostFlavor
from tests.conftest import need

X = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 3)), columns=["a", "b", "c"])
y = (X["a"] > 0).astype(int)
THREE = pd.cut(X["a"], 3, labels=False)


@pytest.mark.parametrize(
    ("objective", "task", "has_probabilities"),
    [
        ("binary:logistic", "classification", True),
        ("binary:logitraw", "classification", True),
        ("binary:hinge", "classification", False),
        ("multi:softmax", "classification", True),
        ("multi:softprob", "classification", True),
        ("reg:squarederror", "regression", False),
        ("reg:logistic", "regression", False),
        ("count:poisson", "regression", False),
        ("rank:pairwise", "none", False),
    ],
)
def test_an_objective_of_xgboost_says_what_is_answered(
    objective: str, task: str, has_probabilities: bool
) -> None:
    lib = need("xgboost")
    many = {"num_class": 3} if objective.startswith("multi") else {}
    truth = THREE if many else y
    booster = lib.train({"objective": objective, **many}, lib.DMatrix(X, truth), 5)
    predictor = XgboostFlavor().predictor(booster)
    assert (predictor.task, predictor.has_probabilities) == (task, has_probabilities)
    said = predictor.predict(X)
    if task == "classification":
        assert predictor.classes == ((0, 1, 2) if many else (0, 1))
        assert (said == truth).mean() > 0.9
        assert predictor.scores(X) is not None
    else:
        np.testing.assert_array_equal(said, booster.predict(lib.DMatrix(X)))
    if has_probabilities:
        chances = predictor.predict_proba(X)
        assert chances is not None
        np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_array_equal(chances.argmax(axis=1), said)


def test_the_margin_and_the_probability_agree() -> None:
    lib = need("xgboost")
    rows = lib.DMatrix(X, y)
    by_margin, plain = (
        XgboostFlavor().predictor(lib.train({"objective": objective, "base_score": 0.5}, rows, 5))
        for objective in ("binary:logitraw", "binary:logistic")
    )
    assert by_margin.predict_proba(X) == pytest.approx(plain.predict_proba(X), abs=0.05)


@pytest.mark.parametrize(
    ("objective", "task"),
    [
        ("binary", "classification"),
        ("multiclass", "classification"),
        ("regression", "regression"),
        ("cross_entropy", "regression"),
        ("lambdarank", "none"),
    ],
)
def test_an_objective_of_lightgbm_says_what_is_answered(objective: str, task: str) -> None:
    lib = need("lightgbm")
    params = {"objective": objective, "verbose": -1, "num_leaves": 3}
    params |= {"num_class": 3} if objective == "multiclass" else {}
    truth = THREE if objective == "multiclass" else y
    group = [30, 30] if objective == "lambdarank" else None
    booster = lib.train(params, lib.Dataset(X, truth, group=group), 5)
    predictor = LightgbmFlavor().predictor(booster)
    assert predictor.task == task
    if task == "classification":
        assert (predictor.predict(X) == truth).mean() > 0.8


def by_hand(predictions: np.ndarray, data: Any) -> tuple[np.ndarray, np.ndarray]:
    """The gradient of the logistic loss, as a user writes it."""
    chances = 1 / (1 + np.exp(-predictions))
    truth = data.get_label() if hasattr(data, "get_label") else data
    return chances - truth, chances * (1 - chances)


def test_with_an_objective_of_ones_own_the_truth_decides() -> None:
    lib = need("lightgbm")
    params = {"objective": by_hand, "verbose": -1, "num_leaves": 3}
    booster = lib.train(params, lib.Dataset(X, y), 5)
    flavor = LightgbmFlavor()
    assert flavor.task(booster) == ""
    predictor = flavor.predictor(booster, flavor.observe(booster, X, y))
    assert predictor.classes == (0, 1)
    assert (predictor.predict(X) == y).mean() > 0.9


def test_an_estimator_of_lightgbm_with_an_objective_of_ones_own_answers_by_class() -> None:
    lib = need("lightgbm")
    model = lib.LGBMClassifier(
        n_estimators=5, verbose=-1, objective=lambda truth, said: by_hand(said, truth)
    )
    words = np.where(y, "good", "bad")
    predictor = LightgbmFlavor().predictor(model.fit(X, words))
    assert (predictor.predict(X) == words).mean() > 0.9


def test_catboost_answers_truth_values_as_such() -> None:
    lib = need("catboost")
    model = lib.CatBoostClassifier(iterations=5, verbose=0, allow_writing_files=False)
    said = CatboostFlavor().predict(model.fit(X, y == 1), X)
    assert said.dtype == bool


def test_what_a_class_of_the_users_own_derives_from_decides_how_it_is_saved() -> None:
    lib = need("xgboost")

    class Mine(lib.XGBClassifier):  # type: ignore[misc, name-defined]
        pass

    assert isinstance(flavors.recognise(lib.XGBClassifier()), XgboostFlavor)
    # XGBoost's own format would not know the class, nor the function.
    assert isinstance(flavors.recognise(Mine()), SklearnFlavor)
    assert isinstance(flavors.recognise(lib.XGBRegressor(objective=by_hand)), SklearnFlavor)


def test_unnamed_rows_are_taken_in_their_order() -> None:
    lib = need("xgboost")
    booster = lib.train({"objective": "binary:logistic"}, lib.DMatrix(X, y), 3)
    flavor = XgboostFlavor()
    np.testing.assert_array_equal(flavor.predict(booster, X.to_numpy()), flavor.predict(booster, X))


@pytest.mark.parametrize("framework", ["xgboost", "catboost"])
def test_a_folder_can_not_name_a_class_of_others(framework: str, tmp_path: Path) -> None:
    need(framework)
    flavor, key, name = {
        "xgboost": (XgboostFlavor(), "model_class", "subprocess.Popen"),
        "catboost": (CatboostFlavor(), "model_type", "Pool"),
    }[framework]
    model = {
        "xgboost": lambda: need("xgboost").XGBRegressor(n_estimators=1),
        "catboost": lambda: need("catboost").CatBoostRegressor(
            iterations=1, verbose=0, allow_writing_files=False
        ),
    }[framework]()
    model.fit(X, X["b"])
    path = tmp_path / "model"
    saving = flavor.saving(model, tmp_path)
    module = getattr(mlflow, framework)
    module.save_model(**saving.arguments, path=str(path), pip_requirements=[framework])
    meta = yaml.safe_load((path / "MLmodel").read_text())
    meta["flavors"][framework][key] = name
    (path / "MLmodel").write_text(yaml.safe_dump(meta))
    with pytest.raises(BadData, match=f"names the class {name}"):
        flavors.load(path)


@pytest.mark.parametrize("framework", ["xgboost", "lightgbm", "catboost"])
def test_a_damaged_file_is_bad_data(framework: str, tmp_path: Path) -> None:
    lib = need(framework)
    model = {
        "xgboost": lambda: lib.train({}, lib.DMatrix(X, y), 2),
        "lightgbm": lambda: lib.train({"verbose": -1}, lib.Dataset(X, y), 2),
        "catboost": lambda: lib.CatBoostRegressor(
            iterations=2, verbose=0, allow_writing_files=False
        ).fit(X, y),
    }[framework]()
    flavor = flavors.recognise(model)
    assert flavor is not None
    path = tmp_path / "model"
    saving = flavor.saving(model, tmp_path)
    module = getattr(mlflow, framework)
    module.save_model(**saving.arguments, path=str(path), pip_requirements=[framework])
    file = next(f for f in path.iterdir() if f.suffix in (".ubj", ".lgb", ".cb"))
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(BadData, match="can't be loaded by"):
        flavors.load(path)


@pytest.mark.parametrize("framework", ["xgboost", "xgboost, native", "lightgbm", "catboost"])
def test_a_server_has_text_where_the_notebook_had_categories(framework: str) -> None:
    name = framework.partition(",")[0]
    lib = need(name)
    words = np.random.default_rng(0).choice(["rent", "own", "other"], 200)
    rows = pd.DataFrame({"a": np.linspace(-1, 1, 200), "home": words})
    wanted = ((rows["home"] == "rent") ^ (rows["a"] > 0)).astype(int)
    # Codes that are not those of the sorted words.
    learned = rows.astype({"home": pd.CategoricalDtype(["own", "rent", "other"])})
    model = {
        "xgboost": lambda: lib.XGBClassifier(n_estimators=9, enable_categorical=True),
        "lightgbm": lambda: lib.LGBMClassifier(n_estimators=9, verbose=-1, min_data_per_group=1),
        "catboost": lambda: lib.CatBoostClassifier(
            iterations=50, verbose=0, cat_features=["home"], allow_writing_files=False
        ),
    }[name]()
    if framework == "xgboost, native":
        table = lib.DMatrix(learned, wanted, enable_categorical=True)
        model = lib.train({"objective": "binary:logistic"}, table, 9)
    else:
        model.fit(learned, wanted)
    flavor = flavors.recognise(model)
    assert flavor is not None
    predictor = flavor.predictor(model)
    assert (predictor.predict(learned) == wanted).mean() > 0.9
    np.testing.assert_array_equal(predictor.predict(rows), predictor.predict(learned))
    one_by_one = [predictor.predict(rows[i : i + 1])[0] for i in range(0, 200, 20)]
    np.testing.assert_array_equal(one_by_one, predictor.predict(learned)[::20])
