"""What the server says of itself, as Prometheus reads it."""

from __future__ import annotations

import time
from pathlib import Path

from starlette.testclient import TestClient

from mlops_magics.serving.capture import Capture
from tests.serving import scripted
from tests.serving.readings import of, samples


def test_every_request_is_counted() -> None:
    server = TestClient(scripted.server(most_body=10_000).app())
    json = {"content-type": "application/json"}
    for content in (scripted.body(1, 2), scripted.body(3), b"{}", scripted.body(-1), b" " * 10_001):
        server.post("/invocations", content=content, headers=json)
    answer = server.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = samples(answer.text)
    statuses = {"200": 2, "400": 1, "500": 1, "413": 1}
    for status, count in statuses.items():
        assert of(found, "requests_total", status=status, protocol="mlflow") == count
    assert of(found, "rows_total", protocol="mlflow") == 3
    assert of(found, "request_duration_seconds_count", protocol="mlflow") == 5
    assert of(found, "request_duration_seconds_bucket", protocol="mlflow", le="+Inf") == 5
    assert 0 < of(found, "request_duration_seconds_sum", protocol="mlflow") < 30
    assert of(found, "queue_wait_seconds_count") == 4  # one never came to the model
    assert of(found, "requests_in_flight") == of(found, "requests_waiting") == 0
    assert of(found, "ready") == 1
    about = {"name": "scripted", "version": "7", "digest": "sha256:00", "runtime": "native"}
    assert of(found, "model_info", **about) == 1
    assert 0 < found["process_start_time_seconds", frozenset()] <= time.time() + 1
    assert "mlops_capture_pending" not in {metric for metric, _ in found}


def test_capture(tmp_path: Path) -> None:
    capture = Capture(tmp_path / "capture.db", "scripted/7")
    with TestClient(scripted.server(capture=capture).app()) as server:
        for _ in range(3):
            server.post(
                "/invocations", content=scripted.body(1), headers={"content-type": "text/csv"}
            )
        for _ in range(100):
            found = samples(server.get("/metrics").text)
            if not of(found, "capture_pending"):
                break
            time.sleep(0.05)
    assert of(found, "capture_written_total") == 3
    assert of(found, "capture_dropped_total") == 0


def test_open_metrics_for_who_asks_for_it() -> None:
    server = TestClient(scripted.server().app())
    answer = server.get("/metrics", headers={"accept": "application/openmetrics-text"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
