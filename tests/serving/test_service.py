"""What becomes of a model's answers, and of its failures."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
from sklearn.linear_model import LogisticRegression
from starlette.testclient import TestClient

from mlops_magics.flavors import Input, Predictor
from mlops_magics.serving.answers import encode
from mlops_magics.serving.service import Service
from tests.serving import models
from tests.serving.conftest import client, mlflow_client
from tests.serving.models import JSON


class Scripted(Predictor):
    """A model of one column that does what the test says."""

    columns = (Input("x", "double"),)

    def __init__(self, behaviour: Any) -> None:
        self.behaviour = behaviour

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        return np.asarray(self.answer(frame, {}))

    def answer(self, data: Any, params: Mapping[str, Any]) -> Any:
        return self.behaviour(data)


EXAMPLE = b'{"dataframe_records": [{"x": 1.0}]}'
OTHER = b'{"dataframe_records": [{"x": 2.0}]}'


def raising(error: Exception, *, also_on_the_example: bool = False) -> Any:
    def behave(frame: pd.DataFrame) -> Any:
        if also_on_the_example or frame["x"][0] != 1.0:
            raise error
        return [0]

    return behave


def test_the_request_is_at_fault_if_the_example_still_works() -> None:
    service = Service(Scripted(raising(ValueError("x is too red\nmore"))), EXAMPLE)
    answer = service.answer(OTHER, JSON, "id")
    assert answer.status == 400
    assert answer.error == "The model can't predict this (ValueError: x is too red)."


@pytest.mark.parametrize(
    "behaviour",
    [
        raising(ValueError("broken"), also_on_the_example=True),
        raising(RuntimeError("out of luck")),
        raising(MemoryError()),
    ],
)
def test_the_model_is_at_fault(behaviour: Any, caplog: pytest.LogCaptureFixture) -> None:
    service = Service(Scripted(behaviour), EXAMPLE)
    with caplog.at_level(logging.ERROR):
        answer = service.answer(OTHER, JSON, "f00")
    assert answer.status == 500
    content = json.loads(answer.body)
    assert content["request_id"] == "f00"
    assert content["message"].startswith("The model failed (")
    assert "luck" not in content["message"]  # what went wrong inside is for the log
    assert "f00" in caplog.text
    assert "Traceback" in caplog.text


def test_the_columns_tell_why_a_model_refuses(model: Path, ours: TestClient) -> None:
    row = models.rows(model)[0]
    for changes, sentence in (
        ({"Income": float("inf")}, "Column 'Income' is infinite in row 1."),
        ({"Assets": -float("inf")}, "Column 'Assets' is infinite in row 1."),
    ):
        body = json.dumps({"dataframe_records": [{**row, **changes}]})
        answer = ours.post("/invocations", content=body, headers={"content-type": JSON})
        assert answer.json()["message"] == sentence


def test_a_missing_value_that_the_model_can_not_do_without(tmp_path: Path) -> None:
    X = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 0.0, 1.0, 0.0]})
    server = client(models.save(LogisticRegression().fit(X, [0, 1, 0, 1]), X, tmp_path / "m"))
    body = {"dataframe_records": [{"a": 1, "b": 2}, {"a": 1, "b": None}]}
    answer = server.post("/invocations", json=body)
    assert answer.status_code == 400
    assert answer.json()["message"] == (
        "Column 'b' has no value in row 2, and this model can't do without."
    )


def test_probabilities(model: Path, ours: TestClient) -> None:
    rows = models.rows(model)
    plain = ours.post("/invocations", json={"dataframe_records": rows}).json()
    assert set(plain) == {"predictions"}
    body = {"dataframe_records": rows, "params": {"predict_method": "predict_proba"}}
    content = ours.post("/invocations", json=body).json()
    assert content["classes"] == ["bad", "good"]
    probabilities = np.array(content["predictions"])
    assert probabilities.shape == (len(rows), 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    best = [content["classes"][i] for i in probabilities.argmax(axis=1)]
    assert best == plain["predictions"]


def test_a_method_that_is_not_there(model: Path, ours: TestClient) -> None:
    body = {"dataframe_records": models.rows(model), "params": {"predict_method": "predict_prob"}}
    answer = ours.post("/invocations", json=body)
    assert answer.status_code == 400
    assert "Did you mean 'predict_proba'" in answer.json()["message"]


def test_a_regression_has_no_probabilities(tmp_path: Path) -> None:
    service = Service(Scripted(lambda frame: [1.0]), EXAMPLE)
    body = b'{"dataframe_records": [{"x": 1}], "params": {"predict_method": "predict_proba"}}'
    answer = service.answer(body, JSON, "id")
    assert (answer.status, answer.error) == (
        400,
        "This model has no probabilities. Leave predict_method out.",
    )


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (np.array([1.5, np.nan, np.inf]), "[1.5,null,null]"),
        (np.array(["a", "b"]), '["a","b"]'),
        (np.array([[1, 2], [3, 4]]), "[[1,2],[3,4]]"),
        (np.array([np.float32(1), "x", None], dtype=object), '[1.0,"x",null]'),
        (pd.Series([1, 2], name="y"), '[{"y":1},{"y":2}]'),
        (pd.DataFrame({"a": [1.0, np.nan]}), '[{"a":1.0},{"a":null}]'),
        ([datetime(2026, 1, 31)], '["2026-01-31T00:00:00"]'),
        ([b"hi"], '["aGk=\\n"]'),
        ({"a": np.array([1.0, np.nan])}, '{"a":[1.0,null]}'),
        ([pd.NaT, pd.NA], "[null,null]"),
    ],
)
def test_answers_are_json(raw: Any, text: str) -> None:
    assert encode(raw) == text


def test_an_answer_without_a_form_in_json_is_the_models_failure() -> None:
    answer = Service(Scripted(lambda frame: [object()]), EXAMPLE).answer(EXAMPLE, JSON, "id")
    assert answer.status == 500


class Scaled(mlflow.pyfunc.PythonModel):  # type: ignore[misc,name-defined]
    """A model of MLflow's own generic kind, with a parameter."""

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> Any:
        assert params is not None
        return (model_input["x"] * params["factor"]).tolist()


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> tuple[TestClient, TestClient]:
    path = tmp_path_factory.mktemp("scaled") / "m"
    mlflow.pyfunc.save_model(
        path,
        python_model=Scaled(),
        pip_requirements=["mlflow"],
        signature=ModelSignature(
            inputs=Schema([ColSpec("double", "x")]),
            outputs=Schema([ColSpec("double")]),
            params=ParamSchema([ParamSpec("factor", "double", 2.0)]),
        ),
    )
    return client(path), mlflow_client(path)


@pytest.mark.parametrize(
    "params", [None, {}, {"factor": 3.0}, {"factor": 3}, {"other": 1}, {"factor": "big"}, [1]]
)
def test_parameters_of_the_models_own(params: Any, scaled: tuple[TestClient, TestClient]) -> None:
    body = {"dataframe_records": [{"x": 1.5}], **({"params": params} if params is not None else {})}
    ours, theirs = (server.post("/invocations", json=body) for server in scaled)
    assert ours.status_code == theirs.status_code, (ours.text, theirs.text)
    if ours.status_code == 200:
        assert ours.json() == theirs.json()
