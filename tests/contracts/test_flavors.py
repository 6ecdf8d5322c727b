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
from mlops_magics.flavors.sklearn import SklearnFlavor
from mlops_magics.testing import FlavorContract

MODELS = {
    "classifier": make_pipeline(StandardScaler(), LogisticRegression()),
    "regressor": RandomForestRegressor(3, random_state=0),
    "with code of its own": make_pipeline(FunctionTransformer(lambda a: a * 2), Ridge()),
}


class TestSklearn(FlavorContract):
    flavor_class = SklearnFlavor

    @pytest.fixture(params=MODELS, autouse=True)
    def chosen(self, request: pytest.FixtureRequest) -> None:
        self.model = MODELS[request.param]

    def unfitted(self) -> Any:
        return clone(self.model)

    def fitted(self) -> tuple[Any, Any]:
        X = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 2)), columns=["a", "b"])
        return self.unfitted().fit(X, (X["a"] > 0).astype(int)), X


def test_every_registered_flavor_that_saves_is_tested_here() -> None:
    found = [plugins.load("flavor", name) for name in plugins.names("flavor")]
    assert {f for f in found if issubclass(f, Flavor)} == {SklearnFlavor}
