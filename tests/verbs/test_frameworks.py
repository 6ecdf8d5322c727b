"""Models of every framework: measured, saved, registered, and what is said of the others."""

from __future__ import annotations

from typing import Any

import mlflow.artifacts
import numpy as np
import pandas as pd
import pytest

import mlops_magics as mlops
from mlops_magics import flavors, store
from mlops_magics.errors import WrongUsage
from mlops_magics.records import Run
from tests.conftest import need

X = pd.DataFrame(np.random.default_rng(0).normal(size=(90, 3)), columns=["a", "b", "c"])
y = (X["a"] + 0.3 * X["b"] > 0).astype(int)


def train(fit: Any, rows: Any = None, truth: Any = None) -> Run:
    """Train in a `with` block: `fit` makes the model."""
    data = (X[60:] if rows is None else rows, y[60:] if truth is None else truth)
    with mlops.train("tried", data=data) as training:
        model = fit()  # noqa: F841  # found by its name
    assert training.record is not None
    return training.record


def history(run: Run, metric: str) -> list[float]:
    return [m.value for m in store.runs.connect().get_metric_history(run.run_id, metric)]


def loaded(run: Run) -> Any:
    return flavors.load(store.versions.local_path(store.versions.resolve(str(run.model))))


def test_boosting_tells_its_rounds_and_is_packaged() -> None:
    lib = need("xgboost")
    params = {"objective": "binary:logistic", "max_depth": 2}

    def fit() -> Any:
        held = lib.DMatrix(X[60:], y[60:])
        learned = lib.DMatrix(X[:60], y[:60])
        return lib.train(params, learned, 7, evals=[(held, "held")], verbose_eval=False)

    run = train(fit)
    assert run.estimator == "XGBoost Booster (binary:logistic)"
    assert run.params["max_depth"] == 2
    assert set(run.metrics) >= {"accuracy", "roc_auc", "log_loss"}
    told = history(run, "held_logloss")
    assert len(told) == 7
    assert told[-1] == pytest.approx(run.metrics["log_loss"], rel=1e-4)
    assert run.warnings == ()
    package = mlops.package(str(run.model))
    assert package.replayed


@pytest.mark.parametrize("framework", ["xgboost", "lightgbm", "catboost"])
def test_a_pipeline_that_ends_in_boosting(framework: str) -> None:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    lib = need(framework)
    name = {"xgboost": "XGB", "lightgbm": "LGBM", "catboost": "CatBoost"}[framework]
    quiet: dict[str, Any] = {"catboost": {"verbose": 0, "allow_writing_files": False}}.get(
        framework, {}
    )
    boosting = getattr(lib, f"{name}Classifier")(n_estimators=3, **quiet)
    model = make_pipeline(StandardScaler(), boosting)
    run = train(lambda: model.fit(X[:60], y[:60]))
    assert run.estimator == f"{name}Classifier in a Pipeline"
    assert not any("cloudpickle" in w for w in run.warnings)
    np.testing.assert_array_equal(loaded(run).predict(X), model.predict(X))


def test_results_of_statsmodels_are_measured_and_leave_the_rows_at_home() -> None:
    need("statsmodels")
    import statsmodels.api as sm

    noisy = (X["a"] + np.random.default_rng(1).normal(size=90) > 0).astype(int)
    run = train(lambda: sm.Logit(noisy[:60], sm.add_constant(X[:60])).fit(disp=0), truth=noisy[60:])
    assert run.estimator == "Logit"
    assert set(run.metrics) >= {"accuracy", "roc_auc"}
    results = loaded(run).model
    assert results.model.endog is None
    assert results.params["a"] > 0


def test_a_search_keeps_what_it_tried() -> None:
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV

    for kind in (GridSearchCV, HalvingGridSearchCV):
        search = kind(LogisticRegression(), {"C": [0.01, 1.0]}, cv=2)
        run = train(lambda search=search: search.fit(X[:60], y[:60]))
        assert run.estimator == f"LogisticRegression chosen by {kind.__name__}"
        assert run.params["best__C"] == search.best_params_["C"]
        table = mlflow.artifacts.load_text(f"runs:/{run.run_id}/mlops/cv_results.csv")
        assert "mean_test_score" in table.splitlines()[0]
        assert len(table.splitlines()) == 1 + len(search.cv_results_["params"])


def test_losses_that_a_model_kept_are_recorded() -> None:
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    network = MLPClassifier(max_iter=4, random_state=0)
    run = train(lambda: make_pipeline(StandardScaler(), network).fit(X[:60], y[:60]))
    assert history(run, "loss") == pytest.approx(network.loss_curve_)


