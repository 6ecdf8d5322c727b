"""The scikit-learn flavor: recognised, described, saved by MLflow, loaded without it."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow.models import infer_signature
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from mlops_magics import flavors
from mlops_magics.errors import BadData, NotIntact
from mlops_magics.flavors import trust
from mlops_magics.flavors.sklearn import SklearnFlavor
from tests.flavors.models import ESTIMATORS, pipeline, regression, xy

flavor = SklearnFlavor()


def save(model: Any, X: Any, path: Path) -> Path:
    """Save as the store does."""
    saving = flavor.saving(model, path)
    mlflow.sklearn.save_model(
        path=path,
        signature=infer_signature(X, model.predict(X)),
        pip_requirements=flavor.packages(model),
        metadata=saving.metadata,
        **saving.arguments,
    )
    return path


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_usual_model_is_saved_without_pickle_and_loads_equal(
    name: str, credit: pd.DataFrame, tmp_path: Path
) -> None:
    X, y = xy(credit)
    model = pipeline(X, clone(ESTIMATORS[name])).fit(X, y)
    assert flavor.saving(model, tmp_path).arguments["serialization_format"] == "skops"

    predictor = flavors.load(save(model, X, tmp_path / "model"))
    np.testing.assert_array_equal(predictor.predict(X), model.predict(X))
    assert predictor.task == "classification"
    assert predictor.classes == ("bad", "good")
    assert [c.name for c in predictor.columns] == list(X.columns)
    probabilities = predictor.predict_proba(X)
    if hasattr(model, "predict_proba"):
        np.testing.assert_allclose(probabilities, model.predict_proba(X))
    else:
        assert probabilities is None


def test_a_regression_on_unnamed_numbers(tmp_path: Path) -> None:
    X, _, model = regression()
    predictor = flavors.load(save(model, X, tmp_path / "model"))
    np.testing.assert_array_equal(predictor.predict(X), model.predict(X))
    assert (predictor.task, predictor.classes) == ("regression", None)
    assert predictor.columns == (flavors.Input(None, "float64", True, (-1, 3)),)
    assert predictor.predict_proba(X) is None


def test_a_user_function_falls_back_to_cloudpickle_and_says_why(
    credit: pd.DataFrame, tmp_path: Path
) -> None:
    X = np.abs(regression()[0])
    scale = 2.0
    model = make_pipeline(FunctionTransformer(lambda a: a * scale), LogisticRegression())
    model.fit(X, X[:, 0] > 1)
    options = flavor.saving(model, tmp_path)
    assert options.arguments["serialization_format"] == "cloudpickle"
    assert "it holds test_sklearn.<lambda>" in options.metadata["mlops.cloudpickle_because"]
    path = save(model, X, tmp_path / "model")
    np.testing.assert_array_equal(flavors.load(path).predict(X), model.predict(X))


def test_dates_in_a_zone_are_saved_without_pickle(tmp_path: Path) -> None:
    from skrub import TableVectorizer

    rows = pd.DataFrame({"day": pd.date_range("2024-01-01", periods=60, tz="Europe/Berlin")})
    for zone in ("Europe/Berlin", "UTC", "+02:00"):
        X = rows.assign(day=rows["day"].dt.tz_convert(zone))
        model = make_pipeline(TableVectorizer(), LogisticRegression())
        model.fit(X, X["day"].dt.day > 15)
        saving = flavor.saving(model, tmp_path)
        assert saving.arguments["serialization_format"] == "skops", saving.metadata
        place = tmp_path / zone.replace("/", "-")
        saved = mlflow.sklearn.save_model
        saved(**saving.arguments, path=place, pip_requirements=flavor.packages(model))
        np.testing.assert_array_equal(flavors.load(place).predict(X), model.predict(X))


def test_a_distribution_is_not_trusted(tmp_path: Path) -> None:
    # Rebuilding one runs code that is made from its own fields.
    X, _, _ = regression()
    search = RandomizedSearchCV(
        LogisticRegression(), {"C": loguniform(0.1, 1)}, n_iter=2, cv=2, random_state=0
    ).fit(X, X[:, 0] > 0)
    options = flavor.saving(search, tmp_path)
    assert options.arguments["serialization_format"] == "cloudpickle"
    assert "scipy.stats" in options.metadata["mlops.cloudpickle_because"]


def test_what_the_model_says_of_its_own_trust_is_not_believed(tmp_path: Path) -> None:
    import skops.io

    X, _, model = regression()
    path = save(model, X, tmp_path / "model")
    model.hook = FunctionTransformer(subprocess.check_output)
    skops.io.dump(model, path / "model.skops")
    meta = yaml.safe_load((path / "MLmodel").read_text())
    meta["flavors"]["sklearn"]["skops_trusted_types"] = ["subprocess.check_output"]
    (path / "MLmodel").write_text(yaml.safe_dump(meta))
    assert mlflow.sklearn.load_model(str(path)) is not None  # MLflow believes it
    with pytest.raises(NotIntact, match=r"subprocess\.check_output"):
        flavors.load(path)


def test_the_list_of_trust_names_nothing_that_runs_code() -> None:
    assert trust.refused(["os.system", "builtins.eval", "sklearn.utils.fixes.os"]) == [
        "builtins.eval",
        "os.system",
        "sklearn.utils.fixes.os",
    ]
    assert trust.refused(["sklearn.linear_model._logistic.LogisticRegression"]) == []


def test_a_server_needs_no_mlflow_and_no_walk_through_sklearn(
    credit: pd.DataFrame, tmp_path: Path
) -> None:
    X, y = xy(credit)
    model = pipeline(X, clone(ESTIMATORS["random forest"])).fit(X, y)
    path = save(model, X, tmp_path / "model")
    code = f"""
        import json, sys
        from pathlib import Path
        from mlops_magics import flavors
        from mlops_magics.flavors import trust
        trust.lean = True
        predictor = flavors.load(Path({str(path)!r}))
        import pandas as pd
        frame = pd.read_json({str(tmp_path / "x.json")!r}, orient="split")
        seen = [m for m in ("mlflow", "sklearn.gaussian_process") if m in sys.modules]
        print(json.dumps([seen, predictor.predict(frame).tolist()]))
    """
    X.to_json(tmp_path / "x.json", orient="split")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [[], model.predict(X).tolist()]


def test_the_users_own_module_goes_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "our_features.py").write_text("def double(a):\n    return a * 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    import our_features  # type: ignore[import-not-found]

    X = np.abs(regression()[0])
    model = make_pipeline(FunctionTransformer(our_features.double), LogisticRegression())
    model.fit(X, X[:, 0] > 1)
    assert flavor.saving(model, tmp_path).arguments["code_paths"] == [
        str(tmp_path / "our_features.py")
    ]
    path = save(model, X, tmp_path / "model")
    code = f"""
        import sys; sys.path = [p for p in sys.path if p != {str(tmp_path)!r}]
        from pathlib import Path
        from mlops_magics import flavors
        import numpy as np
        print(len(flavors.load(Path({str(path)!r})).predict(np.array([[1, 2, 3]]))))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, cwd="/"
    )
    assert done.stdout.strip() == "1", done.stderr


