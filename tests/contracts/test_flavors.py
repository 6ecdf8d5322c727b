"""The flavors of this package keep the contract that they ask of others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from mlops_magics import plugins
from mlops_magics.flavors import Flavor
from mlops_magics.flavors.catboost import CatboostFlavor
from mlops_magics.flavors.keras import KerasFlavor
from mlops_magics.flavors.lightgbm import LightgbmFlavor
from mlops_magics.flavors.pyfunc import PyfuncFlavor
from mlops_magics.flavors.pytorch import PytorchFlavor
from mlops_magics.flavors.sklearn import SklearnFlavor
from mlops_magics.flavors.statsmodels import StatsmodelsFlavor
from mlops_magics.flavors.xgboost import XgboostFlavor
from mlops_magics.testing import FlavorContract
from tests.conftest import need

X = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 2)), columns=["a", "b"])
TWO = (X["a"] > 0).astype(int)
THREE = pd.cut(X["a"], 3, labels=False)

PIPELINES = {
    "classifier": make_pipeline(StandardScaler(), LogisticRegression()),
    "regressor": RandomForestRegressor(3, random_state=0),
    "with code of its own": make_pipeline(FunctionTransformer(lambda a: a * 2), Ridge()),
}


class TestSklearn(FlavorContract):
    flavor_class = SklearnFlavor

    @pytest.fixture(params=PIPELINES, autouse=True)
    def chosen(self, request: pytest.FixtureRequest) -> None:
        self.model = PIPELINES[request.param]

    def unfitted(self) -> Any:
        return clone(self.model)

    def fitted(self) -> tuple[Any, Any]:
        return self.unfitted().fit(X, TWO), X


class TestXgboost(FlavorContract):
    flavor_class = XgboostFlavor

    @pytest.fixture(params=["classifier", "regressor", "native", "native of three"], autouse=True)
    def chosen(self, request: pytest.FixtureRequest) -> None:
        self.kind, self.lib = request.param, need("xgboost")

    def unfitted(self) -> Any:
        if self.kind.startswith("native"):
            return None
        kind = self.lib.XGBClassifier if self.kind == "classifier" else self.lib.XGBRegressor
        return kind(n_estimators=3, max_depth=2)

    def fitted(self) -> tuple[Any, Any]:
        if (fresh := self.unfitted()) is not None:
            return fresh.fit(X, TWO if self.kind == "classifier" else X["b"]), X
        three = {"objective": "multi:softmax", "num_class": 3}
        if self.kind == "native":
            return self.lib.train({"objective": "binary:logistic"}, self.lib.DMatrix(X, TWO), 3), X
        return self.lib.train(three, self.lib.DMatrix(X, THREE), 3), X


class TestLightgbm(FlavorContract):
    flavor_class = LightgbmFlavor

    @pytest.fixture(params=["classifier", "regressor", "native"], autouse=True)
    def chosen(self, request: pytest.FixtureRequest) -> None:
        self.kind, self.lib = request.param, need("lightgbm")

    def unfitted(self) -> Any:
        if self.kind == "native":
            return None
        kind = self.lib.LGBMClassifier if self.kind == "classifier" else self.lib.LGBMRegressor
        return kind(n_estimators=3, verbose=-1)

    def fitted(self) -> tuple[Any, Any]:
        if (fresh := self.unfitted()) is not None:
            y = np.where(TWO, "good", "bad") if self.kind == "classifier" else X["b"]
            return fresh.fit(X, y), X
        params = {"objective": "multiclass", "num_class": 3, "verbose": -1}
        return self.lib.train(params, self.lib.Dataset(X, THREE), 3), X


class TestCatboost(FlavorContract):
    flavor_class = CatboostFlavor

    @pytest.fixture(params=["classifier", "regressor", "of any loss"], autouse=True)
    def chosen(self, request: pytest.FixtureRequest) -> None:
        self.kind, self.lib = request.param, need("catboost")

    def unfitted(self) -> Any:
        quiet = {"iterations": 3, "verbose": 0, "allow_writing_files": False}
        if self.kind == "of any loss":
            return self.lib.CatBoost({**quiet, "loss_function": "Logloss"})
        kind = self.lib.CatBoostClassifier
        return (kind if self.kind == "classifier" else self.lib.CatBoostRegressor)(**quiet)

    def fitted(self) -> tuple[Any, Any]:
        # CatBoost itself answers True by the text "True".
        y = {"classifier": TWO == 1, "regressor": X["b"], "of any loss": TWO}[self.kind]
        return self.unfitted().fit(X, y), X


class TestStatsmodels(FlavorContract):
    flavor_class = StatsmodelsFlavor

    @pytest.fixture(params=["least squares", "logit", "formula", "of three"], autouse=True)
    def chosen(self, request: pytest.FixtureRequest) -> None:
        need("statsmodels")
        self.kind = request.param

    def unfitted(self) -> Any:
        import statsmodels.api as sm
        import statsmodels.formula.api as smf

        noise = np.random.default_rng(1).normal(size=len(X))
        y = X["a"] + noise
        if self.kind == "least squares":
            return sm.OLS(y, sm.add_constant(X))
        if self.kind == "logit":
            return sm.Logit((y > 0).astype(int), sm.add_constant(X))
        if self.kind == "formula":
            return smf.ols("y ~ np.exp(a) + b", X.assign(y=y))
        return sm.MNLogit(pd.cut(y, 3, labels=["low", "middle", "high"]), sm.add_constant(X))

    def fitted(self) -> tuple[Any, Any]:
        quiet = {} if self.kind in ("least squares", "formula") else {"disp": 0}
        return self.unfitted().fit(**quiet), X


class TestPytorch(FlavorContract):
    flavor_class = PytorchFlavor

    @pytest.fixture(params=["layers", "class of its own"], autouse=True)
    def chosen(self, request: pytest.FixtureRequest) -> None:
        self.kind, self.lib = request.param, need("torch")

    def unfitted(self) -> Any:
        return None

    def truth(self) -> Any:
        return THREE

    def fitted(self) -> tuple[Any, Any]:
        nn = self.lib.nn
        self.lib.manual_seed(0)
        layers = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Dropout(), nn.Linear(4, 3))
        if self.kind == "layers":
            return layers, X

        class Doubled(nn.Module):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.inner = layers

            def forward(self, rows: Any) -> Any:
                return 2 * self.inner(rows)

        return Doubled(), X


class TestKeras(FlavorContract):
    flavor_class = KerasFlavor

    @pytest.fixture(params=["layers", "class of its own"], autouse=True)
    def chosen(self, request: pytest.FixtureRequest) -> None:
        self.kind, self.lib = request.param, need("keras")

    def unfitted(self) -> Any:
        layers = self.lib.layers

        class Doubled(layers.Layer):  # type: ignore[misc, name-defined]
            def call(self, rows: Any) -> Any:
                return 2 * rows

        more = [] if self.kind == "layers" else [Doubled()]
        last = layers.Dense(1, activation="sigmoid")
        model = self.lib.Sequential([self.lib.Input((2,)), *more, last])
        model.compile(loss="binary_crossentropy", optimizer="sgd")
        return model

    def truth(self) -> Any:
        return TWO

    def fitted(self) -> tuple[Any, Any]:
        model = self.unfitted()
        model.fit(X.to_numpy("float32"), TWO.to_numpy(), epochs=1, verbose=0)
        return model, X


class TestPyfunc(FlavorContract):
    flavor_class = PyfuncFlavor

    def unfitted(self) -> Any:
        return None

    def truth(self) -> Any:
        return TWO

    def fitted(self) -> tuple[Any, Any]:
        import mlflow.pyfunc

        class Above(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                self.limit = 0.5

            def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
                return (model_input["a"] > self.limit).astype(int)

        return Above(), X


def test_every_registered_flavor_that_saves_is_tested_here() -> None:
    found = {plugins.load("flavor", name) for name in plugins.names("flavor")}
    tested = {c.flavor_class for c in FlavorContract.__subclasses__()}
    assert {f for f in found if issubclass(f, Flavor)} == tested
