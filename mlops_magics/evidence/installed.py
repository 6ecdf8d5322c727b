"""The distributions on the path: name, version, where each came from, and what files are its own.

Names and versions are read from the names of the metadata folders: opening each file takes a
hundred times as long. What is in the files is read once a folder, until an install changes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

#: The folder (or, of old installers, the file) that describes an installed distribution. What pip
#: is about to remove begins with ``~`` and does not match.
_METADATA = re.compile(
    r"(?P<name>[A-Za-z0-9][\w.]*?)-(?P<version>\d[^-]*)(?:-py[\d.]+)?\.(?:dist|egg)-info"
)


@dataclass(frozen=True)
class Distribution:
    """One installed distribution, by the name of its metadata folder.

    Attributes
    ----------
    name : str
        Normalised: lower case, dashes.
    folder : str
        The entry of the path in which it lies.
    info : str
        Its metadata folder there.
    seen : int
        The folder's time stamp when it was listed; an install changes it.
    """

    name: str
    version: str
    folder: str
    info: str
    seen: int


@dataclass(frozen=True)
class Details:
    """What the files of a metadata folder say.

    Attributes
    ----------
    listed : bool
        Whether there is a RECORD of its files.
    modules : frozenset of str
        The top-level modules and packages that it brought.
    direct : mapping
        Its ``direct_url.json``; empty when it came from an index.
    """

    listed: bool
    modules: frozenset[str]
    direct: Mapping[str, Any]


def distributions() -> dict[str, Distribution]:
    """Every installed distribution by its name, sorted; the first on the path counts."""
    found: dict[str, Distribution] = {}
    for path in sys.path:
        folder = path or os.getcwd()
        for distribution in _in(folder, _stamp(folder)):
            found.setdefault(distribution.name, distribution)
    return dict(sorted(found.items()))


def normalised(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _stamp(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=64)
def _in(folder: str, seen: int) -> tuple[Distribution, ...]:
    try:
        entries = os.listdir(folder)
    except OSError:  # a zip file, or nothing
        return ()
    matches = ((entry, _METADATA.fullmatch(entry)) for entry in entries)
    return tuple(
        Distribution(normalised(match["name"]), match["version"], folder, entry, seen)
        for entry, match in matches
        if match
    )


@lru_cache(maxsize=4096)
def details(distribution: Distribution) -> Details:
    """What its metadata says."""
    # The hashes in it are written without slashes. Of thousands of lines few tops are left.
    lines = _read(distribution, "RECORD").splitlines()
    tops = {line.partition(b"/")[0] for line in lines}
    names = {top.partition(b",")[0] for top in tops} or _read(distribution, "top_level.txt").split()
    modules = {os.fsdecode(name).partition(".")[0] for name in names if _is_module(name)}
    try:
        direct = json.loads(_read(distribution, "direct_url.json") or "{}")
    except ValueError:
        direct = {}
    return Details(
        bool(lines),
        frozenset(modules),
        direct if isinstance(direct, dict) else {},
    )


@lru_cache(maxsize=4096)
def digest(distribution: Distribution) -> str:
    """``sha256:…`` over the files and hashes in its RECORD, the same whoever installed them.

    Empty for one without any.
    """
    lines = _read(distribution, "RECORD").splitlines()
    # What an installer adds has no hash, or lies in the metadata or beside the folder.
    others = (f"{distribution.info}/".encode(), b"../", b"/")
    kept = sorted(line for line in lines if b",sha256=" in line and not line.startswith(others))
    content = b"\n".join(kept)
    return f"sha256:{hashlib.sha256(content).hexdigest()}" if kept else ""


def _is_module(top: bytes) -> bool:
    name, dot, suffix = top.partition(b".")
    # A folder, a module, or an extension with its platform in its name; no `*.dist-info`.
    known = not dot or suffix in (b"py", b"so", b"pyd") or suffix.endswith((b".so", b".pyd"))
    return known and name not in (b"", b"__pycache__")


def _read(distribution: Distribution, name: str) -> bytes:
    try:
        with open(f"{distribution.folder}/{distribution.info}/{name}", "rb") as file:
            return file.read()
    except OSError:
        return b""


@lru_cache(maxsize=64)
def files(distribution: Distribution) -> dict[str, str]:
    """Its files, as paths in its folder, with their hashes as RECORD has them."""
    import csv

    record = _read(distribution, "RECORD").decode("utf-8", "replace")
    lines = csv.reader(record.splitlines())
    return {line[0]: line[1] for line in lines if len(line) > 1}


def public(version: str) -> str:
    """A version without the label of a local build (PEP 440): ``2.13.0`` of ``2.13.0+cpu``.

    An installer takes any build of the version for it, the labelled one where it is to be had.
    """
    return version.partition("+")[0]