def test_packages_are_exact_and_found_from_the_objects(credit: pd.DataFrame) -> None:
    import sklearn

    X, y = xy(credit)
    model = pipeline(X, clone(ESTIMATORS["tree"])).fit(X, y)
    packages = flavor.packages(model)
    assert f"scikit-learn=={sklearn.__version__}" in packages
    assert f"pandas=={pd.__version__}" in packages
    assert packages == sorted(packages)
    assert not any(p.startswith("mlflow") for p in packages)


def test_hyperparameters_are_flat_and_plain(credit: pd.DataFrame) -> None:
    X, y = xy(credit)
    params = flavor.params(pipeline(X, LogisticRegression(C=0.5)).fit(X, y))
    assert params["logisticregression__C"] == 0.5
    assert params["logisticregression"] == "LogisticRegression"
    assert params["steps"] == (
        "columntransformer: ColumnTransformer, logisticregression: LogisticRegression"
    )
    assert params["columntransformer__pipeline__simpleimputer__missing_values"] == "nan"
    assert json.loads(json.dumps(params, allow_nan=False)) == params
    assert all(len(str(v)) <= 250 for v in params.values())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda X: LogisticRegression(), "LogisticRegression"),
        (lambda X: clone(ESTIMATORS["random forest"]), "RandomForestClassifier"),
        (lambda X: pipeline(X, LogisticRegression()), "LogisticRegression in a Pipeline"),
        (
            lambda X: clone(ESTIMATORS["calibrated"]),
            "CalibratedClassifierCV of LogisticRegression",
        ),
    ],
)
def test_described_for_people(make: Any, words: str, credit: pd.DataFrame) -> None:
    assert flavor.describe(make(xy(credit)[0])) == words


def test_a_search_is_described_by_what_it_found() -> None:
    X, _, _ = regression()
    search = clone(ESTIMATORS["grid search"]).fit(X, X[:, 0] > 0)
    assert flavor.describe(search) == "LogisticRegression chosen by GridSearchCV"


def test_recognised_without_guessing() -> None:
    assert flavors.recognise(LogisticRegression()) is not None
    assert flavors.recognise(KMeans()) is not None
    for other in (LogisticRegression, StandardScaler(), pd.DataFrame(), "LogisticRegression", None):
        assert flavors.recognise(other) is None


def test_fitted_or_not() -> None:
    X, _, _ = regression()
    assert not flavor.is_fitted(LogisticRegression())
    assert not flavor.is_fitted(make_pipeline(StandardScaler(), LogisticRegression()))
    assert flavor.is_fitted(LogisticRegression().fit(X, X[:, 0] > 0))
    assert flavor.task(KMeans()) == "none"


def test_the_digest_is_of_names_and_content_only(tmp_path: Path) -> None:
    X, _, model = regression()
    path = save(model, X, tmp_path / "model")
    before = flavors.digest(path)
    (path / "__pycache__").mkdir()
    (path / "__pycache__" / "x.pyc").write_bytes(b"1")
    (path / "MLmodel").touch()
    assert flavors.digest(path) == before
    (path / "MLmodel").write_text((path / "MLmodel").read_text() + "\n")
    assert flavors.digest(path) != before
    assert before.startswith("sha256:")


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="no file MLmodel"):
        flavors.load(tmp_path)
    (tmp_path / "MLmodel").write_text("flavors: [")
    with pytest.raises(BadData, match="can't be read"):
        flavors.load(tmp_path)
    (tmp_path / "MLmodel").write_text("flavors: {crystal_ball: {}}")
    with pytest.raises(BadData, match=r"No installed flavor opens .* crystal_ball"):
        flavors.load(tmp_path)


def test_a_damaged_pickle_is_bad_data(tmp_path: Path) -> None:
    X, _, _ = regression()
    model = make_pipeline(FunctionTransformer(lambda a: a), LogisticRegression())
    path = save(model.fit(X, X[:, 0] > 0), X, tmp_path / "model")
    (path / "model.pkl").write_bytes((path / "model.pkl").read_bytes()[:50])
    with pytest.raises(BadData, match=r"model\.pkl can't be loaded"):
        flavors.load(path)
