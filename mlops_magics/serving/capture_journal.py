"""The form of a file of captured requests: frames, one behind the other, only ever appended to.

::

    frame    kind, length of what it holds, its checksum, the newest time in it, how many requests
    HEADER   JSON: what holds for the frames behind it (model, names of the inputs, masked columns)
    REQUESTS requests, one behind the other
    LEFT     how many requests, and rows in them, the sample left out
    END      that nothing more will come

A killed writer leaves at worst the beginning of a frame, which is no frame: a reader stops before
it and the next writer removes it. So a frame is the least that can be lost, and files can be read
while they are written.
"""

from __future__ import annotations

import json
import logging
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, NamedTuple

log = logging.getLogger("mlops_magics.serving")

HEADER, REQUESTS, LEFT, END = b"MCh1", b"MCr1", b"MCl1", b"MCe1"
_KINDS = (HEADER, REQUESTS, LEFT, END)
_FRAME = struct.Struct("<4sIIqI")
_LEFT = struct.Struct("<QQ")
#: time, latency, status, rows, form; lengths of id, client, key, error, outputs and inputs.
_REQUEST = struct.Struct("<qdHIBHHHIII")

#: What the inputs of a request are kept as: not at all, JSON of its columns, JSON as it was sent.
NOTHING, COLUMNS, SENT = range(3)


class Frame(NamedTuple):
    """One frame; what holds for it is in the last header before it."""

    kind: bytes
    newest: int
    requests: int
    content: bytes
    end: int


class Kept(NamedTuple):
    """A request as it is kept; `inputs` and `outputs` are JSON."""

    time: int
    latency_ms: float
    status: int
    rows: int
    form: int
    request_id: str
    client_id: str
    client_key: str
    error: str
    outputs: bytes
    inputs: bytes


def frame(kind: bytes, content: bytes, newest: int = 0, count: int = 0) -> bytes:
    """The bytes of a frame."""
    return _FRAME.pack(kind, len(content), zlib.crc32(content), newest, count) + content


def header(facts: dict[str, Any]) -> bytes:
    """The frame that says what holds for those behind it."""
    return frame(HEADER, json.dumps(facts).encode())


def left(requests: int, rows: int, newest: int) -> bytes:
    """The frame that counts what the sample left out."""
    return frame(LEFT, _LEFT.pack(requests, rows), newest, requests)


def left_rows(content: bytes) -> int:
    """The rows that such a frame counts."""
    return int(_LEFT.unpack(content)[1])


def request(
    time: int,
    latency_ms: float,
    status: int,
    rows: int,
    form: int,
    request_id: str,
    client_id: str,
    client_key: str,
    error: str,
    outputs: bytes,
    inputs: bytes,
) -> bytes:
    """The bytes of one request; its parts are those of `Kept`."""
    known, client, key = request_id.encode(), client_id.encode(), client_key.encode()
    said = error.encode("utf-8", "replace")  # half a character is no text
    lengths = len(known), len(client), len(key), len(said), len(outputs), len(inputs)
    head = _REQUEST.pack(time, latency_ms, status, rows, form, *lengths)
    return b"".join((head, known, client, key, said, outputs, inputs))


def requests(content: bytes) -> Iterator[Kept]:
    """The requests of a frame."""
    at = 0
    while at < len(content):
        moment, latency, status, rows, form, *lengths = _REQUEST.unpack_from(content, at)
        at += _REQUEST.size
        parts = []
        for length in lengths:
            parts.append(content[at : at + length])
            at += length
        texts = (part.decode() for part in parts[:4])
        yield Kept._make((moment, latency, status, rows, form, *texts, *parts[4:]))


def frames(
    stream: BinaryIO,
    kinds: Iterable[bytes] = _KINDS,
    since: int = 0,
    damaged: list[tuple[str, int]] | None = None,
) -> Iterator[Frame]:
    """The whole frames of a file.

    Parameters
    ----------
    kinds : iterable of bytes
        Of others, and of those in which all is older than `since`, the content is not read.
    since : int
        Microseconds since the epoch.
    damaged : list, optional
        Takes the file's name and how many of its bytes can't be read, where some can't.
    """
    wanted = {*kinds, HEADER}
    size = stream.seek(0, 2)
    at = stream.seek(0)
    while len(head := stream.read(_FRAME.size)) == _FRAME.size:
        kind, length, checksum, newest, count = _FRAME.unpack(head)
        end = at + _FRAME.size + length
        if kind not in _KINDS:
            _damaged(stream, at, size, damaged)
            return
        if end > size and end > (size := stream.seek(0, 2)):
            return  # it is just being written, or its writer was killed
        if kind in wanted and (newest >= since or kind in (HEADER, END)):
            stream.seek(at + _FRAME.size)
            content = stream.read(length)
            if zlib.crc32(content) == checksum:
                yield Frame(kind, newest, count, content, end)
            else:
                _damaged(stream, at, end, damaged)
        at = stream.seek(end)


def _damaged(stream: BinaryIO, start: int, end: int, noted: list[tuple[str, int]] | None) -> None:
    name = str(getattr(stream, "name", "The capture"))
    if noted is not None:
        noted.append((name, end - start))
    log.warning("%s is damaged: bytes %d to %d can't be read.", name, start, end)


def ends(stream: BinaryIO) -> bool:
    """Whether the last frame says that nothing more will come."""
    if stream.seek(0, 2) < _FRAME.size:
        return False
    stream.seek(-_FRAME.size, 2)
    return stream.read(_FRAME.size) == frame(END, b"")


def whole(stream: BinaryIO) -> int | None:
    """Where the last whole frame ends; ``None`` if what is behind it is no beginning of one."""
    end = 0
    for found in frames(stream):
        end = found.end
    stream.seek(end)
    rest = stream.read(_FRAME.size)
    if len(rest) < _FRAME.size:
        return end
    kind, length, *_ = _FRAME.unpack(rest)
    size = stream.seek(0, 2)
    return end if kind in _KINDS and end + _FRAME.size + length > size else None
