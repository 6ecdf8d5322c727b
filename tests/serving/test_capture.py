"""Requests and answers, kept and read back."""

from __future__ import annotations

import resource
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from starlette.testclient import TestClient

from mlops_magics import flavors
from mlops_magics.errors import BadData
from mlops_magics.serving import capture, captured
from mlops_magics.serving.app import Server
from mlops_magics.serving.capture import Capture
from mlops_magics.serving.service import Service
from tests.serving import models
from tests.serving.captures import one, until


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Capture]:
    made = Capture(tmp_path / "deep" / "capture.db", "credit/1")
    made.start()
    yield made
    made.close()


@pytest.fixture
def server(model: Path, tmp_path: Path) -> Iterator[TestClient]:
    """A server that captures to ``capture.db``."""
    kept = Capture(tmp_path / "capture.db", "credit/1")
    with TestClient(Server(Service(flavors.load(model)), {}, kept).app()) as client:
        yield client


def test_requests_as_they_were(server: TestClient, model: Path, tmp_path: Path) -> None:
    rows = models.rows(model)
    before = datetime.now(UTC)
    first = server.post(
        "/invocations", json={"dataframe_records": rows}, headers={"x-client-id": "till 7"}
    )
    refused = server.post("/invocations", json={"dataframe_records": [{"Age": 1}]})
    table = pd.DataFrame(rows).assign(shoe_size=43).to_csv(index=False)
    as_csv = server.post("/invocations", content=table, headers={"content-type": "text/csv"})
    probable = {"dataframe_records": rows[:1], "params": {"predict_method": "predict_proba"}}
    server.post("/invocations", json=probable)
    file = tmp_path / "capture"
    until(lambda: len(captured.read(file)) == 4)

    seen = captured.read(file)
    assert seen["status"].tolist() == [200, 400, 200, 200]
    assert seen["rows"].tolist() == [len(rows), 0, len(rows), 1]
    assert seen["client_id"].tolist() == ["till 7", "", "", ""]
    assert seen["model"].unique().tolist() == ["credit/1"]
    assert seen["error"].tolist() == ["", refused.json()["message"], "", ""]
    assert seen["request_id"][0] == first.headers["x-request-id"]
    assert (seen["latency_ms"] > 0).all()
    assert seen["time"].between(before, datetime.now(UTC)).all()

    asked = captured.features(file)
    names = list(rows[0])
    assert list(asked.columns) == ["request_id", "request_row", "client_key", *names, "prediction"]
    expected = pd.DataFrame(rows)
    for request, answer in ((first, first), (as_csv, as_csv)):
        part = asked[asked["request_id"] == request.headers["x-request-id"]].reset_index(drop=True)
        pd.testing.assert_frame_equal(part[names], expected, check_dtype=False)
        assert part["prediction"].tolist() == answer.json()["predictions"]
    assert asked["prediction"].iloc[-1] == first.json()["predictions"][0]


def test_only_what_came_since(writer: Capture) -> None:
    now = datetime.now(UTC)
    for hours in (3, 2, 1):
        at = int((now - timedelta(hours=hours)).timestamp() * 1e6)
        writer.put(one(time=at, client_id=str(hours)))
    until(lambda: writer.written == 3)
    since = now - timedelta(hours=2.5)
    assert captured.read(writer.path, since)["client_id"].tolist() == ["2", "1"]
    assert len(captured.features(writer.path, since)) == 2
    plain = since.replace(tzinfo=None).isoformat()
    assert captured.read(writer.path, plain)["client_id"].tolist() == ["2", "1"]
    with pytest.raises(BadData, match="'yesterday' is no time"):
        captured.read(writer.path, "yesterday")


def test_smoke_tests_are_no_traffic(writer: Capture) -> None:
    writer.put(one(client_id=captured.SMOKE_TEST))
    writer.put(one(client_id="x"))
    until(lambda: writer.written == 2)
    assert captured.read(writer.path)["client_id"].tolist() == ["x"]
    assert len(captured.features(writer.path)) == 1


def test_columns_that_come_and_go(writer: Capture) -> None:
    writer.put(one(columns={"x": [1]}))
    writer.put(one(columns={"x": [2], "prediction": ["old"]}, outputs='["b"]'))
    writer.put(one(columns={"y": [3]}))
    until(lambda: writer.written == 3)
    table = captured.features(writer.path)
    ours = ["request_id", "request_row", "client_key"]
    assert list(table.columns) == [*ours, "x", "prediction_input", "y", "prediction"]
    assert table["prediction"].tolist() == [1, "b", 1]
    assert table["x"].isna().tolist() == [False, False, True]