def test_rows_as_tensors_and_classes_by_name() -> None:
    torch = need("torch")
    rows = torch.tensor(X[60:].to_numpy(), dtype=torch.float32)
    words = np.where(y[60:], "good", "bad")
    torch.manual_seed(0)
    net = torch.nn.Linear(3, 2)
    unnamed = train(lambda: net, rows, words)
    assert unnamed.model  # it is saved all the same
    assert unnamed.metrics == {}
    assert "attribute classes_" in unnamed.warnings[0]
    net.classes_ = ["bad", "good"]
    named = train(lambda: net, rows, words)
    assert "accuracy" in named.metrics
    assert set(loaded(named).predict(rows.numpy())) <= {"bad", "good"}
    del net.classes_
    counted = train(lambda: net, rows, torch.tensor(y[60:].to_numpy())[:, None])
    assert "roc_auc" in counted.metrics
    assert "it was taken for classification" in counted.warnings[0]


def test_keras_keeps_the_names_of_the_columns() -> None:
    lib = need("keras")
    model = lib.Sequential([lib.Input((3,)), lib.layers.Dense(1)])
    model.compile(loss="mse", optimizer="sgd")

    def fit() -> Any:
        model.fit(X[:60].to_numpy("float32"), X["b"][:60].to_numpy(), epochs=2, verbose=0)
        return model

    run = train(fit, truth=X["b"][60:])
    assert set(run.metrics) >= {"rmse", "r2"}
    assert len(history(run, "loss")) == 2
    assert [c.name for c in loaded(run).columns] == ["a", "b", "c"]


class Strange:
    """Nobody knows it."""

    def predict(self, rows: Any) -> Any:
        return rows


def test_what_is_not_known_is_said_with_how_to_add_it() -> None:
    run = train(Strange)
    assert run.model is None
    assert run.status == "finished"
    assert "'model' looks like a model" in run.warnings[0]
    assert "test_frameworks.Strange" in run.warnings[0]
    assert "mlflow.pyfunc.PythonModel" in run.warnings[0]
    assert "mlops_magics.testing.FlavorContract" in run.warnings[0]


def test_a_framework_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    from mlops_magics.errors import MissingExtra

    lib = need("xgboost")
    run = train(
        lambda: lib.XGBRegressor(n_estimators=2).fit(X[:60], X["b"][:60]), truth=X["b"][60:]
    )
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "xgboost" else real(name)
    )
    with pytest.raises(MissingExtra, match=r"XGBoost is not installed.*mlops_magics\[xgboost\]"):
        loaded(run)


def test_a_model_that_cannot_be_pickled_keeps_its_run_and_names_the_part() -> None:
    import threading

    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    lock = threading.Lock()
    for held, part in (
        ({"lock": lock}, "model.extra['lock'] (a _thread.lock)"),
        ((n for n in range(3)), "model.extra (a generator)"),
    ):
        model = LogisticRegression().fit(X[:60], y[:60])
        model.extra = held
        run = train(lambda model=model: model)
        assert run.status == "finished"
        assert run.metrics["accuracy"] > 0.5
        assert run.model is None
        assert f"{part} can't be pickled" in run.warnings[-1]
        assert "__getstate__" in run.warnings[-1]

    def guarded(rows: Any) -> Any:
        with lock:
            return rows

    inner = make_pipeline(FunctionTransformer(guarded), LogisticRegression()).fit(X[:60], y[:60])
    run = train(lambda: inner)
    assert "→ lock (a _thread.lock) can't be pickled" in run.warnings[-1]
    plain = make_pipeline(FunctionTransformer(lambda rows: rows), LogisticRegression())
    assert train(lambda: plain.fit(X[:60], y[:60])).model  # a lambda is no hindrance


def test_how_many_models_the_code_left() -> None:
    from sklearn.linear_model import LogisticRegression

    def fitted() -> Any:
        return LogisticRegression().fit(X[:60], y[:60])

    data = (X[60:], y[60:])
    with mlops.train("one", data=data) as one:
        first = again = fitted()
    with mlops.train("two", data=data) as two:
        first = fitted()
        second = fitted()
    with mlops.train("none", data=data) as none:
        pass
    assert one.record is not None
    assert two.record is not None
    assert none.record is not None
    assert one.record.model == "one/1"
    assert one.record.warnings == ()
    assert "left 2 models (first, second); took 'second'" in two.record.warnings[0]
    assert none.record.model is None
    assert "no version was registered" in none.record.warnings[0]
    del first, again, second


def test_a_network_in_memory_is_judged_once_it_says_what_it_does() -> None:
    torch = need("torch")
    torch.manual_seed(0)
    net = torch.nn.Linear(3, 1)
    rows = X.assign(y=y)
    with pytest.raises(WrongUsage, match="does not say whether it classifies"):
        mlops.validate(net, goals="accuracy >= 0", on=rows)
    net.task, net.classes_ = "classification", [0, 1]
    (goal,) = mlops.validate(net, goals="accuracy >= 0", on=(X, y.rename("y"))).goals
    assert goal.value == pytest.approx((read(net) == y).mean())


def read(net: Any) -> Any:
    import torch

    with torch.no_grad():
        return net(torch.tensor(X.to_numpy(), dtype=torch.float32)).numpy()[:, 0] > 0
