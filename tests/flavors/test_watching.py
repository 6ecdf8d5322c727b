"""Looking on while frameworks train: what is reported, and that nothing else changes."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import Any

import numpy as np
import pandas as pd
import pytest
from joblib import Parallel, delayed
from sklearn.model_selection import cross_val_score

from mlops_magics import flavors
from tests.conftest import need

X = pd.DataFrame(np.random.default_rng(0).normal(size=(80, 3)), columns=["a", "b", "c"])
y = (X["a"] + 0.3 * X["b"] > 0).astype(int)
SEEN, HELD = slice(0, 60), slice(60, 80)

Reports = list[tuple[str, float, int]]


def xgboost() -> Any:
    model = need("xgboost").XGBClassifier(n_estimators=30, early_stopping_rounds=3, max_depth=2)
    return model.fit(X[SEEN], y[SEEN], eval_set=[(X[HELD], y[HELD])], verbose=False)


def native_xgboost() -> Any:
    lib = need("xgboost")
    rows = lib.DMatrix(X[SEEN], y[SEEN])
    held = lib.DMatrix(X[HELD], y[HELD])
    params = {"objective": "binary:logistic", "max_depth": 2}
    return lib.train(
        params, rows, 30, evals=[(held, "held")], early_stopping_rounds=3, verbose_eval=False
    )


def lightgbm() -> Any:
    lib = need("lightgbm")
    model = lib.LGBMClassifier(n_estimators=30, verbose=-1, min_child_samples=2)
    stop = lib.early_stopping(3, verbose=False)
    return model.fit(X[SEEN], y[SEEN], eval_set=[(X[HELD], y[HELD])], callbacks=[stop])


def catboost() -> Any:
    model = need("catboost").CatBoostClassifier(
        iterations=30, depth=2, verbose=0, allow_writing_files=False, early_stopping_rounds=3
    )
    return model.fit(X[SEEN], y[SEEN], eval_set=(X[HELD], y[HELD]))


def keras() -> Any:
    lib = need("keras")
    lib.utils.set_random_seed(0)
    model = lib.Sequential([lib.Input((3,)), lib.layers.Dense(1, activation="sigmoid")])
    model.compile(loss="binary_crossentropy", optimizer="adam")
    stop = lib.callbacks.EarlyStopping(patience=1, min_delta=0.01)
    model.fit(
        X[SEEN].to_numpy("float32"),
        y[SEEN].to_numpy(),
        validation_data=(X[HELD].to_numpy("float32"), y[HELD].to_numpy()),
        epochs=4,
        verbose=0,
        callbacks=[stop],
    )
    return model


TRAININGS = {
    xgboost: "validation_0_logloss",
    native_xgboost: "held_logloss",
    lightgbm: "valid_0_binary_logloss",
    catboost: "validation_Logloss",
    keras: "val_loss",
}


def asked(model: Any) -> np.ndarray:
    flavor = flavors.recognise(model)
    assert flavor is not None
    found = flavor.predictor(model, flavor.observe(model, X, y)).predict_proba(X)
    assert found is not None
    return found


@pytest.mark.parametrize("train", TRAININGS, ids=lambda f: f.__name__)
def test_each_iteration_is_reported_and_the_model_is_the_same(train: Any) -> None:
    alone = asked(train())
    reports: Reports = []
    with flavors.watching(lambda *report: reports.append(report)):
        watched = asked(train())
    np.testing.assert_array_equal(watched, alone)
    steps = [step for name, _, step in reports if name == TRAININGS[train]]
    assert len(steps) > 1
    assert steps == list(range(len(steps)))
    assert all(isinstance(value, float) for _, value, _ in reports)
    told = len(reports)
    train()  # nobody looks on any more
    assert len(reports) == told


@pytest.mark.parametrize("train", TRAININGS, ids=lambda f: f.__name__)
def test_a_report_that_fails_does_not_stop_the_training(train: Any) -> None:
    def fail(*report: Any) -> None:
        raise ZeroDivisionError

    with flavors.watching(fail):
        assert asked(train()).shape == (80, 2)


def test_the_reported_values_are_those_of_the_framework() -> None:
    reports: Reports = []
    with flavors.watching(lambda *report: reports.append(report)):
        model = xgboost()
    own = model.evals_result()["validation_0"]["logloss"]
    assert [value for _, value, _ in reports] == own


def test_the_functions_are_left_as_they_were() -> None:
    lib = need("xgboost")
    before = lib.callback.CallbackContainer.after_iteration
    with (
        flavors.watching(lambda *report: None),
        flavors.watching(lambda *report: None),
    ):
        assert lib.callback.CallbackContainer.after_iteration is not before
    assert lib.callback.CallbackContainer.after_iteration is before


def test_one_inside_the_other_both_hear() -> None:
    outer: Reports = []
    inner: Reports = []
    with flavors.watching(lambda *report: outer.append(report)):
        with flavors.watching(lambda *report: inner.append(report)):
            native_xgboost()
        told = len(inner)
        native_xgboost()
    assert 0 < told == len(inner) < len(outer)


def test_several_trainings_are_told_apart() -> None:
    reports: Reports = []
    with flavors.watching(lambda *report: reports.append(report)):
        lightgbm()
        lightgbm()
    assert {name for name, _, _ in reports} == {
        "valid_0_binary_logloss",
        "fit_2_valid_0_binary_logloss",
    }


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_trainings_in_parallel_go_as_without(backend: str) -> None:
    lib = need("xgboost")
    with flavors.watching(lambda *report: None):
        scores = Parallel(n_jobs=2, backend=backend)(
            delayed(cross_val_score)(lib.XGBClassifier(n_estimators=3), X, y, cv=2)
            for _ in range(2)
        )
    alone = cross_val_score(lib.XGBClassifier(n_estimators=3), X, y, cv=2)
    for found in scores:
        np.testing.assert_array_equal(found, alone)


def test_a_framework_is_met_when_it_is_imported_and_not_before() -> None:
    need("lightgbm")
    code = """
        import json, sys
        from mlops_magics import flavors
        heavy = ("xgboost", "lightgbm", "catboost", "torch", "keras", "sklearn", "mlflow")
        reports = []
        with flavors.watching(lambda *report: reports.append(report)):
            early = [m for m in heavy if m in sys.modules]
            import lightgbm, numpy
            rows = numpy.arange(100.0).reshape(50, 2)
            train = lightgbm.Dataset(rows, rows[:, 0] > 30)
            params = {"objective": "binary", "verbose": -1}
            lightgbm.train(params, train, 2, valid_sets=[train], valid_names=["seen"])
        print(json.dumps([early, reports]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    early, reports = json.loads(done.stdout)
    assert early == []
    assert [(name, step) for name, _, step in reports] == [
        ("seen_binary_logloss", 0),
        ("seen_binary_logloss", 1),
    ]
