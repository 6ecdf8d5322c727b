"""Small requests on the short way: the same HTTP as on the long one."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from mlops_magics import flavors
from mlops_magics.serving import captured, manifest, runtimes
from mlops_magics.serving.app import Server
from mlops_magics.serving.hot import Hot
from mlops_magics.serving.service import Service
from mlops_magics.serving.turns import Pending, Turns
from tests.serving import models
from tests.serving.models import JSON
from tests.serving.readings import of, samples
from tests.serving.test_process import Running, serving, until


@pytest.fixture(scope="module")
def server(proven: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    place = tmp_path_factory.mktemp("capture") / "capture.db"
    with serving(proven, "--capture", str(place), "--log-format", "json") as running:
        running.capture = place  # type: ignore[attr-defined]
        yield running


@pytest.fixture(scope="module")
def row(model: Path) -> dict[str, Any]:
    return models.rows(model)[0]


def request(body: bytes, path: str = "/invocations", version: str = "1.1", **heads: str) -> bytes:
    given = {"host": "localhost", "content-type": JSON, "content-length": str(len(body)), **heads}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items())
    return f"POST {path} HTTP/{version}\r\n{lines}\r\n".encode() + body


def connected(server: Running) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=20)


def answers(connection: socket.socket, count: int) -> list[tuple[int, dict[str, str], Any]]:
    """As many answers as that, in their order."""
    said, found = b"", []
    while len(found) < count:
        head, _, rest = said.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if length and len(rest) >= int(length[1]):
            lines = head.decode().split("\r\n")
            heads = dict(line.split(": ", 1) for line in lines[1:])
            content = json.loads(rest[: int(length[1])])
            found.append((int(lines[0].split()[1]), heads, content))
            said = rest[int(length[1]) :]
            continue
        part = connection.recv(65536)
        assert part, said
        said += part
    return found


def aged(row: dict[str, Any], age: Any) -> bytes:
    return json.dumps({"dataframe_records": [{**row, "Age": age}]}).encode()


def test_several_requests_at_once_are_answered_in_their_order(
    server: Running, row: dict[str, Any]
) -> None:
    ages: list[Any] = [18, "old", 70, 30.0, 25, None, 44]  # short, long, short, long…
    asked = b"".join(request(aged(row, age), x_client_id=f"pipe-{age}") for age in ages)
    with connected(server) as connection:
        connection.sendall(asked)
        found = answers(connection, len(ages))
    assert [status for status, _, _ in found] == [200, 400, 200, 200, 200, 400, 200]
    assert "row 1 has 'old'" in found[1][2]["message"]
    assert len({heads["x-request-id"] for _, heads, _ in found}) == len(ages)


@pytest.mark.parametrize("cut", [10, 60, 200, -1])
def test_a_request_in_two_parts(cut: int, server: Running, row: dict[str, Any]) -> None:
    whole = request(aged(row, 30))
    with connected(server) as connection:
        for _ in range(2):  # the connection is as good as before
            connection.sendall(whole[:cut])
            time.sleep(0.05)
            connection.sendall(whole[cut:])
            assert answers(connection, 1)[0][0] == 200


def test_a_connection_that_is_to_end(server: Running, row: dict[str, Any]) -> None:
    for asked in (
        request(aged(row, 30), connection="close"),
        request(aged(row, 30), version="1.0"),
    ):
        with connected(server) as connection:
            connection.sendall(asked)
            ((status, heads, _),) = answers(connection, 1)
            assert (status, heads["connection"]) == (200, "close")
            assert connection.recv(10) == b""


def test_chunks_and_expectations(server: Running, row: dict[str, Any]) -> None:
    body = aged(row, 30)
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    head = request(b"", transfer_encoding="chunked").replace(b"content-length: 0\r\n", b"")
    with connected(server) as connection:
        connection.sendall(head + chunked)
        assert answers(connection, 1)[0][0] == 200
        whole = request(body, expect="100-continue")
        connection.sendall(whole[: -len(body)])
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(body)
        assert answers(connection, 1)[0][0] == 200


def test_what_is_asked_of_a_strange_name(server: Running, row: dict[str, Any]) -> None:
    with connected(server) as connection:
        connection.sendall(request(aged(row, 30), host="evil.example"))
        assert answers(connection, 1)[0][0] == 403
        connection.sendall(request(aged(row, 30), host="LOCALHOST:99"))
        assert answers(connection, 1)[0][0] == 200


def test_the_token(proven: Path, row: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_SERVING_TOKEN", "s3cret")
    with serving(proven) as guarded, connected(guarded) as connection:
        connection.sendall(request(aged(row, 30)))
        assert answers(connection, 1)[0][0] == 401
        connection.sendall(request(aged(row, 30), authorization="Bearer s3cret"))
        assert answers(connection, 1)[0][0] == 200


def test_every_request_is_told_captured_and_counted(server: Running, row: dict[str, Any]) -> None:
    def counted() -> float:
        found = samples(httpx.get(f"{server.url}/metrics", trust_env=False).text)
        return of(found, "requests_total", status="200", protocol="mlflow")

    before = counted()
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with connected(server) as connection:
        connection.sendall(
            request(aged(row, 61), traceparent=parent, x_client_id="me")
            + request(aged({**row, "Income": None, "Job": None}, 62), x_client_id="me")
        )
        (_, first, _), (_, second, _) = answers(connection, 2)
    assert counted() == before + 2
    assert first["traceparent"][:35] == parent[:35]
    assert first["traceparent"][36:52] != parent[36:52]
    assert second["traceparent"][3:35] == second["x-request-id"]
    assert first["content-type"] == JSON
    assert first["x-mlops-model"] == "credit/1"
    assert "date" in first
    place: Path = server.capture  # type: ignore[attr-defined]
    until(lambda: (captured.read(place)["client_id"] == "me").sum() == 2)
    kept = captured.read(place).set_index("request_id")
    assert set(kept.index[kept["client_id"] == "me"]) == {
        first["x-request-id"],
        second["x-request-id"],
    }
    features = captured.features(place).set_index("request_id")
    assert features.loc[first["x-request-id"], "Age"] == 61
    gaps = features.loc[second["x-request-id"]]
    assert gaps["Home"] == row["Home"]
    assert gaps[["Income", "Job"]].isna().all()
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    told = {line["request_id"]: line for line in lines if line["message"] == "request"}
    about = told[first["x-request-id"]]
    assert (about["client"], about["status"], about["rows"]) == ("me", 200, 1)
    assert about["parent_id"] == "b7ad6b7169203331"
    content = httpx.get(f"{server.url}/metadata", trust_env=False).json()
    assert (content["runtime"], content["flavor"]) == ("onnx", "sklearn")


def test_the_same_for_many_at_once(server: Running, proven: Path, model: Path) -> None:
    """Short and long, good and bad, both methods, over sixteen connections."""
    service = Service(flavors.load(model), manifest.example(proven))
    rows = models.rows(model)
    probable = {"params": {"predict_method": "predict_proba"}}
    bodies = [
        json.dumps({"dataframe_records": [{**rows[i % 5], "Age": 20 + i % 50}], **more}).encode()
        for i in range(100)
        for more in ({}, probable)
    ]
    bodies[::9] = [b'{"dataframe_records": [{"Age": "old"}]}'] * len(bodies[::9])
    bodies[::13] = [json.dumps({"dataframe_records": rows * 20}).encode()] * len(bodies[::13])
    with httpx.Client(trust_env=False, timeout=30) as client, ThreadPoolExecutor(16) as pool:
        url, heads = f"{server.url}/models/credit/1/invocations", {"content-type": JSON}
        found = list(pool.map(lambda b: client.post(url, content=b, headers=heads), bodies))
    for body, got in zip(bodies, found, strict=True):
        wanted = service.answer(body, JSON, "")
        assert got.status_code == wanted.status
        expected = json.loads(wanted.body)
        if wanted.status == 400:
            assert got.json()["message"] == expected["message"]
        elif "classes" in expected:
            for one, other in zip(got.json()["predictions"], expected["predictions"], strict=True):
                assert one == pytest.approx(other, abs=1e-9)
        else:
            assert got.json() == expected


def test_tensors(server: Running, model: Path, row: dict[str, Any]) -> None:
    kinds = {int: "INT64", float: "FP64", str: "BYTES"}
    inputs = [
        {"name": name, "shape": [1], "datatype": kinds[type(value)], "data": [value]}
        for name, value in row.items()
    ]
    for path in ("/v2/models/credit/infer", "/v2/models/credit/versions/1/infer"):
        with connected(server) as connection:
            connection.sendall(request(json.dumps({"id": "7", "inputs": inputs}).encode(), path))
            ((status, _, content),) = answers(connection, 1)
        assert (status, content["id"], content["model_name"]) == (200, "7", "credit")
        expected = flavors.load(model).predict(pd.DataFrame([row])).tolist()
        assert content["outputs"][0]["data"] == expected


def test_a_graph_that_fails(proven: Path, row: dict[str, Any]) -> None:
    """Whatever goes wrong there, whoever asked is told, and the next is answered."""
    predictor: Any = runtimes.load(proven)
    served = Server(Service(predictor), {"model": "credit/1"}).first
    hot = Hot(served, predictor)
    told: list[str] = []

    class Asking:
        def answer(self, pending: Pending, body: bytes, outputs: str) -> None:
            told.append(outputs)

        def fail(self, pending: Pending) -> None:
            told.append("failed")

    turns = Turns()
    for age in (30, 31):
        asked = hot.read("mlflow", aged(row, age))
        assert asked is not None
        turns.waiting.append(Pending(Asking(), hot, asked, {}, b"", 0.0))
        if age == 30:
            asked.rows = [("broken",)]
            turns.flush()
    turns.flush()
    assert told == ["failed", '["good"]']


def test_whoever_leaves_takes_nobody_along(server: Running, row: dict[str, Any]) -> None:
    for _ in range(20):
        with connected(server) as connection:
            connection.sendall(request(aged(row, 30)) * 3)
    with connected(server) as connection:
        connection.sendall(request(aged(row, 30)))
        assert answers(connection, 1)[0][0] == 200
    assert "Traceback" not in server.log.read_text()


def test_told_to_stop_it_answers_what_came(proven: Path, row: dict[str, Any]) -> None:
    with serving(proven) as ending, connected(ending) as connection:
        connection.sendall(request(aged(row, 30)))
        assert answers(connection, 1)[0][0] == 200
        ending.process.send_signal(signal.SIGTERM)
        assert ending.process.wait(10) == 0


def test_an_idle_connection_ends(proven: Path, row: dict[str, Any]) -> None:
    with serving(proven, "--keep-alive", "0.5") as short, connected(short) as connection:
        connection.sendall(request(aged(row, 30)))
        assert answers(connection, 1)[0][0] == 200
        assert connection.recv(10) == b""
