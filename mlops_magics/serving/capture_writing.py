"""One journal after the other, each for one server alone."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import BinaryIO

from mlops_magics.serving import capture_folder as folders
from mlops_magics.serving import capture_journal as journal

#: A journal is full at this size in bytes, or at this age in seconds.
MOST_BYTES = 128 << 20
MOST_AGE = 86_400.0
#: ... or at this part of what is kept at all, so that what is removed is never nearly everything.
PARTS = 10


class Writer:
    """Appends to a journal in a folder; begins a new one when it is full.

    Parameters
    ----------
    place : Path
        Made if it does not exist.
    header : bytes
        The frame that says what holds for all that is written.
    keep_mb : float
        What is kept at all; 0 is no limit.
    """

    def __init__(self, place: Path, header: bytes, keep_mb: float = 0) -> None:
        self.place = place
        self.header = header
        self.most = min(MOST_BYTES, int(keep_mb * 1e6) // PARTS or MOST_BYTES)
        self.filled = 0
        self._stream: BinaryIO | None = None
        self._end = 0
        self._began = 0.0

    def append(self, frame: bytes) -> None:
        """Write a frame: whole, or not at all.

        Raises
        ------
        OSError
            If it can't be written.
        """
        stream = self._stream
        if stream is not None and not os.fstat(stream.fileno()).st_nlink:
            self.close()  # somebody removed it: what is written now would be lost
            stream = None
        if stream is None:
            stream = self._open()
        self._write(stream, frame)
        if self._end >= self.most or time.time() - self._began > MOST_AGE:
            with contextlib.suppress(OSError):  # the frame before is written: try again after one
                self._write(stream, journal.frame(journal.END, b""))
                self.filled += 1
                self.close()

    def open(self) -> None:
        """Make or find the journal, so that a reader finds the folder before the first request."""
        if self._stream is None:
            self._open()

    def close(self) -> None:
        """Let go of the journal; the next one who comes goes on with it."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _write(self, stream: BinaryIO, frame: bytes) -> None:
        descriptor, rest = stream.fileno(), memoryview(frame)
        try:
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        except OSError:
            with contextlib.suppress(OSError):  # else a reader stops before it
                os.ftruncate(descriptor, self._end)
                os.lseek(descriptor, self._end, os.SEEK_SET)
            raise
        self._end += len(frame)

    def _open(self) -> BinaryIO:
        self.place.mkdir(parents=True, exist_ok=True)
        self._stream = stream = self._found() or self._made()
        try:
            self._write(stream, self.header)
        except OSError:
            self.close()
            raise
        return stream

    def _found(self) -> BinaryIO | None:
        """A journal that another server left, and which is not full."""
        for file in reversed(folders.journals(self.place)):
            began = int(file.name.partition("-")[0]) / 1e6
            try:
                if file.stat().st_size >= self.most or time.time() - began > MOST_AGE:
                    continue
                stream = file.open("r+b", buffering=0)
            except (OSError, ValueError):
                continue
            if folders.lock(stream, file) and not journal.ends(stream):
                end = journal.whole(stream)
                if end is not None:
                    stream.truncate(end)
                    stream.seek(end)
                    self._end, self._began = end, began
                    return stream
            stream.close()
        return None

    def _made(self) -> BinaryIO:
        while True:
            file = self.place / folders.new_name()
            stream = file.open("x+b", buffering=0)
            if folders.lock(stream, file):
                self._end, self._began = 0, time.time()
                return stream
            stream.close()  # another server was quicker to go on with it
