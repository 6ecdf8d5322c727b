"""The routes around the model, and who may ask."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from mlops_magics import flavors
from mlops_magics.serving.app import Server
from mlops_magics.serving.guard import LOCAL, Guard, is_loopback
from mlops_magics.serving.service import Service
from tests.serving import models


def test_paths_and_methods_that_are_not_there(ours: TestClient) -> None:
    answer = ours.get("/invocation")
    assert answer.status_code == 404
    assert answer.json() == {
        "error_code": "NOT_FOUND",
        "message": "There is no '/invocation'. Did you mean '/invocations'?",
    }
    answer = ours.get("/invocations")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert answer.json()["message"] == "/invocations does not take GET. Use POST."


def test_metadata(ours: TestClient) -> None:
    content = ours.get("/metadata").json()
    assert content["model"] == "credit/1"
    assert content["task"] == "classification"
    assert content["classes"] == ["bad", "good"]
    assert content["estimator"] == "LogisticRegression in a Pipeline"
    inputs = {i["name"]: i for i in content["signature"]["inputs"]}
    assert inputs["Age"] == {"name": "Age", "type": "long", "required": True}
    assert inputs["Income"]["required"] is False
    assert content["capture"] is None


def test_each_answer_has_an_id_of_its_own(model: Path, ours: TestClient) -> None:
    body = {"dataframe_records": models.rows(model)}
    ids = {ours.post("/invocations", json=body).headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3
    refused = ours.post("/invocations", json={})
    assert refused.json()["request_id"] == refused.headers["x-request-id"]
    assert refused.headers["x-mlops-model"] == "credit/1"


def test_a_body_that_is_too_large(model: Path) -> None:
    server = TestClient(Server(Service(flavors.load(model)), {}, most_body=1000).app())
    answer = server.post("/invocations", content=b"x" * 1001)
    assert answer.status_code == 413
    assert answer.json()["message"] == (
        "The body has 1,001 bytes and the server takes 1,000. Send fewer rows at a time."
    )
    # Also when the client does not say how much will come.
    parts = (b"y" * 100 for _ in range(11))
    assert server.post("/invocations", content=parts).status_code == 413
    assert server.post("/invocations", content=b"x" * 1000).status_code == 415


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:8080", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8080", 200),
        ("LOCALHOST", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example:80", 403),
        ("localhost.evil.example", 403),
        ("", 403),
    ],
)
def test_only_local_names_reach_a_local_server(host: str, status: int, model: Path) -> None:
    app = Guard(Server(Service(flavors.load(model)), {}).app(), LOCAL)
    answer = TestClient(app).get("/ping", headers={"host": host})
    assert answer.status_code == status
    if status == 403:
        assert "does not answer to the name" in answer.json()["message"]


def test_the_token(model: Path) -> None:
    app = Guard(Server(Service(flavors.load(model)), {}).app(), (), "s3cret")
    server = TestClient(app)
    assert server.get("/metadata").status_code == 401
    assert server.post("/invocations", content=b"{}").status_code == 401
    wrong = {"authorization": "Bearer s3cre"}
    assert server.get("/metadata", headers=wrong).status_code == 401
    right = {"authorization": "Bearer s3cret"}
    assert server.get("/metadata", headers=right).status_code == 200
    assert server.get("/ping").status_code == 200  # whatever watches a container has no token


def test_what_is_loopback() -> None:
    assert all(is_loopback(h) for h in ("127.0.0.1", "127.1.2.3", "::1", "localhost"))
    assert not any(is_loopback(h) for h in ("0.0.0.0", "::", "192.168.1.1", "example.org"))
