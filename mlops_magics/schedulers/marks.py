"""Files that are ours: the first line says so, and tells whether the rest was edited since."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from mlops_magics.errors import WrongUsage

_MARK = re.compile(r"# Written by `mlops (\w+)` for (\S+); sha256 of what follows: ([0-9a-f]{64})")


def marked(text: str, name: str, verb: str = "schedule") -> str:
    """The text of a file under its mark; ``#`` begins a comment in all formats that we write."""
    return (
        f"# Written by `mlops {verb}` for {name}; sha256 of what follows: {_digest(text)}\n{text}"
    )


def check(file: Path, *, force: bool, name: str = "") -> None:
    """Refuse to replace or remove a file that is not ours, or that somebody edited.

    Parameters
    ----------
    name : str
        Whose file it has to be.

    Raises
    ------
    WrongUsage
        Says which of the two it is.
    """
    if force or not file.exists():
        return
    try:
        first, _, rest = file.read_bytes().decode("utf-8").partition("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsage(f"{file} can't be read: {error}.") from error
    mark = _MARK.fullmatch(first)
    if mark is None:
        why = "is there already, and was not written by mlops"
    elif mark[3] != _digest(rest):
        why = "was edited since it was written"
    elif name and mark[2] != name:
        why = f"belongs to {mark[2]}"
    else:
        return
    raise WrongUsage(f"{file} {why}.", "Choose another --output, or replace it with --force.")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
