"""Traces that others began, and the lines that say which request belongs to which."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from mlops_magics.serving import logs, manifest, tracing
from tests.serving import scripted
from tests.serving.test_process import serving

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
NEW = "a" * 32


@pytest.mark.parametrize(
    ("given", "flags"),
    [
        (f"00-{TRACE}-{PARENT}-01", 1),
        (f"00-{TRACE}-{PARENT}-00", 0),
        (f"00-{TRACE}-{PARENT}-ff", 3),  # flags that nobody knows yet are not passed on
        (f" 00-{TRACE}-{PARENT}-01\t", 1),
        (f"01-{TRACE}-{PARENT}-01", 1),  # a later version, and what it may add
        (f"cc-{TRACE}-{PARENT}-01-what-the-future-holds", 1),
    ],
)
def test_what_is_continued(given: str, flags: int) -> None:
    trace = tracing.of([given], NEW)
    assert (trace.trace_id, trace.parent_id, trace.flags) == (TRACE, PARENT, flags)
    assert trace.header == f"00-{TRACE}-{trace.span_id}-{flags:02x}"
    assert trace.span_id != PARENT
    assert len(trace.span_id) == 16


@pytest.mark.parametrize(
    "given",
    [
        [],
        [""],
        [f"00-{TRACE}-{PARENT}-01"] * 2,
        [f"ff-{TRACE}-{PARENT}-01"],
        [f"00-{TRACE}-{PARENT}-01-more"],
        [f"00-{TRACE}-{PARENT}-1"],
        [f"00-{TRACE}-{PARENT}"],
        [f"cc-{TRACE}-{PARENT}-01.more"],
        [f"00-{'0' * 32}-{PARENT}-01"],
        [f"00-{TRACE}-{'0' * 16}-01"],
        [f"00-{TRACE.upper()}-{PARENT}-01"],
        [f"00-{TRACE[:-1]}g-{PARENT}-01"],
        [f"00-{TRACE[:-1]}٣-{PARENT}-01"],
    ],
)
def test_what_is_ignored(given: list[str]) -> None:
    trace = tracing.of(given, NEW)
    assert (trace.trace_id, trace.parent_id, trace.flags) == (NEW, "", 0)


def test_the_header_of_an_answer() -> None:
    server = TestClient(scripted.server().app())
    headers = {"content-type": "application/json", "traceparent": f"00-{TRACE}-{PARENT}-01"}
    for content, status in ((scripted.body(1), 200), (b"{}", 400)):
        answer = server.post("/invocations", content=content, headers=headers)
        assert answer.status_code == status
        assert tracing.of([answer.headers["traceparent"]], NEW).trace_id == TRACE
    headers["traceparent"] = "nonsense"
    answer = server.post("/invocations", content=scripted.body(1), headers=headers)
    assert answer.status_code == 200
    # Then the request's own id is the trace's.
    assert answer.headers["traceparent"].split("-")[1] == answer.headers["x-request-id"]


def test_a_line_for_each_request(package: Path) -> None:
    headers = {
        "content-type": "application/json",
        "traceparent": f"00-{TRACE}-{PARENT}-01",
        "x-client-id": 'a "client"\\',
    }
    with serving(package, "--log-format", "json") as server:
        answers = [
            httpx.post(f"{server.url}/invocations", content=c, headers=headers, trust_env=False)
            for c in (manifest.example(package), b"{}")
        ]
        lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert [x["message"] for x in lines].count("request") == 2
    assert lines[0]["message"].startswith("Serving credit/1 at ")
    good, bad = (x for x in lines if x["message"] == "request")
    for line, answer in zip((good, bad), answers, strict=True):
        assert line["request_id"] == answer.headers["x-request-id"]
        assert line["trace_id"] == TRACE
        assert line["parent_id"] == PARENT
        assert line["span_id"] == answer.headers["traceparent"].split("-")[2]
        assert line["model"] == "credit/1"
        assert line["client"] == 'a "client"\\'
        assert 0 < line["latency_ms"] < 30_000
        assert line["time"].endswith("+00:00")
    assert (good["status"], good["rows"], good["error"]) == (200, 5, "")
    assert (bad["status"], bad["rows"]) == (400, 0)
    assert "no data" in bad["error"]


def test_an_exception_is_one_line_too() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        exc_info = (ValueError, error, error.__traceback__)
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "It %s", ("failed",), exc_info)
    line = logs.Lines().format(record)
    assert "\n" not in line
    assert json.loads(line)["message"] == "It failed"
    assert "ValueError: two\nlines" in json.loads(line)["exception"]
