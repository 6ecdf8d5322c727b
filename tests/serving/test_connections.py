"""Connections that ask nothing, or so slowly that they never do, keep nobody else from asking."""

from __future__ import annotations

import itertools
import json
import resource
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx
import psutil
import pytest

from mlops_magics.serving.connections import MOST_HEAD, Limits
from tests.serving.scripted import body, running
from tests.serving.test_limits import busy, post
from tests.serving.test_process import until

START = b"POST /invocations HTTP/1.1\r\nHost: localhost\r\n"


def connected(client: httpx.Client, *, source: str = "127.0.0.1") -> socket.socket:
    place = (client.base_url.host, client.base_url.port or 0)
    return socket.create_connection(place, timeout=30, source_address=(source, 0))


def rest(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    said = b""
    try:
        while part := connection.recv(65536):
            said += part
    except ConnectionResetError:
        pass
    return said


def answers(client: httpx.Client) -> None:
    """By connections of their own, as whoever comes new."""
    for path in ("/livez", "/readyz"):
        asked = httpx.get(f"{client.base_url}{path}", trust_env=False, timeout=30)
        assert asked.status_code == 200
    assert post(client, 4).json() == {"predictions": [8.0]}


@pytest.fixture
def files() -> Iterator[int]:
    """As many files for this process as it may have."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextmanager
def many_idle(client: httpx.Client, count: int) -> Iterator[None]:
    """So many connections, from several addresses, each of which has sent nothing."""
    with ExitStack() as held:
        for number in range(count):
            source = f"127.0.0.{2 + number // 5000}"
            held.enter_context(connected(client, source=source))
            if number % 2000 == 0:
                answers(client)
        yield


@pytest.mark.parametrize("places", [1000, 12_000])
def test_ten_thousand_idle_connections(files: int, places: int) -> None:
    count = min(10_000, files - 500)
    with running(limits={"connections": places, "head": 60}) as (client, server):
        process = psutil.Process(server.pid)
        answers(client)
        before = process.memory_info().rss
        with many_idle(client, count):
            answers(client)
            kept = min(count, Limits(places).within(files).connections)
            assert kept - 50 < process.num_fds() < kept + 100
            assert process.memory_info().rss - before < 20_000 * kept + (30 << 20)
        answers(client)
        assert server.poll() is None


def test_a_head_that_does_not_come_to_its_end() -> None:
    with running(limits={"head": 0.5}) as (client, _), ExitStack() as held:
        silent, slow = (held.enter_context(connected(client)) for _ in range(2))
        slow.sendall(START)
        with ThreadPoolExecutor() as pool:
            said = pool.submit(rest, slow)
            while not said.done():  # a byte now and then makes it no better
                try:
                    slow.sendall(b"X")
                except OSError:
                    break
                answers(client)
                time.sleep(0.1)
            head, _, content = said.result().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert json.loads(content) == {
            "error_code": "REQUEST_TIMEOUT",
            "message": "The head of the request did not arrive within 0.5 s.",
        }
        assert rest(silent) == b""


def test_a_head_without_end() -> None:
    with running() as (client, _), connected(client) as endless:
        endless.sendall(START + b"X-A: " + b"a" * (MOST_HEAD + 1))
        said = rest(endless)
        assert said.startswith(b"HTTP/1.1 431 ")
        assert b"The head is larger than 65,536 bytes." in said
        answers(client)


def test_what_is_no_http() -> None:
    with running() as (client, _), connected(client) as strange:
        strange.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
        head, _, content = rest(strange).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert json.loads(content)["message"] == "This is no HTTP request that can be read."


def test_an_idle_connection_ends() -> None:
    with running(limits={"idle": 0.5}) as (client, _), connected(client) as idle:
        idle.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert rest(idle).startswith(b"HTTP/1.1 200 ")


def test_the_one_that_waits_longest_gives_way_and_none_that_is_at_work() -> None:
    with running(limits={"connections": 3}) as (client, _), ExitStack() as held:
        assert client.get("/livez").status_code == 200  # stands idle from now on
        pool = held.enter_context(ThreadPoolExecutor())
        asked = [pool.submit(post, client, 1001.0)]
        younger = held.enter_context(connected(client))
        younger.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n")
        busy(client, 1)
        asked += [pool.submit(post, client, float(n)) for n in range(2)]
        time.sleep(0.2)
        refused = post(client, 3)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json()["error_code"] == "TEMPORARILY_UNAVAILABLE"
        assert httpx.get(f"{client.base_url}/livez", trust_env=False).status_code == 200
        assert httpx.get(f"{client.base_url}/readyz", trust_env=False).status_code == 503
        assert [a.result().status_code for a in asked] == [200, 200, 200]
        assert rest(younger) == b""
        answers(client)


def test_it_takes_as_many_files_as_it_may_and_no_more() -> None:
    with running(files=(200, 400)) as (client, server):
        answers(client)
        process = psutil.Process(server.pid)
        assert process.rlimit(resource.RLIMIT_NOFILE) == (400, 400)
        with many_idle(client, 600):
            answers(client)
            assert process.num_fds() < 400
        server.terminate()
        _, log = server.communicate(timeout=10)
        assert "can be accepted" not in log


def test_without_files_it_says_so_and_goes_on() -> None:
    with running() as (client, server):
        answers(client)
        process = psutil.Process(server.pid)
        before = process.rlimit(resource.RLIMIT_NOFILE)
        process.rlimit(resource.RLIMIT_NOFILE, (process.num_fds() + 3, before[1]))
        with ExitStack() as held:
            for _ in range(20):
                held.enter_context(connected(client))
            time.sleep(2.5)  # it tries again each second
            assert client.get("/livez").status_code == 200  # by a connection that it has
            process.rlimit(resource.RLIMIT_NOFILE, before)
        answers(client)
        server.terminate()
        _, log = server.communicate(timeout=10)
        assert log.count("No connection can be accepted now: [Errno 24] Too many open files.") == 1
        assert "Traceback" not in log


def test_limits_within_the_files_that_there_are() -> None:
    assert Limits(1000, backlog=2048).within(20_000).connections == 1000
    few = Limits(1000, backlog=2048).within(1024)
    assert few.connections + 3 * few.backlog < 1024
    assert few.connections > 500
    assert Limits(1000).within(3).connections >= 1


def test_a_large_body_in_small_pieces_is_no_head() -> None:
    """What comes after a head is not counted as one."""
    rows = body(*([1.0] * 30_000))
    with running() as (client, _), connected(client) as asking:
        asking.sendall(
            START + b"Content-Type: application/json\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n" % len(rows)
        )
        for start in range(0, len(rows), 20_000):
            asking.sendall(rows[start : start + 20_000])
        assert len(rows) > MOST_HEAD
        assert rest(asking).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_a_hundred_megabytes(chunked: bool) -> None:
    """It is read to its end, so that the client sees the answer, and not kept."""
    piece = b" " * (1 << 20)
    with running() as (client, server):
        answers(client)
        process = psutil.Process(server.pid)
        before = process.memory_info().rss
        content = itertools.repeat(piece, 100)
        length = {} if chunked else {"content-length": str(100 << 20)}
        refused = client.post("/invocations", content=content, headers=length)
        assert refused.status_code == 413
        assert "The body has 104,857,600 bytes and the server takes 33,554,432." in refused.text
        assert process.memory_info().rss - before < 70 << 20
        answers(client)


def test_an_answer_that_is_never_taken() -> None:
    values = ",".join(["1"] * 3_000_000)
    rows = f'{{"inputs": {{"x": [{values}]}}}}'.encode()
    with running(limits={"idle": 1}) as (client, server):
        answers(client)
        process = psutil.Process(server.pid)
        with socket.socket() as asking:
            asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            asking.connect((client.base_url.host, client.base_url.port))
            asking.sendall(
                START + b"Content-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n" % len(rows) + rows
            )
            assert asking.recv(12) == b"HTTP/1.1 200"
            mine = asking.getsockname()[1]

            def is_open() -> bool:
                found = process.net_connections("tcp")
                return any(one.raddr and one.raddr.port == mine for one in found)

            assert is_open()
            until(lambda: not is_open())  # though most of the answer was never taken
        answers(client)
