"""Results of statsmodels: how they are asked, and what is saved of them."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from mlops_magics import flavors
from mlops_magics.flavors.statsmodels import StatsmodelsFlavor
from tests.conftest import need

RANDOM = np.random.default_rng(0)
X = pd.DataFrame(RANDOM.normal(size=(200, 3)), columns=["a", "b", "c"])
NUMBER = X["a"] - X["b"] + RANDOM.normal(size=200)
TWO = (NUMBER > 0).astype(int)
THREE = pd.cut(NUMBER, 3, labels=["low", "middle", "high"]).astype(str)

flavor = StatsmodelsFlavor()


@pytest.fixture
def sm() -> Any:
    need("statsmodels")
    import statsmodels.api

    return statsmodels.api


@pytest.fixture
def smf() -> Any:
    need("statsmodels")
    import statsmodels.formula.api

    return statsmodels.formula.api


def save(results: Any, path: Path) -> Path:
    saving = flavor.saving(results, path.parent)
    getattr(mlflow, saving.module).save_model(
        **saving.arguments,
        path=str(path),
        pip_requirements=flavor.packages(results),
        metadata=dict(saving.metadata) or None,
    )
    return path


def test_the_constant_is_added_as_it_was_fitted(sm: Any) -> None:
    for rows in (X, X.to_numpy()):
        results = sm.OLS(np.asarray(NUMBER), sm.add_constant(rows)).fit()
        np.testing.assert_allclose(
            flavor.predict(results, rows), results.predict(sm.add_constant(rows))
        )
    named = sm.OLS(NUMBER, sm.add_constant(X)).fit()
    assert flavor.columns(named) == ("a", "b", "c")


def test_classes_are_answered_where_there_are_some(sm: Any) -> None:
    rows = sm.add_constant(X)
    logit = sm.Logit(TWO, rows).fit(disp=0)
    binomial = sm.GLM(TWO, rows, family=sm.families.Binomial()).fit()
    many = sm.MNLogit(THREE, rows).fit(disp=0)
    shares = sm.GLM(TWO * 0.5 + 0.1, rows, family=sm.families.Binomial()).fit()
    counts = sm.GLM(TWO, rows, family=sm.families.Poisson()).fit()
    assert [flavor.task(r) for r in (logit, binomial, many, shares, counts)] == [
        *("classification", "classification", "classification", "regression", "regression")
    ]
    assert flavor.classes(many) == ("high", "low", "middle")
    assert (flavor.predict(many, X) == THREE).mean() > 0.5
    np.testing.assert_array_equal(flavor.predict(logit, X), logit.predict(rows) > 0.5)


def test_the_training_rows_are_not_saved_and_the_results_keep_theirs(
    sm: Any, tmp_path: Path
) -> None:
    results = sm.OLS(NUMBER, sm.add_constant(X)).fit()
    loaded = flavors.load(save(results, tmp_path / "model"))
    assert results.model.endog is not None
    assert loaded.model.model.endog is None
    np.testing.assert_array_equal(loaded.predict(X), flavor.predict(results, X))
    size = sum(f.stat().st_size for f in (tmp_path / "model").iterdir())
    assert size < len(X) * 4 * 8  # the rows alone take that


def scaled(values: Any) -> Any:
    return values * 2


def test_a_formula_that_names_a_function_of_the_notebook(
    smf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = smf.ols("y ~ np.exp(a) + scaled(b) + center(c)", X.assign(y=NUMBER)).fit()
    saving = flavor.saving(results, tmp_path)
    assert "scaled of the notebook" in saving.metadata["mlops.cloudpickle_because"]
    scratch = tmp_path / "again"
    scratch.mkdir()
    monkeypatch.setattr(scaled, "__module__", "__main__")  # as a notebook's own is
    path = save(results, scratch / "model")
    X.to_json(tmp_path / "rows.json", orient="split")
    code = f"""
        import json
        from pathlib import Path
        import pandas as pd
        from mlops_magics import flavors
        predictor = flavors.load(Path({str(path)!r}))
        rows = pd.read_json({str(tmp_path / "rows.json")!r}, orient="split")
        print(json.dumps([predictor.flavor, predictor.predict(rows).tolist()]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    name, said = json.loads(done.stdout.splitlines()[-1])
    assert name == "statsmodels"
    assert said == pytest.approx(results.predict(X).tolist())


def test_a_formula_is_shown(smf: Any) -> None:
    results = smf.ols("y ~ a + b", X.assign(y=NUMBER)).fit()
    assert flavor.describe(results) == "OLS (y ~ a + b)"
    assert flavor.params(results)["formula"] == "y ~ a + b"


def test_a_series_in_time_neither_classifies_nor_predicts_rows(sm: Any) -> None:
    results = sm.tsa.ARIMA(np.asarray(NUMBER), order=(1, 0, 0)).fit()
    assert flavor.recognises(results)
    assert flavor.task(results) == "none"


def test_a_model_that_was_not_fitted_is_known_as_such(sm: Any) -> None:
    model = sm.OLS(NUMBER, X)
    assert flavor.recognises(model)
    assert not flavor.is_fitted(model)
