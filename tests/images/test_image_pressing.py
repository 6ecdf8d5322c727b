"""gzip on all processors: read by everybody, the same bytes on any number of them."""

from __future__ import annotations

import gzip
import io
import os
import random

import pytest

from mlops_magics.serving.package.images import pressing

WORDS = [b"alpha", b"beta", b"gamma", b"\x00\x01", b"delta" * 9]


def content(size: int) -> bytes:
    drawn = random.Random(0)
    found = b"".join(drawn.choice(WORDS) for _ in range(size // 10 + 1))
    return (found * 3)[:size]


def pressed(data: bytes, step: int) -> bytes:
    out = io.BytesIO()
    with pressing.Gzip(out) as file:
        for start in range(0, len(data), step):
            assert file.write(data[start : start + step]) == len(data[start : start + step])
        file.flush()
    return out.getvalue()


@pytest.mark.parametrize(
    "size", [0, 1, pressing.BLOCK - 1, pressing.BLOCK, pressing.BLOCK + 1, 7 * pressing.BLOCK + 3]
)
def test_what_is_read_is_what_was_written(size: int) -> None:
    data = content(size)
    found = pressed(data, 100_000)
    assert gzip.decompress(found) == data
    assert int.from_bytes(found[-4:], "little") == size
    assert len(found) < len(data) / 3 + 100


def test_the_same_bytes_however_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    data = content(9 * pressing.BLOCK)
    one = pressed(data, 333_333)
    for processors, step in ((1, len(data)), (2, 1 << 20), (64, 70_001)):
        monkeypatch.setattr(os, "cpu_count", lambda n=processors: n)
        assert pressed(data, step) == one


def test_a_file_that_can_not_be_written_says_so() -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            if self.tell() > 1000:
                raise OSError(28, "No space left on device")
            return super().write(data)  # type: ignore[arg-type]

    drawn = random.Random(1).randbytes(40 * pressing.BLOCK)
    with pytest.raises(OSError, match="No space left"):
        writes(Full(), drawn)


def writes(out: io.BytesIO, data: bytes, interrupted: bool = False) -> None:
    with pressing.Gzip(out) as file:
        file.write(data)
        if interrupted:
            raise KeyboardInterrupt


def test_an_interrupted_one_has_no_end() -> None:
    out = io.BytesIO()
    with pytest.raises(KeyboardInterrupt):
        writes(out, content(3 * pressing.BLOCK), interrupted=True)
    with pytest.raises(EOFError):
        gzip.decompress(out.getvalue())
