"""Too many requests, slow models, slow clients, and the end: who is told what, and when."""

from __future__ import annotations

import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from starlette.testclient import TestClient

from tests.serving import scripted
from tests.serving.readings import of, samples
from tests.serving.scripted import body, running


def post(client: httpx.Client, *values: float) -> httpx.Response:
    return httpx.post(
        f"{client.base_url}/invocations",
        content=body(*values),
        headers={"content-type": "application/json"},
        trust_env=False,
        timeout=30,
    )


def busy(client: httpx.Client, requests: int) -> None:
    for _ in range(200):
        if of(samples(client.get("/metrics").text), "requests_in_flight") >= requests:
            return
        time.sleep(0.02)
    raise AssertionError("the requests did not come in")


def test_no_more_than_some_wait() -> None:
    with running(most_waiting=2) as (client, _), ThreadPoolExecutor() as pool:
        asked = [pool.submit(post, client, 1001.0)]
        busy(client, 1)
        asked += [pool.submit(post, client, float(n)) for n in range(2)]
        busy(client, 3)
        began = time.perf_counter()
        refused = post(client, 1)
        ready = client.get("/readyz")
        assert time.perf_counter() - began < 0.5
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json()["error_code"] == "TEMPORARILY_UNAVAILABLE"
        assert refused.json()["message"] == "2 requests wait for the model already."
        assert refused.json()["request_id"] == refused.headers["x-request-id"]
        assert (ready.status_code, ready.json()["error_code"]) == (503, "NOT_READY")
        assert client.get("/livez").status_code == client.get("/ping").status_code == 200
        assert [a.result().status_code for a in asked] == [200, 200, 200]
        assert client.get("/readyz").status_code == 200
        assert post(client, 4).json() == {"predictions": [8.0]}
        assert of(samples(client.get("/metrics").text), "queue_wait_seconds_sum") > 1


def test_a_model_that_hangs() -> None:
    with running(timeout=0.5) as (client, process), ThreadPoolExecutor() as pool:
        hanging = pool.submit(post, client, 1003.0)
        busy(client, 1)
        waiting = pool.submit(post, client, 1)
        answer = hanging.result()
        assert answer.status_code == 504
        assert answer.json()["message"] == "The model did not answer within 0.5 s."
        assert answer.json()["error_code"] == "DEADLINE_EXCEEDED"
        assert waiting.result().status_code == 503  # its turn never came: it may ask again
        began = time.perf_counter()
        later = post(client, 1)
        assert time.perf_counter() - began < 0.4
        assert later.status_code == 503
        assert "has been at work on one request for" in later.json()["message"]
        assert client.get("/livez").status_code == 200
        assert client.get("/readyz").status_code == 503
        assert of(samples(client.get("/metrics").text), "ready") == 0
        for _ in range(100):  # when it comes back, all is well again
            if client.get("/readyz").status_code == 200:
                break
            time.sleep(0.1)
        assert post(client, 4).json() == {"predictions": [8.0]}
        # And hanging it keeps nobody from stopping it.
        assert post(client, 1060).status_code == 504
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0


def test_a_model_that_raises_takes_nobody_with_it() -> None:
    with running() as (client, _):
        for _ in range(3):
            answer = post(client, -1)
            assert answer.status_code == 500
            assert answer.json()["message"].startswith("The model failed (RuntimeError).")
            assert client.get("/readyz").status_code == 200
            assert post(client, 4).json() == {"predictions": [8.0]}


def test_a_model_that_exits_takes_nobody_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(*_: object) -> None:
        raise SystemExit(3)

    server = scripted.server()
    client = TestClient(server.app())
    json = {"content-type": "application/json"}
    with monkeypatch.context() as patched:
        patched.setattr(server.service.predictor, "predict", leave)
        answer = client.post("/invocations", content=body(1), headers=json)
    assert (answer.status_code, answer.json()["message"]) == (500, "The model failed (SystemExit).")
    assert client.post("/invocations", content=body(1), headers=json).status_code == 200


def test_a_body_that_does_not_arrive() -> None:
    with running(body_timeout=0.5) as (client, _):
        place = (client.base_url.host, client.base_url.port)
        with socket.create_connection(place, timeout=10) as slow:
            slow.sendall(
                b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
                b'Content-Type: application/json\r\n\r\n{"inputs"'
            )
            assert post(client, 1).status_code == 200  # nobody waits for it
            said = b""
            while part := slow.recv(4096):  # to its end: the connection is closed
                said += part
        assert said.startswith(b"HTTP/1.1 408 ")
        assert b"The body did not arrive within 0.5 s: 9 bytes did." in said
        assert post(client, 1).status_code == 200


def test_what_is_in_work_ends_and_readiness_is_gone_at_once() -> None:
    with running() as (client, process), ThreadPoolExecutor() as pool:
        assert client.get("/readyz").status_code == 200
        asked = pool.submit(post, client, 1001.5)
        busy(client, 1)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.05)
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["message"] == "The server ends what is in work and stops."
        assert client.get("/livez").status_code == client.get("/ping").status_code == 200
        assert asked.result().json() == {"predictions": [2003.0]}
        assert process.wait(5) == 0


def test_with_nothing_in_work_it_ends_at_once() -> None:
    with running() as (client, process):
        assert client.get("/livez").status_code == 200
        began = time.perf_counter()
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
        assert time.perf_counter() - began < 2


def test_many_at_once_are_all_answered_rightly() -> None:
    with running(most_waiting=100) as (client, _), ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: post(client, float(n), n + 0.5), range(200)))
        assert [a.json()["predictions"] for a in answers] == [
            [2.0 * n, 2.0 * n + 1] for n in range(200)
        ]
