"""The cells that ran well, one a line, in a file that only grows and whose digest is known."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlops_magics.errors import MlopsError


class Lines:
    """Writes the cells of one run."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._length, self._digest = 0, hashlib.sha256()

    def append(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Add cells to the file."""
        content = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as opened:
            opened.write(content)
            self._length = opened.tell()
        self._digest.update(content)

    @property
    def told(self) -> dict[str, Any]:
        """What is to be known for reading them: how many bytes, of which digest."""
        return {"lines": self._length, "lines_digest": self._digest.hexdigest()}

    def remove(self) -> None:
        """Begin anew, without any."""
        self.file.unlink(missing_ok=True)
        self._length, self._digest = 0, hashlib.sha256()


def read(file: Path, told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The cells of a run, by what is told of them.

    Raises
    ------
    MlopsError
        If they are not as they were written.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(told["lines"])
    except OSError as error:
        raise MlopsError(f"its cells can't be read: {error.strerror}") from None
    if hashlib.sha256(content).hexdigest() != told["lines_digest"]:
        raise MlopsError("its cells are not as they were written")
    return [json.loads(line) for line in content.splitlines()]
