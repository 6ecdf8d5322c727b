"""What the server says of itself to programs and people, and that it is true."""

from __future__ import annotations

import html
import json
import re
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate
from sklearn.linear_model import LinearRegression
from starlette.testclient import TestClient

from mlops_magics.flavors import Input
from mlops_magics.serving.app import Server
from mlops_magics.serving.service import Service
from tests.serving import models, scripted
from tests.serving.conftest import client


@pytest.fixture(scope="module")
def description(ours: TestClient) -> Any:
    return ours.get("/openapi.json").json()


@pytest.fixture(scope="module")
def unnamed(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    X = np.random.default_rng(0).normal(size=(50, 3))
    model = LinearRegression().fit(X, X[:, 0])
    return client(models.save(model, X, tmp_path_factory.mktemp("unnamed") / "m"))


def content(description: Any, path: str) -> Any:
    return description["paths"][path]["post"]["requestBody"]["content"]["application/json"]


def test_it_is_valid(description: Any, unnamed: TestClient) -> None:
    validate(description, cls=OpenAPIV31SpecValidator)
    validate(unnamed.get("/openapi.json").json(), cls=OpenAPIV31SpecValidator)
    bare = TestClient(Server(Service(scripted.Scripted()), {}).app())
    validate(bare.get("/openapi.json").json(), cls=OpenAPIV31SpecValidator)
    assert (description["openapi"], description["info"]["title"]) == ("3.1.0", "credit")
    row = description["components"]["schemas"]["Row"]
    assert row["properties"]["Age"] == {"type": "integer", "format": "int64"}
    assert row["properties"]["Income"]["type"] == ["number", "null"]
    assert "Age" in row["required"]
    assert "Income" not in row["required"]


@pytest.mark.parametrize("path", ["/invocations", "/v2/models/credit/infer"])
def test_the_example_is_answered_and_fits(ours: TestClient, description: Any, path: str) -> None:
    found = content(description, path)
    answer = ours.post(path, json=found["example"])
    assert answer.status_code == 200, answer.text
    schemas = {"components": description["components"]}
    jsonschema.validate(found["example"], {**found["schema"], **schemas})
    operation = description["paths"][path]["post"]["responses"]
    answered = operation["200"]["content"]["application/json"]["schema"]
    jsonschema.validate(answer.json(), {**answered, **schemas})
    refused = ours.post(path, json={})
    error = operation["400"]["content"]["application/json"]["schema"]
    jsonschema.validate(refused.json(), {**error, **schemas})


def test_rows_fit_their_schema(ours: TestClient, model: Path, description: Any) -> None:
    schema = {**content(description, "/invocations")["schema"]}
    schema["components"] = description["components"]
    rows = models.rows(model)
    jsonschema.validate({"dataframe_records": rows}, schema)
    for wrong in (
        {},
        {"dataframe_records": [{**rows[0], "Age": "old"}]},
        {"dataframe_records": rows, "inputs": rows},
        {"dataframe_records": rows, "params": {"predict_method": "guess"}},
    ):
        assert ours.post("/invocations", json=wrong).status_code == 400
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_every_path_is_there(ours: TestClient, description: Any) -> None:
    for path, operations in description["paths"].items():
        if "get" in operations:
            assert ours.get(path).status_code == 200, path


def test_the_example_of_a_model_without_names(unnamed: TestClient) -> None:
    found = content(unnamed.get("/openapi.json").json(), "/invocations")
    assert unnamed.post("/invocations", json=found["example"]).status_code == 200


def test_the_page(ours: TestClient) -> None:
    answer = ours.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "<script" not in answer.text
    assert re.findall(r'(?:src|href)="([^"]*)"', answer.text) == ["openapi.json"]
    assert "<td>Age</td><td>long</td><td>required</td>" in answer.text
    line = html.unescape(re.findall("<pre>(.*?)</pre>", answer.text, re.DOTALL)[0])
    program, url, _, header, _, data = shlex.split(line)
    assert (program, url) == ("curl", "http://testserver/invocations")
    name, _, value = header.partition(": ")
    assert ours.post("/invocations", content=data, headers={name: value}).status_code == 200


def test_names_are_escaped() -> None:
    class Bad(scripted.Scripted):
        columns = (Input("<script>alert(1)</script>", "double"),)
        description = "<b>"

    name = "x"
    example = json.dumps({"dataframe_records": [{name: "'; rm -rf / #<"}]}).encode()
    app = Server(Service(Bad(), example), {"model": "<i>/1"}).app()
    text = TestClient(app).get("/docs", headers={"host": "evil'$(x)"}).text
    assert "<script>" not in text
    assert "<i>" not in text
    assert "<b>" not in text
