"""gzip on all processors, the same bytes however many there are.

An image's digest hangs on every byte of its layers, so this is zlib and not one of the faster ones,
whose output differs from one processor to another. Blocks are pressed beside each other, each with
the end of the one before it as its dictionary, as pigz does it: https://zlib.net/pigz/.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import IO

#: How hard layers are pressed: 6 takes twice as long for 3 % less.
LEVEL = 4
#: Bytes that are pressed by themselves.
BLOCK = 1 << 20
#: What decides the bytes that come out.
FORM = f"gzip {LEVEL} by {BLOCK}"
#: As far as deflate looks back.
_WINDOW = 1 << 15
#: Deflate; no name, no time, an unknown system.
_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
#: Blocks that wait for each thread.
_AHEAD = 4


class Gzip:
    """A gzip file that is written.

    Parameters
    ----------
    file : binary file
        Where it goes; it stays open.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._part = bytearray()
        self._before = b""
        self._checksum, self._size = 0, 0
        threads = min(os.cpu_count() or 1, 16)
        self._pool = ThreadPoolExecutor(threads, "gzip")
        self._most = threads * _AHEAD
        self._waiting: deque[Future[bytes]] = deque()
        file.write(_HEAD)

    def write(self, data: bytes) -> int:
        """Take some bytes."""
        self._part += data
        while len(self._part) >= BLOCK:
            block = bytes(self._part[:BLOCK])
            del self._part[:BLOCK]
            self._put(block, last=False)
        return len(data)

    def flush(self) -> None:
        """Nothing: what was not pressed yet comes with the end."""

    def __enter__(self) -> Gzip:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write the end, unless something went wrong."""
        try:
            if error is None:
                self._put(bytes(self._part), last=True)
                while self._waiting:
                    self._file.write(self._waiting.popleft().result())
                self._file.write(struct.pack("<II", self._checksum, self._size & 0xFFFFFFFF))
        finally:
            self._pool.shutdown(cancel_futures=True)

    def _put(self, block: bytes, *, last: bool) -> None:
        self._checksum = zlib.crc32(block, self._checksum)
        self._size += len(block)
        self._waiting.append(self._pool.submit(_pressed, block, self._before, last))
        self._before = block[-_WINDOW:]
        while len(self._waiting) > self._most:
            self._file.write(self._waiting.popleft().result())


def _pressed(block: bytes, before: bytes, last: bool) -> bytes:
    press = zlib.compressobj(LEVEL, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, before)
    return press.compress(block) + press.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
