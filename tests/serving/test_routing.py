"""Requests handed on to a second server: which, and what becomes of its answers."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from mlops_magics.serving import beside, routing
from mlops_magics.serving.routing import Routing

#: Where clients ask, by the scope of their requests.
PORT = 8080
OURS, THEIRS = {"predictions": [1]}, {"predictions": [2]}
Handle = Callable[[bytes, bytes], Awaitable[tuple[int, Any] | None]]


async def ours(scope: Any, receive: Any, send: Any) -> None:
    """The deployed application; it fails on a body that says so."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    status = int(body) if body.isdigit() else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(OURS).encode()})


@asynccontextmanager
async def second(handle: Handle) -> AsyncIterator[int]:
    """A second server, on real connections, which are kept; gives its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                answer = await handle(head, await reader.readexactly(size))
                if answer is None:
                    break
                status, content = answer
                body = json.dumps(content).encode()
                writer.write(b"HTTP/1.1 %d X\r\nx-from: theirs\r\n" % status)
                writer.write(b"content-length: %d\r\n\r\n" % len(body) + body)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


class Front:
    """What is asked, and how."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "routes.json"
        self.routing = Routing(ours, self.file, PORT)
        transport = httpx.ASGITransport(app=self.routing)
        self.client = httpx.AsyncClient(transport=transport, base_url=f"http://127.0.0.1:{PORT}")

    def route(self, port: int, kind: str = "canary", share: float = 1.0, of: str = "a") -> None:
        content = {"id": of, "kind": kind, "share": share, "port": port}
        self.file.write_text(json.dumps(content))
        self.routing.look()

    async def ask(self, path: str = "/invocations", body: bytes = b"{}", **headers: str) -> Any:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(path, content=body, headers=sent)

    def figures(self) -> dict[str, Any]:
        self.routing.look()
        return self.routing.figures()


@pytest.fixture
def front(tmp_path: Path) -> Front:
    return Front(tmp_path)


async def well(head: bytes, body: bytes) -> tuple[int, Any]:
    return 200, THEIRS


def test_what_is_handed_on(front: Front) -> None:
    heads: list[bytes] = []

    async def noting(head: bytes, body: bytes) -> tuple[int, Any]:
        heads.append(head)
        return 200, THEIRS

    async def go() -> None:
        async with second(noting) as port:
            assert (await front.ask()).json() == OURS  # no route yet
            front.route(port)
            for path in ("/invocations", "/models/credit/invocations", "/v2/models/c/infer"):
                reply = await front.ask(path, traceparent="t", authorization="Bearer x")
                assert (reply.json(), reply.headers["x-from"]) == (THEIRS, "theirs")
            assert b"POST /v2/models/c/infer HTTP/1.1\r\n" in heads[-1]
            assert b"authorization: Bearer x\r\n" in heads[-1]
            assert b"traceparent: t\r\n" in heads[-1]
            assert heads[-1].lower().count(b"host:") == heads[-1].lower().count(b"length:") == 1
            # A version of the client's choice, what the server says of itself, and large bodies.
            for path in ("/v2/models/c/versions/1/infer", "/models/c/1/invocations", "/metadata"):
                assert (await front.ask(path)).json() == OURS
            assert (await front.client.get("/invocations")).json() == OURS
            large = b" " * (routing.MOST_BODY + 1)
            assert (await front.ask(body=large)).json() == OURS
            # What comes by the server's own port is never handed on.
            own = await front.client.post("http://127.0.0.1:9/invocations", content=b"{}")
            assert own.json() == OURS
            told = (await front.client.get("http://127.0.0.1:9/beside")).json()
            assert (told["id"], told["other"]["requests"]) == ("a", 3)
            assert (await front.client.get("/beside")).json() == OURS  # not for clients
            front.file.unlink()
            front.routing.look()
            assert (await front.ask()).json() == OURS
            assert len(heads) == 3

    asyncio.run(go())


