"""Models of every framework, from a cell to a process that never saw the notebook."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
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


@pytest.fixture
def notebook(ip: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A shell whose names are those of ``__main__``, as in a kernel, with small rows bound."""
    monkeypatch.setitem(sys.modules, "__main__", ip.user_module)
    ip.user_ns.update(X_train=X[:60], y_train=y[:60], X_test=X[60:], y_test=y[60:])
    return ip


def run(notebook: Any, *cells: str) -> None:
    for cell in cells:
        notebook.run_cell(textwrap.dedent(cell)).raise_error()


def elsewhere(name: str, folder: Path) -> tuple[list[Any], list[str]]:
    """What a version predicts in a process that knows only its files, and what that imported."""
    path = store.versions.local_path(store.versions.resolve(name))
    X.to_json(folder / "rows.json", orient="split")
    code = f"""
        import json, sys
        from pathlib import Path
        import pandas as pd
        from mlops_magics import flavors
        predictor = flavors.load(Path({str(path)!r}))
        rows = pd.read_json({str(folder / "rows.json")!r}, orient="split")
        said = predictor.predict(rows).tolist()
        print(json.dumps([said, [m for m in ("mlflow", "IPython") if m in sys.modules]]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    said, imported = json.loads(done.stdout.splitlines()[-1])
    return said, imported


OUR_OWN = """
    from our_base import Base
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    class Parent(Base):
        def doubled(self, rows):
            return rows * 2

    def shifted(rows):
        import our_shift
        return our_shift.shift(rows)

    class Mine(Parent):
        def transform(self, rows):
            return shifted(self.scaled(self.doubled(rows)))
"""


def test_classes_and_functions_of_the_notebook_go_along_with_their_parents(
    notebook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "our_factor.py").write_text("def times(rows):\n    return rows * 3\n")
    (tmp_path / "our_shift.py").write_text("def shift(rows):\n    return rows + 1\n")
    (tmp_path / "our_base.py").write_text(
        "import our_factor\n"
        "from sklearn.base import BaseEstimator, TransformerMixin\n"
        "class Base(TransformerMixin, BaseEstimator):\n"
        "    def fit(self, rows, y=None):\n"
        "        self.fitted_ = True\n"
        "        return self\n"
        "    def scaled(self, rows):\n"
        "        return our_factor.times(rows)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    steps = "Mine(), FunctionTransformer(shifted), LogisticRegression()"
    run(notebook, OUR_OWN, f"%%train own\nmodel = make_pipeline({steps}).fit(X_train, y_train)")
    said, imported = elsewhere("own", tmp_path)
    assert said == notebook.user_ns["model"].predict(X).tolist()
    assert imported == []


NETWORK = """
    import torch
    from torch import nn

    class Body(nn.Module):
        def squashed(self, rows):
            return torch.tanh(rows)

    class Net(Body):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 1)

        def forward(self, rows):
            return self.last(self.squashed(self.first(rows))).squeeze(-1)
"""

LOOP = """\
%%train net
torch.manual_seed(0)
net, loss_of = Net(), nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(net.parameters(), 0.1)
rows = torch.tensor(X_train.to_numpy(), dtype=torch.float32)
truth = torch.tensor(y_train.to_numpy(), dtype=torch.float32)
for epoch in range(10):
    optimizer.zero_grad()
    loss = loss_of(net(rows), truth)
    loss.backward()
    optimizer.step()
"""


def test_a_network_of_the_notebook(notebook: Any, tmp_path: Path) -> None:
    need("torch")
    run(notebook, NETWORK, LOOP)
    version = store.versions.resolve("net")
    assert version.tags["mlops.task"] == "classification"
    assert "Net is code" in version.tags["mlops.cloudpickle_because"]
    metrics = store.runs.get(version.run_id).data.metrics
    assert metrics["accuracy"] > 0.7
    assert metrics["roc_auc"] > 0.7
    net = notebook.user_ns["net"]
    flavor = flavors.recognise(net)
    assert flavor is not None
    live = flavor.predictor(net, flavor.observe(net, X, y))
    said, imported = elsewhere("net", tmp_path)
    assert said == live.predict(X).tolist()
    assert imported == []
    assert net.training  # as the loop left it
    package = mlops.package("net")
    assert package.replayed


def test_a_python_model_of_the_notebook(notebook: Any, tmp_path: Path) -> None:
    run(
        notebook,
        """
        import mlflow
        from sklearn.linear_model import LogisticRegression

        class Shifted(mlflow.pyfunc.PythonModel):
            def __init__(self, inner):
                self.inner = inner

            def predict(self, context, model_input, params=None):
                return self.inner.predict(model_input + 0.1)
        """,
        "%%train wrapped\n"
        "inner = LogisticRegression().fit(X_train, y_train)\n"
        "wrapped = Shifted(inner)",
    )
    version = store.versions.resolve("wrapped")
    # The inner one is a part of it, not a second model.
    assert version.tags["mlops.flavor"] == "pyfunc"
    assert "accuracy" in store.runs.get(version.run_id).data.metrics
    said, _ = elsewhere("wrapped", tmp_path)
    assert said == notebook.user_ns["wrapped"].predict(None, X).tolist()


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
