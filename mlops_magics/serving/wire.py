"""Small requests answered where they come in: between the parser of HTTP and the socket.

uvicorn makes a scope, a cycle and a task of each request, for an application that may do anything.
A small request to a graph takes less than that. So those that `hot` can read are answered here,
all that came within one turn of the event loop by one call of the graph; every other request goes
uvicorn's way as if this module were not there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from mlops_magics.serving import inference, service, tracing
from mlops_magics.serving.connections import Connection, Connections, Limits
from mlops_magics.serving.graph import Graph
from mlops_magics.serving.guard import Guard
from mlops_magics.serving.hot import MOST_BYTES, Hot
from mlops_magics.serving.refusals import ModelFailed
from mlops_magics.serving.scoring import CLIENT, KEY, LONGEST, Scoring
from mlops_magics.serving.served import Request
from mlops_magics.serving.turns import Pending, Turns

if TYPE_CHECKING:
    from mlops_magics.serving.app import Server

#: Heads that ask for something unusual.
_ODD = frozenset(
    (b"transfer-encoding", b"expect", b"upgrade", inference.HEADER.encode(), b"content-encoding")
)
_JSON = (b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8")


class Wires(Connections):
    """All connections of a server, on which small requests may be answered at once.

    Parameters
    ----------
    scoring : mapping
        Path → what answers there, as `Server.scoring` has it.
    hots : mapping
        Name and version of a model → its short way.
    guard : Guard
        Who may ask.
    may : callable
        Whether anything may be answered here now.
    most_bytes : int
        Of a body.
    """

    def __init__(
        self,
        limits: Limits,
        scoring: Mapping[str, Scoring],
        hots: Mapping[str, Hot],
        guard: Guard,
        may: Callable[[], bool],
        most_bytes: int,
    ) -> None:
        super().__init__(limits)
        #: As they come in, before anything is decoded.
        self.targets = {
            quote(path).encode(): (hots[one.served.ref], one.protocol)
            for path, one in scoring.items()
            if one.served.ref in hots
        }
        self.guard = guard
        self.may = may
        self.most_bytes = most_bytes
        self.turns = Turns()

    def protocol(self, **uvicorn: Any) -> Connection:
        """The protocol of a new connection, as uvicorn asks for it."""
        return Wire(self, **uvicorn)


class Wire(Connection):
    """One connection, on which small requests are answered at once."""

    kept: Wires

    def __init__(self, kept: Wires, **uvicorn: Any) -> None:
        super().__init__(kept, **uvicorn)
        self._target: tuple[Hot, str] | None = None
        self._parts: list[bytes] = []
        self._pending: Pending | None = None
        self._dates: Any = None
        self._start = b""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._target is not None:  # its body is not whole: whoever waits for it has a clock
            self._decline()

    def on_message_begin(self) -> None:
        if self._pending is not None:  # asked again before the answer: each in its turn
            self.kept.turns.flush()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        target = self.kept.targets.get(self.url)
        if target is None or not self._is_usual():
            super().on_headers_complete()
            return
        self.kept.leave(self)
        self.head_size = 0
        self._target = target
        self._parts = []

    def on_body(self, body: bytes) -> None:
        if self._target is None:
            super().on_body(body)
        else:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        if self._target is None:
            super().on_message_complete()
        elif not self._accepts():
            self._decline()
            super().on_message_complete()

    def shutdown(self) -> None:
        if self._pending is not None:
            self.kept.turns.flush()
        super().shutdown()

    def _is_usual(self) -> bool:
        """Whether nothing else is in work here, and the head is that of a plain request."""
        cycle = self.cycle
        return (
            (cycle is None or cycle.response_complete)
            and not self.pipeline
            and not self.flow.write_paused
            and self.app is self.config.loaded_app
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.kept.last_answers  # which say that the connection ends
            and self.kept.may()
        )

    def _accepts(self) -> bool:
        """Let the whole request be answered at the end of this turn, if it is a small one."""
        started = time.perf_counter()
        head = dict(self.headers)
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        guard = self.kept.guard
        if (
            len(head) != len(self.headers)
            or len(body) > self.kept.most_bytes
            or head.get(b"content-type") not in _JSON
            or not _ODD.isdisjoint(head)
            or not guard.answers_to(head.get(b"host", b""))
            or not guard.admits(head.get(b"authorization", b""))
        ):
            return False
        assert self._target is not None
        hot, protocol = self._target
        asked = hot.read(protocol, body)
        if asked is None:
            return False
        self._target = None
        self._pending = Pending(self, hot, asked, head, body, started)
        self.kept.turns.put(self._pending, self.loop)
        return True

    def _decline(self) -> None:
        """Go on as if nothing had been held back."""
        self._target = None
        super().on_headers_complete()
        for part in self._parts:
            super().on_body(part)
        self._parts = []

    def answer(self, pending: Pending, body: bytes, outputs: str) -> None:
        """Write an answer."""
        self._tell(pending, 200, body, outputs)

    def fail(self, pending: Pending) -> None:
        """Say that the server is at fault, if nothing was said yet."""
        if self._pending is pending:
            refusing = inference.refused if pending.asked.protocol == "v2" else service.refused
            answer = refusing(ModelFailed("The server failed to answer."), "")
            self._tell(pending, 500, answer.body, "", answer.error)

    def _tell(
        self, pending: Pending, status: int, body: bytes, outputs: str, error: str = ""
    ) -> None:
        """Write, and then count and capture."""
        asked, served = pending.asked, pending.hot.served
        request_id = tracing.new_id()
        given = pending.head.get(b"traceparent")
        trace = (
            tracing.begun(request_id)
            if given is None
            else tracing.of([given.decode("latin-1")], request_id)
        )
        self._write(status, request_id, trace, served.ref_header, body)
        client = _said(pending, CLIENT)
        if not client and served.logs_requests and self.client:
            client = self.client[0]
        needs_columns = (
            served.capture is not None
            and status == 200
            and not served.keeps_body(asked.protocol, status, pending.body)
        )
        served.note(
            Request(
                asked.protocol,
                request_id,
                trace,
                pending.started,
                client,
                _said(pending, KEY),
                status,
                len(asked.rows),
                0.0,
                error,
                pending.hot.columns(asked) if needs_columns else None,
                outputs,
                pending.body,
            )
        )

    def _write(
        self, status: int, request_id: str, trace: tracing.Trace, model: str, body: bytes
    ) -> None:
        self._pending = None
        if self.transport.is_closing():
            return
        self.transport.write(
            b"%b%bcontent-type: application/json\r\nx-request-id: %b\r\n"
            b"traceparent: %b\r\nx-mlops-model: %b\r\ncontent-length: %d\r\n\r\n%b"
            % (
                STATUS_LINE[status],
                self._dated(),
                request_id.encode(),
                trace.header.encode(),
                model.encode(),
                len(body),
                body,
            )
        )
        self.server_state.total_requests += 1
        self.kept.idle[self] = time.monotonic()

    def _dated(self) -> bytes:
        """The heads that every answer has; uvicorn makes them anew each second."""
        heads = self.server_state.default_headers
        if heads is not self._dates:
            self._dates = heads
            self._start = b"".join(b"%b: %b\r\n" % head for head in heads)
        return self._start


def _said(pending: Pending, name: bytes) -> str:
    given = pending.head.get(name)
    return "" if given is None else given.decode("latin-1")[:LONGEST]


def connections(
    server: Server, guard: Guard, limits: Limits, may: Callable[[], bool]
) -> Connections:
    """The connections of a server: with a short way where it has a graph that is quick.

    Parameters
    ----------
    may : callable
        Whether a request may take it now.
    """
    hots = {}
    for served in server.models:
        predictor = served.service.predictor
        if isinstance(predictor, Graph) and not predictor.parameters:
            hot = Hot(served, predictor)
            if hot.is_quick():
                hots[served.ref] = hot
    if not hots:
        return Connections(limits)
    most = min(MOST_BYTES, server.most_body)
    return Wires(limits, server.scoring(), hots, guard, may, most)