def test_a_share_by_who_asks_or_by_chance(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    async def go() -> None:
        async with second(well) as port:
            chosen: list[set[str]] = []
            for share in (0.1, 0.5):
                front.route(port, share=share)
                keys = [f"client-{n}" for n in range(300)]
                found = {k for k in keys if (await front.ask(x_client_id=k)).json() == THEIRS}
                assert abs(len(found) / 300 - share) < 0.06
                chosen.append(found)
            assert chosen[0] < chosen[1]  # with a larger share nobody goes back
            # Who asks stands before whom it is about.
            one = next(iter(chosen[0]))
            assert (await front.ask(x_mlops_key="none", x_client_id=one)).json() == THEIRS
            assert (await front.ask(x_mlops_key=one)).json() == THEIRS
            for drawn, expected in ((0.49, THEIRS), (0.51, OURS)):
                monkeypatch.setattr(routing.random, "random", lambda d=drawn: d)  # type: ignore[attr-defined]
                assert (await front.ask()).json() == expected

    asyncio.run(go())


def test_no_client_sees_a_canary_fail(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "PATIENCE", 0.1)

    async def fails(head: bytes, body: bytes) -> tuple[int, Any] | None:
        if body == b"refused":
            return 400, {}
        if body == b"hangs":
            await asyncio.sleep(5)
        return (500, {}) if body == b"fails" else None

    async def go() -> None:
        async with second(fails) as port:
            front.route(port)
            for n, body in enumerate((b"fails", b"hangs", b"breaks off", b"refused"), 1):
                reply = await front.ask(body=body)
                assert (reply.status_code, reply.json()) == (200, OURS)
                assert front.figures()["other"]["errors"] == n
            # Refused by both it is the client's own mistake.
            assert (await front.ask(body=b"400")).status_code == 400
        front.route(port, of="b")
        assert (await front.ask()).json() == OURS  # nobody listens there any more
        other = front.figures()["other"]
        assert (other["requests"], other["errors"], other["in_a_row"]) == (1, 1, 1)

    asyncio.run(go())


def test_a_kept_connection_that_ended_meanwhile(front: Front) -> None:
    ends = asyncio.Event()

    async def once(head: bytes, body: bytes) -> tuple[int, Any] | None:
        return None if ends.is_set() else (200, THEIRS)

    async def go() -> None:
        async with second(well) as port:
            line = beside.Line(port)
            for _ in range(3):
                reply = await line.ask(b"/", [], b"", 1)
                assert (reply.status, json.loads(reply.body)) == (200, THEIRS)
            assert len(line._free) == 1
            line._free[0][1].close()  # as a timeout of either side would
            await asyncio.sleep(0)
            assert (await line.ask(b"/", [], b"", 1)).status == 200
            line.close()
        async with second(once) as port:
            line = beside.Line(port)
            ends.set()
            with pytest.raises(OSError, match="ended within the answer"):
                await line.ask(b"/", [], b"", 1)
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            with pytest.raises(TimeoutError):
                await beside.Line(silent.getsockname()[1]).ask(b"/", [], b"", 0.05)

    asyncio.run(go())


def test_a_shadow_is_compared_and_never_waited_for(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "MOST_COPIES", 2)
    may = asyncio.Event()

    async def slow(head: bytes, body: bytes) -> tuple[int, Any]:
        await may.wait()
        return 200, THEIRS

    async def go() -> None:
        async with second(slow) as port:
            front.route(port, kind="shadow")
            for _ in range(5):
                assert (await front.ask()).json() == OURS  # while the shadow answers nothing
            assert front.figures()["left_out"] == 3
            may.set()
            while front.figures()["other"]["requests"] < 2:
                await asyncio.sleep(0.01)
        found = front.figures()
        assert found["compared"] == {"rows": 2, "equal": 0, "mean_difference": 1}
        assert found["stable"]["requests"] == 5
        assert found["stable"]["predictions"] == {"shares": {"1": 1.0}}
        assert found["other"]["predictions"] == {"shares": {"2": 1.0}}

    asyncio.run(go())


def test_a_body_that_comes_late_is_answered_here(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "BODY_TIMEOUT", 0.05)

    async def go() -> None:
        async with second(well) as port:
            front.route(port)
            sent: list[Any] = []
            body: asyncio.Queue[bytes] = asyncio.Queue()
            body.put_nowait(b"a")
            asyncio.get_running_loop().call_later(0.2, body.put_nowait, b"b")

            async def receive() -> Any:
                chunk = await body.get()
                return {"type": "http.request", "body": chunk, "more_body": chunk != b"b"}

            async def send(message: Any) -> None:
                sent.append(message)

            scope = {
                "type": "http",
                "method": "POST",
                "path": "/invocations",
                "query_string": b"",
                "headers": [],
                "server": ("127.0.0.1", PORT),
            }
            await front.routing(scope, receive, send)
            assert json.loads(sent[-1]["body"]) == OURS

    asyncio.run(go())


def test_figures() -> None:
    side = beside.Side()
    assert side.figures()["p95_ms"] is None
    for n in range(100):
        side.answered(n / 1000, json.dumps({"predictions": [n + 0.5]}).encode())
    side.failed("HTTP 500")
    side.read()
    found = side.figures()
    assert (found["requests"], found["errors"], found["p50_ms"], found["p95_ms"]) == (
        101,
        1,
        49.0,
        94.0,
    )
    assert (found["predictions"]["mean"], found["predictions"]["least"]) == (50, 0.5)
    v2 = b'{"outputs": [{"name": "x", "data": [3, 4]}]}'
    assert beside.predictions(v2) == [3, 4]
    for none in (b"", b"[]", b"{}", b'{"outputs": []}', b'{"predictions": {"a": 1}}', b"\xff"):
        assert beside.predictions(none) == []