def test_a_model_that_does_not_answer_row_by_row(writer: Capture) -> None:
    writer.put(one(columns={"x": [1, 2]}, outputs="[7]", rows=2))
    writer.put(one(columns={"x": [3]}, outputs="0.5"))
    writer.put(one(columns={"x": [4]}, outputs="[8]"))
    until(lambda: writer.written == 3)
    table = captured.features(writer.path)
    assert table["x"].tolist() == [1, 2, 3, 4]
    assert table["prediction"].isna().tolist() == [True, True, True, False]


def test_a_file_is_there_before_the_first_request(writer: Capture) -> None:
    until(lambda: writer.path.exists() and writer.path.stat().st_size > 0)
    until(lambda: captured.read(writer.path).empty)
    assert list(captured.features(writer.path).columns) == list(captured.OURS)


def test_a_file_that_is_just_being_made_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "new.db").touch()
    assert captured.read(tmp_path / "new.db").empty
    assert captured.features(tmp_path / "new.db").empty


def test_a_database_of_something_else(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db")) as database:
        database.execute("CREATE TABLE songs (title TEXT)")
    with pytest.raises(BadData, match="can't be read as a capture: no such table"):
        captured.read(tmp_path / "other.db")


def test_no_file_and_no_capture(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="There is no capture at"):
        captured.read(tmp_path / "none.db")
    (tmp_path / "text.db").write_text("hello, I am a text and not a database at all")
    with pytest.raises(BadData, match="can't be read as a capture"):
        captured.features(tmp_path / "text.db")


def test_too_much_at_once_is_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "MOST_ROWS", 5)
    monkeypatch.setattr(capture, "MOST_BYTES", 2000)
    idle = Capture(tmp_path / "capture.db", "credit/1")  # not started: nothing is taken out
    for _ in range(8):
        idle.put(one(size=100))
    assert (idle.state()["waiting"], idle.dropped) == (5, 3)
    large = Capture(tmp_path / "large.db", "credit/1")
    large.put(one(size=1500))
    large.put(one(size=1500))
    assert (large.state()["waiting"], large.dropped) == (1, 1)


def test_a_batch_that_can_not_be_written_is_not_the_end(writer: Capture) -> None:
    writer.put(one(columns={"x": [object]}, outputs=object()))  # no value for SQLite
    until(lambda: writer.dropped == 1)
    writer.put(one(error="half a character: \ud800"))
    until(lambda: writer.written == 1)
    assert captured.read(writer.path)["error"].tolist() == ["half a character: ?"]
    assert writer.state()["waiting"] == 0


def test_what_waits_is_written_at_the_end(tmp_path: Path) -> None:
    short = Capture(tmp_path / "capture.db", "credit/1")
    short.start()
    for _ in range(250):
        short.put(one())
    short.close()
    assert len(captured.read(short.path)) == 250


def test_a_full_disk_is_said_and_passes(writer: Capture, caplog: pytest.LogCaptureFixture) -> None:
    large = '["' + "x" * 50_000 + '"]'
    for _ in range(10):
        writer.put(one(outputs=large))
    until(lambda: writer.written == 10)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (510_000, hard))  # for a file it is as if full
    try:
        writer.put(one(outputs=large))
        until(lambda: writer.dropped == 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "File too large" in writer.state()["error"]
    assert "Predictions go on" in caplog.text
    assert len(captured.read(writer.path)) == 10  # what was half written is gone again
    writer.put(one(request_id="after"))
    until(lambda: writer.written == 11)
    assert writer.state()["error"] == ""
    assert "Capture works again; 1 requests were not captured." in caplog.text
    assert captured.read(writer.path)["request_id"].iloc[-1] == "after"


def test_two_writers_and_a_reader_share_a_file(tmp_path: Path) -> None:
    writers = [Capture(tmp_path / "capture.db", f"credit/{n}") for n in (1, 2)]
    for w in writers:
        w.start()
    counts = []
    for number in range(300):
        for w in writers:
            w.put(one())
        if number % 100 == 99:
            counts.append(_read_when_ready(tmp_path / "capture.db"))
    assert counts == sorted(counts)
    for w in writers:
        w.close()
    seen = captured.read(tmp_path / "capture.db")
    assert seen["model"].value_counts().to_dict() == {"credit/1": 300, "credit/2": 300}
    assert seen["request_id"].is_unique


def _read_when_ready(file: Path) -> int:
    for _ in range(100):
        try:
            return len(captured.read(file))
        except BadData:  # its tables are being made
            time.sleep(0.05)
    raise AssertionError("the capture could not be read")
