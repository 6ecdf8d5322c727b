"""The folder of a capture: its files, who may change them, and which are removed in the end.

::

    <start>-<process>.journal   requests as they came (`capture_journal`); of each server its own
    <start>-<process>.parquet   the same of a journal that is full, compacted; then that is removed
    *.new                       a compaction at work, or one that was killed

A journal belongs to whoever holds a lock on it: the server that writes it, the compaction that
replaces it. The lock of a killed process is gone, so that the next one goes on with its file.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from mlops_magics.serving import capture_journal

log = logging.getLogger("mlops_magics.serving")

JOURNAL, PARQUET = ".journal", ".parquet"
#: How often a folder is looked at again that changes while it is opened.
TRIES = 100


def folder(path: Path) -> Path:
    """The folder of a capture; servers of former versions wrote one file, which ended in .db."""
    return path.with_suffix("") if path.suffix == ".db" else path


def former(path: Path) -> Path | None:
    """What a server of a former version left (SQLite), if it did."""
    place = folder(path)
    return next((f for f in (place.with_name(f"{place.name}.db"), place) if f.is_file()), None)


def exists(path: Path) -> bool:
    """Whether anything was ever captured there."""
    return folder(path).is_dir() or former(path) is not None


def new_name() -> str:
    """The name of a journal that begins now; names are in the order of time."""
    return f"{time.time_ns() // 1000:017d}-{os.getpid()}-{secrets.token_hex(2)}{JOURNAL}"


def journals(place: Path) -> list[Path]:
    """All journals, oldest first."""
    return sorted(place.glob(f"*{JOURNAL}"))


def files(place: Path) -> list[Path]:
    """What holds requests, oldest first; of a journal and its compaction only the latter."""
    found = {f.name: f for f in place.iterdir() if f.suffix in (JOURNAL, PARQUET)}
    return [
        file
        for name, file in sorted(found.items())
        if file.suffix == PARQUET or f"{file.stem}{PARQUET}" not in found
    ]


@contextmanager
def opened(place: Path) -> Iterator[Sequence[tuple[Path, BinaryIO]]]:
    """All files, open, as they were at one moment: what becomes of their names is no matter.

    A journal that is compacted between the look at the folder and its opening is there twice, or
    not at all, in one look, but never in two that are alike.
    """
    for _ in range(TRIES):
        with ExitStack() as stack:
            found = files(place)
            try:
                streams = [(f, stack.enter_context(f.open("rb"))) for f in found]
            except FileNotFoundError:
                continue
            if files(place) == found:
                yield streams
                return
    raise OSError(f"{place} changes all the time")


@contextmanager
def locked(file: Path) -> Iterator[BinaryIO | None]:
    """A journal that nobody else has, for reading and writing; else ``None``."""
    try:
        stream = file.open("r+b")
    except OSError:
        yield None
        return
    with stream:
        yield stream if lock(stream, file) else None


def lock(stream: BinaryIO, file: Path) -> bool:
    """Take the lock of an open file, unless somebody has it or the name leads elsewhere by now."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(stream.fileno()), file.stat())
    except OSError:
        return False


def prune(place: Path, keep_mb: float, keep_days: float) -> int:
    """Remove the oldest files beyond a size or an age (0: no limit); how many.

    What a server writes at the moment stays, however large or old.
    """
    known = {f: f.stat() for f in files(place)}
    excess = sum(s.st_size for s in known.values()) - keep_mb * 1e6 if keep_mb else 0.0
    oldest = time.time() - keep_days * 86_400 if keep_days else 0.0
    removed = 0
    for file, stat in known.items():
        if excess <= 0 and stat.st_mtime >= oldest:
            continue
        if _removed(file):
            excess -= stat.st_size
            removed += 1
        elif _is_full(file):
            break  # it is being compacted, and goes the next time, before any that is younger
    if removed:
        log.warning("Removed the %d oldest files of the capture in %s: it had its limit.",
                    removed, place)  # fmt: skip
    return removed


def _is_full(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return capture_journal.ends(stream)
    except OSError:
        return True  # compacted by now


def _removed(file: Path) -> bool:
    if file.suffix == PARQUET:
        # First the journal that a killed compaction may have left: it would count again.
        file.with_suffix(JOURNAL).unlink(missing_ok=True)
        file.unlink(missing_ok=True)
        return True
    with locked(file) as mine:
        if mine is not None:
            file.unlink()
    return mine is not None
