"""The same answers and status codes as MLflow's own scoring server, in all its forms."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from starlette.testclient import TestClient

from tests.serving import models
from tests.serving.conftest import client, mlflow_client
from tests.serving.models import JSON

Rows = list[dict[str, Any]]


def ask(server: TestClient, body: Any, content_type: str | None = JSON) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": content_type} if content_type else {}
    return server.post("/invocations", content=content, headers=headers)


def with_(row: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**row, **changes}


def without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {k: v for k, v in row.items() if k not in names}


def split(rows: Rows, **more: Any) -> dict[str, Any]:
    return {"columns": list(rows[0]), "data": [list(r.values()) for r in rows], **more}


def columns(rows: Rows) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def csv(rows: Rows) -> bytes:
    return pd.DataFrame(rows).to_csv(index=False).encode()


#: What is sent as JSON, made from the rows of the input example.
FORMS: dict[str, Callable[[Rows], Any]] = {
    "split": lambda r: {"dataframe_split": split(r)},
    "split with an index": lambda r: {"dataframe_split": split(r, index=[9, 8, 7, 6, 5])},
    "split with a wrong index": lambda r: {"dataframe_split": split(r, index=[1])},
    "split in another order": lambda r: {
        "dataframe_split": split([dict(reversed(x.items())) for x in r])
    },
    "split without columns": lambda r: {"dataframe_split": {"data": split(r)["data"]}},
    "split with a strange key": lambda r: {"dataframe_split": split(r, dtypes=5)},
    "split with a short row": lambda r: {
        "dataframe_split": {**split(r), "data": [split(r)["data"][0], [1]]}
    },
    "split without rows": lambda r: {"dataframe_split": {**split(r), "data": []}},
    "split that is a list": lambda r: {"dataframe_split": [1, 2]},
    "split with a column twice": lambda r: {
        "dataframe_split": {"columns": [*r[0], "Age"], "data": [[*x.values(), 1] for x in r]}
    },
    "records": lambda r: {"dataframe_records": r},
    "one record lacks what may be missing": lambda r: {
        "dataframe_records": [r[0], without(r[1], "Income")]
    },
    "one record lacks what is needed": lambda r: {
        "dataframe_records": [r[0], without(r[1], "Age")]
    },
    "records that are one object": lambda r: {"dataframe_records": r[0]},
    "no records": lambda r: {"dataframe_records": []},
    "records that are numbers": lambda r: {"dataframe_records": [1, 2]},
    "an extra column": lambda r: {"dataframe_records": [with_(r[0], shoe_size=43, list=[1])]},
    "a missing column": lambda r: {"dataframe_records": [without(r[0], "Age")]},
    "a missing column of numbers that may be missing": lambda r: {
        "dataframe_records": [without(r[0], "Income")]
    },
    "a missing column of words": lambda r: {"dataframe_records": [without(r[0], "Home")]},
    "a renamed column": lambda r: {"dataframe_records": [with_(without(r[0], "Age"), age=30)]},
    "null where it may be": lambda r: {"dataframe_records": [with_(r[0], Income=None, Home=None)]},
    "null in whole numbers": lambda r: {"dataframe_records": [with_(r[0], Age=None)]},
    "null in words": lambda r: {"dataframe_records": [with_(r[0], Records=None)]},
    "text in whole numbers": lambda r: {"dataframe_records": [with_(r[0], Age="abc")]},
    "text in numbers": lambda r: {"dataframe_records": [with_(r[0], Income="abc")]},
    "numbers written as text": lambda r: {"dataframe_records": [with_(r[0], Age="30", Debt="1.5")]},
    "a whole number for a number": lambda r: {"dataframe_records": [with_(r[0], Income=129)]},
    "30.0 for a whole number": lambda r: {"dataframe_records": [with_(r[0], Age=30.0)]},
    "true for a number": lambda r: {"dataframe_records": [with_(r[0], Age=True)]},
    "a list for a number": lambda r: {"dataframe_records": [with_(r[0], Age=[30])]},
    "an object for a word": lambda r: {"dataframe_records": [with_(r[0], Home={"a": 1})]},
    "a number beyond 64 bits": lambda r: {"dataframe_records": [with_(r[0], Age=10**30)]},
    "a category never seen": lambda r: {"dataframe_records": [with_(r[0], Home="castle")]},
    "infinity": lambda r: {"dataframe_records": [with_(r[0], Income=math.inf)]},
    "NaN": lambda r: {"dataframe_records": [with_(r[0], Income=math.nan)]},
    "inputs by column": lambda r: {"inputs": columns(r)},
    "inputs of one row": lambda r: {"inputs": r[0]},
    "inputs row by row": lambda r: {"inputs": r},
    "inputs without names": lambda r: {"inputs": split(r)["data"]},
    "inputs of numbers without names": lambda r: {"inputs": [[1, 2], [3, 4]]},
    "no inputs": lambda r: {"inputs": []},
    "inputs that are a number": lambda r: {"inputs": 5},
    "inputs of unequal length": lambda r: {"inputs": {**columns(r), "Age": [1]}},
    "inputs with one value for all": lambda r: {"inputs": {**columns(r), "Age": 30}},
    "instances by column": lambda r: {"instances": columns(r)},
    "instances row by row": lambda r: {"instances": r},
    "instances without names": lambda r: {"instances": split(r)["data"]},
    "an instance lacks what is needed": lambda r: {"instances": [r[0], without(r[1], "Age")]},
    "params that the model does not know": lambda r: {
        "dataframe_records": r,
        "params": {"temperature": 2},
    },
    "params that are a list": lambda r: {"dataframe_records": r, "params": [1]},
    "something beside the data": lambda r: {"dataframe_records": r, "comment": "hello"},
    "two forms": lambda r: {"dataframe_records": r, "inputs": columns(r)},
    "no form": lambda r: {"data": r},
    "a list": lambda r: r,
    "a number": lambda r: 5,
    "null": lambda r: None,
    "not JSON": lambda r: b"{'a': 1}",
    "nothing": lambda r: b"",
    "not UTF-8": lambda r: b'{"inputs": "\xff"}',
}

CSV: dict[str, Callable[[Rows], bytes]] = {
    "csv": csv,
    "csv lacks a column": lambda r: csv([without(x, "Age") for x in r]),
    "csv has an extra column": lambda r: csv([with_(x, shoe_size=43) for x in r]),
    "csv with text for a number": lambda r: csv([with_(r[0], Price="abc")]),
    "csv with a fraction for a whole number": lambda r: csv([with_(r[0], Price=84.6)]),
    "csv with what may be missing": lambda r: csv([with_(r[0], Income=None, Home=None), r[1]]),
    "csv with what may not": lambda r: csv([with_(r[0], Age=None), r[1]]),
    "csv without rows": lambda r: csv(r).splitlines(keepends=True)[0],
    "empty csv": lambda r: b"",
    "broken csv": lambda r: b'"a\n"b,,,"c',
    "csv that is not UTF-8": lambda r: b"\xff\xfe",
}

TYPES = [
    "application/json",
    "application/json; charset=utf-8",
    "application/json;charset=UTF-8",
    "application/json; charset=latin-1",
    "application/json; format=pandas-split",
    "text/plain",
    "application/x-www-form-urlencoded",
]


def same(ours: Any, theirs: Any) -> None:
    assert ours.status_code == theirs.status_code, (ours.text, theirs.text)
    if ours.status_code == 200:
        assert ours.json() == theirs.json()
    else:
        body = ours.json()
        assert set(body) == {"error_code", "message", "request_id"}
        assert body["message"].rstrip()[-1] in ".?", body["message"]
        assert "Traceback" not in body["message"]


@pytest.mark.parametrize("form", FORMS)
def test_json(form: str, model: Path, ours: TestClient, theirs: TestClient) -> None:
    body = FORMS[form](models.rows(model))
    same(ask(ours, body), ask(theirs, body))


@pytest.mark.parametrize("form", CSV)
def test_csv(form: str, model: Path, ours: TestClient, theirs: TestClient) -> None:
    body = CSV[form](models.rows(model))
    same(ask(ours, body, "text/csv"), ask(theirs, body, "text/csv"))


@pytest.mark.parametrize("content_type", TYPES)
def test_types(content_type: str, model: Path, ours: TestClient, theirs: TestClient) -> None:
    body = {"dataframe_records": models.rows(model)}
    same(ask(ours, body, content_type), ask(theirs, body, content_type))


def test_all_rows_are_predicted_alike(
    credit: pd.DataFrame, ours: TestClient, theirs: TestClient
) -> None:
    rows = credit.drop(columns=["Status"]).tail(500)
    for kind, body in (
        ("text/csv", rows.to_csv(index=False).encode()),
        (JSON, f'{{"dataframe_split": {rows.to_json(orient="split")}}}'.encode()),
    ):
        same(ask(ours, body, kind), ask(theirs, body, kind))


@pytest.mark.parametrize("path", ["/ping", "/health", "/version"])
def test_what_is_asked_about_the_server(path: str, ours: TestClient, theirs: TestClient) -> None:
    got, wanted = ours.get(path), theirs.get(path)
    assert (got.status_code, got.text) == (wanted.status_code, wanted.text)
    assert got.headers["content-type"] == wanted.headers["content-type"]


#: Where MLflow changes a value without a word, or fails itself, and we say something.
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"Age": 30.7}, "Column 'Age' needs a whole number (long) and row 1 has 30.7."),
        ({"Home": 5}, "Column 'Home' needs text (string) and row 1 has 5."),
    ],
)
def test_where_mlflow_would_change_a_value(
    changes: dict[str, Any], sentence: str, model: Path, ours: TestClient, theirs: TestClient
) -> None:
    body = {"dataframe_records": [with_(models.rows(model)[0], **changes)]}
    assert ask(theirs, body).status_code == 200
    answer = ask(ours, body)
    assert (answer.status_code, answer.json()["message"]) == (400, sentence)


def test_a_body_without_a_type(model: Path, ours: TestClient, theirs: TestClient) -> None:
    body = {"dataframe_records": models.rows(model)}
    assert ask(theirs, body, None).status_code == 500
    assert ask(ours, body, None).status_code == 415


def test_a_missing_word_is_missing_in_every_form(model: Path, ours: TestClient) -> None:
    rows = [with_(row, Home=None) for row in models.rows(model)]
    params = {"params": {"predict_method": "predict_proba"}}
    answers = [
        ask(ours, {form: data, **params}).json()["predictions"]
        for form, data in {
            "dataframe_records": rows,
            "dataframe_split": split(rows),
            "inputs": columns(rows),  # where MLflow reads the word "None"
            "instances": rows,
        }.items()
    ]
    assert all(answer == answers[0] for answer in answers)


ARRAYS: dict[str, Any] = {
    "inputs": {"inputs": [[1.0, 2.0, 3.0], [4, 5, 6]]},
    "instances": {"instances": [[1.0, 2.0, 3.0]]},
    "split": {"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1, 2, 3]]}},
    "split without names": {"dataframe_split": {"data": [[1, 2, 3]]}},
    "records": {"dataframe_records": [{"a": 1, "b": 2, "c": 3}]},
    "too few columns": {"inputs": [[1.0, 2.0]]},
    "too many dimensions": {"inputs": [[[1.0, 2.0, 3.0]]]},
    "one row without a list": {"inputs": [1.0, 2.0, 3.0]},
    "ragged": {"inputs": [[1.0], [1.0, 2.0]]},
    "text": {"inputs": [["a", "b", "c"]]},
    "null": {"inputs": [[None, 2.0, 3.0]]},
    "names": {"inputs": {"x": [1, 2]}},
    "nothing": {"inputs": []},
    "a number": {"inputs": 3},
    "split with text": {"dataframe_split": {"columns": ["a", "b", "c"], "data": [["x", 2, 3]]}},
}


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory) -> tuple[TestClient, TestClient]:
    """A model on an array without names, behind both servers."""
    X = np.random.default_rng(0).normal(size=(40, 3))
    path = models.save(
        Ridge().fit(X, X @ [1.0, -2.0, 0.5]), X, tmp_path_factory.mktemp("ridge") / "m"
    )
    return client(path), mlflow_client(path)


@pytest.mark.parametrize("form", ARRAYS)
def test_arrays(form: str, regression: tuple[TestClient, TestClient]) -> None:
    ours, theirs = (ask(server, ARRAYS[form]) for server in regression)
    same(ours, theirs)


def test_csv_for_an_array(regression: tuple[TestClient, TestClient]) -> None:
    ours, theirs = regression
    body = b"a,b,c\n1,2,3\n4,5,6\n"
    assert ask(theirs, body, "text/csv").status_code == 400  # it trips over its own signature
    as_json = ask(ours, {"inputs": [[1, 2, 3], [4, 5, 6]]}).json()
    assert ask(ours, body, "text/csv").json() == as_json


@pytest.fixture(scope="module")
def unsigned(tmp_path_factory: pytest.TempPathFactory) -> tuple[TestClient, TestClient]:
    """A model that was saved without a signature, behind both servers."""
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 2)), columns=["a", "b"])
    model = Ridge().fit(X, X["a"])
    path = tmp_path_factory.mktemp("unsigned") / "m"
    models.save(model, X, path, signature=False, input_example=None)
    return client(path), mlflow_client(path)


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}},
        {"dataframe_records": [{"a": 1, "b": 2}]},
        {"inputs": [[1, 2]]},
        {"instances": [[1, 2], [3, 4]]},
        {"dataframe_split": {"columns": ["a"], "data": [[1]]}},
        {"dataframe_records": [{"a": "x", "b": 2}]},
    ],
)
def test_a_model_without_a_signature(body: Any, unsigned: tuple[TestClient, TestClient]) -> None:
    same(*(ask(server, body) for server in unsigned))
