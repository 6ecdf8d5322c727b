"""A second version beside the one that is served: the way to it, and what was seen of both."""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import httptools

#: How many of the newest latencies, and of the answers' values, figures are made from.
NEWEST = 1000
#: Answers larger than this are not looked into.
MOST_ANSWER = 64 << 10
#: Different values up to which predictions are counted one by one.
MOST_VALUES = 20

Headers = Iterable[tuple[bytes, bytes]]


@dataclass(slots=True)
class Reply:
    """What the other version answered."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    complete: bool = False
    keep_alive: bool = False


class Line:
    """Kept connections to a server on this machine.

    Parameters
    ----------
    port : int
        Where it listens.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, path: bytes, headers: Headers, body: bytes, patience: float) -> Reply:
        """Send a request by POST.

        Raises
        ------
        OSError
            If it can't be reached, breaks off or answers no HTTP; `TimeoutError`, which is one,
            if it does not answer within `patience` seconds.
        """
        head = b"".join(b"%s: %s\r\n" % header for header in headers)
        size = b"content-length: %d\r\n\r\n" % len(body)
        where = b"POST %s HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n" % (path, self.port)
        writer = None
        try:
            async with asyncio.timeout(patience):
                reader, writer = await self._open()
                writer.write(where + head + size + body)
                reply = await _read(reader)
        except BaseException:
            if writer is not None:
                writer.transport.abort()
            raise
        if reply.keep_alive:
            self._free.append((reader, writer))
        else:
            writer.close()
        return reply

    def close(self) -> None:
        """End those that nobody uses."""
        while self._free:
            self._free.pop()[1].close()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._free:
            reader, writer = self._free.pop()
            if not (writer.is_closing() or reader.at_eof()):
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self.port)


async def _read(reader: asyncio.StreamReader) -> Reply:
    reply = Reply()
    chunks: list[bytes] = []

    class Events:
        def on_header(self, name: bytes, value: bytes) -> None:
            reply.headers.append((name.lower(), value))

        def on_body(self, body: bytes) -> None:
            chunks.append(body)

        def on_message_complete(self) -> None:
            reply.complete = True
            reply.keep_alive = parser.should_keep_alive()  # afterwards it knows no more

    parser = httptools.HttpResponseParser(Events())
    while not reply.complete:
        data = await reader.read(1 << 16)
        if not data:
            raise ConnectionResetError("The connection was ended within the answer.")
        try:
            parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise ConnectionError("This is no answer by HTTP.") from error
    reply.status, reply.body = parser.get_status_code(), b"".join(chunks)
    return reply


@dataclass
class Side:
    """What one of the two versions did since they run beside each other.

    Attributes
    ----------
    errors : int
        Requests that it did not answer although it should have.
    in_a_row : int
        ... the last of them, with no answer in between.
    """

    requests: int = 0
    errors: int = 0
    in_a_row: int = 0
    last_error: str = ""
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=NEWEST))
    values: deque[Any] = field(default_factory=lambda: deque(maxlen=NEWEST))
    _unread: deque[bytes] = field(default_factory=lambda: deque(maxlen=NEWEST // 5))

    def answered(self, seconds: float, body: bytes = b"") -> None:
        """One request that was answered; the body is looked into later, if at all."""
        self.requests += 1
        self.in_a_row = 0
        self.latencies.append(seconds * 1000)
        if 0 < len(body) <= MOST_ANSWER:
            self._unread.append(body)

    def failed(self, why: str) -> None:
        """One request that was not."""
        self.requests += 1
        self.errors += 1
        self.in_a_row += 1
        self.last_error = why

    def read(self) -> None:
        """Look into the answers that came since; not while somebody waits for one."""
        while self._unread:
            self.values.extend(predictions(self._unread.popleft()))

    def figures(self) -> dict[str, Any]:
        """As JSON has them."""
        ordered = sorted(self.latencies)
        return {
            "requests": self.requests,
            "errors": self.errors,
            "in_a_row": self.in_a_row,
            "last_error": self.last_error,
            "error_rate": self.errors / self.requests if self.requests else None,
            "p50_ms": _quantile(ordered, 0.50),
            "p95_ms": _quantile(ordered, 0.95),
            "p99_ms": _quantile(ordered, 0.99),
            "predictions": _distribution(self.values),
        }


@dataclass
class Compared:
    """The answers of both to the same requests."""

    rows: int = 0
    equal: int = 0
    numbers: int = 0
    difference: float = 0.0

    def add(self, ours: bytes, theirs: bytes) -> None:
        """One request's answers, row by row."""
        for one, other in zip(predictions(ours), predictions(theirs), strict=False):
            self.rows += 1
            self.equal += one == other
            if _is_number(one) and _is_number(other):
                self.numbers += 1
                self.difference += abs(one - other)

    def figures(self) -> dict[str, Any]:
        """As JSON has them."""
        return {
            "rows": self.rows,
            "equal": self.equal / self.rows if self.rows else None,
            "mean_difference": self.difference / self.numbers if self.numbers else None,
        }


def predictions(body: bytes) -> list[Any]:
    """The values in an answer of either protocol; none where there are none to be compared."""
    try:
        content = json.loads(body)
        found = content.get("predictions")
        if found is None:
            found = content["outputs"][0]["data"]
    except (ValueError, AttributeError, LookupError, TypeError):
        return []
    return found if isinstance(found, list) else []


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _quantile(ordered: list[float], share: float) -> float | None:
    return round(ordered[math.ceil(share * len(ordered)) - 1], 3) if ordered else None


def _distribution(values: Iterable[Any]) -> dict[str, Any]:
    """The share of each value; of many different numbers their mean and spread."""
    simple = [v for v in values if isinstance(v, str | int | float)]
    if not simple:
        return {}
    counts = Counter(str(v) for v in simple)
    if len(counts) <= MOST_VALUES:
        return {"shares": {v: n / len(simple) for v, n in counts.most_common()}}
    numbers = [float(v) for v in simple if not isinstance(v, str | bool)]
    if not numbers:
        return {"different": len(counts)}
    mean = sum(numbers) / len(numbers)
    spread = math.sqrt(sum((v - mean) ** 2 for v in numbers) / len(numbers))
    return {"mean": mean, "deviation": spread, "least": min(numbers), "most": max(numbers)}
