"""Where code comes from: the git commit and what was changed since."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: A diff is kept up to this many bytes; git is stopped there, and the record says so.
DIFF_LIMIT = 1_000_000

#: Changed files above this many bytes are named instead of compared: data, not code.
FILE_LIMIT = 5_000_000

#: Seconds that git gets to answer.
LONGEST = 10.0

#: What every call says: no locks that the user's own git would meet, no pager.
_GIT = ("git", "--no-optional-locks", "--no-pager")

#: What was large before is named as binary; the content of a deleted file stands in the commit.
#: Only for the changed files: git takes a second to look at a large one under this threshold.
_DIFF = ("-c", f"core.bigFileThreshold={FILE_LIMIT}", "diff", "--no-ext-diff", "--no-color",
         "--irreversible-delete", "HEAD", "--")  # fmt: skip

#: Above this many changed files, their names are too long for a command.
_NAMED = 500


def git(folder: Path | None = None) -> dict[str, Any]:
    """The state of the git repository around `folder` (the working directory by default).

    Returns
    -------
    dict
        Empty outside a repository or without git. Otherwise ``root``, ``commit`` (``None`` before
        the first one), ``branch``, ``dirty``, ``diff`` (uncommitted changes of tracked files, at
        most `DIFF_LIMIT` bytes of them), ``diff_truncated``, and ``diff_notes``: a sentence for
        each thing that the diff lacks; ``untracked`` counts files git does not know.
    """
    where = folder or Path.cwd()
    try:
        # Side by side: each is over in the time that a process takes to start.
        with (
            _run(where, "rev-parse", "--show-toplevel") as asked,
            _run(where, "status", "--porcelain=v2", "--branch", "-z") as told,
        ):
            top, status = _read(asked, None)[0], _read(told, None)[0]
    except OSError:
        return {}
    if asked.returncode != 0:
        return {}
    root = os.fsdecode(top).removesuffix("\n")
    seen = _Status.read(status)
    diff, notes = _diff(Path(root), seen) if seen.commit and seen.changed else ("", [])
    if told.returncode != 0:
        notes.append("git did not tell in time which files were changed; the diff may lack some.")
    return {
        "root": root,
        "commit": seen.commit,
        "branch": seen.branch,
        "dirty": bool(seen.changed) or told.returncode != 0,
        "untracked": seen.untracked,
        "diff": diff,
        "diff_truncated": bool(notes),
        "diff_notes": notes,
    }


@dataclass(frozen=True)
class _Status:
    """What ``git status --porcelain=v2 --branch -z`` says; paths count from the root."""

    commit: str | None
    branch: str
    changed: Sequence[str]
    untracked: int

    @classmethod
    def read(cls, output: bytes) -> _Status:
        facts: dict[str, str] = {}
        changed, untracked = [], 0
        entries = iter(os.fsdecode(output).split("\0"))
        for entry in entries:
            kind, _, rest = entry.partition(" ")
            if kind == "#":
                name, _, facts[name] = rest.partition(" ")
            elif kind == "?":
                untracked += 1
            elif kind in ("1", "2", "u"):
                # The path is the last field: the 8th, 9th or 10th after the kind.
                changed.append(rest.split(" ", {"1": 7, "2": 8, "u": 9}[kind])[-1])
                if kind == "2":
                    changed.append(next(entries, ""))  # where a renamed file came from
        commit, branch = facts.get("branch.oid", "(initial)"), facts.get("branch.head", "")
        return cls(
            None if commit == "(initial)" else commit,
            "" if branch == "(detached)" else branch,
            changed,
            untracked,
        )


def _diff(root: Path, seen: _Status) -> tuple[str, list[str]]:
    """The uncommitted changes as far as they are kept, and what is left out of them."""
    sizes = {name: size for name in seen.changed if (size := _size(root / name)) > FILE_LIMIT}
    notes = [
        f"{name} ({size / 1e6:,.0f} MB) was changed and is too large for the recorded diff."
        for name, size in sizes.items()
    ]
    compared = [f":(top,literal){name}" for name in seen.changed if name not in sizes]
    if not compared:
        return "", notes
    if len(compared) > _NAMED:
        compared = [":(top)", *(f":(top,exclude,literal){name}" for name in sizes)]
    with _run(root, *_DIFF, *compared) as process:
        diff, whole = _read(process, DIFF_LIMIT)
    if len(diff) > DIFF_LIMIT:
        diff = diff[:DIFF_LIMIT]
        notes.append(f"The recorded diff is cut: only its first {DIFF_LIMIT:,} bytes are kept.")
    elif not whole:
        notes.append("The recorded diff is cut: git took too long over the rest.")
    return diff.decode("utf-8", "replace"), notes


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _run(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*_GIT, *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _read(process: subprocess.Popen[bytes], limit: int | None) -> tuple[bytes, bool]:
    """What a process writes, and whether that is all of it.

    It is stopped once it has written more than `limit` bytes, or after `LONGEST` seconds.
    """
    stream = process.stdout
    assert stream is not None  # a pipe was asked for
    found, until = bytearray(), time.monotonic() + LONGEST
    with selectors.DefaultSelector() as waiting:
        waiting.register(stream, selectors.EVENT_READ)
        while limit is None or len(found) <= limit:
            ready = waiting.select(max(until - time.monotonic(), 0))
            part = os.read(stream.fileno(), 1 << 16) if ready else b""
            if not part:
                break
            found += part
    ended = bool(ready) and not part
    if not ended:
        process.kill()
    process.wait()
    return bytes(found), ended
