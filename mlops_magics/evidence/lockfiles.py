"""Hashes of distributions as the project's own lock files state them; nothing is downloaded.

Read are ``pylock.toml``, ``uv.lock``, ``poetry.lock`` and ``requirements*.txt``. These files are
written by tools, an entry after the other, so their lines are searched: parsing a large one as
TOML takes a second.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from mlops_magics.evidence.installed import normalised

Hashes = dict[tuple[str, str], tuple[str, ...]]

_LOCKS = ("pylock.toml", "uv.lock", "poetry.lock")

_PROJECT = ("pyproject.toml", ".git")

#: Lock files above this many bytes are nobody's own.
_LARGEST = 20_000_000

_NAME = re.compile(r'^name = "([^"]+)"', re.MULTILINE)
_VERSION = re.compile(r'^version = "([^"]+)"', re.MULTILINE)
_SHA256 = re.compile(r"\bsha256(?::|\s*=\s*\"|=)([0-9a-f]{64})")
_PINNED = re.compile(r"^([A-Za-z0-9][\w.\-]*)(?:\[[^\]]*\])?\s*===?\s*([^\s;\\#]+)", re.MULTILINE)


def hashes(folder: Path) -> Hashes:
    """(name, version) → ``sha256:…`` of its files.

    Looked for from `folder` upwards to the project's own, where ``pyproject.toml`` or the
    repository is.
    """
    found: Hashes = {}
    for file in _files(folder):
        try:
            about = file.stat()
        except OSError:
            continue
        if about.st_size <= _LARGEST:
            for key, values in _read(file, about.st_mtime_ns).items():
                found.setdefault(key, values)
    return found


def _files(folder: Path) -> list[Path]:
    homes = [folder, *folder.parents]
    own = (i for i, home in enumerate(homes) if any((home / mark).exists() for mark in _PROJECT))
    return [
        file
        for home in homes[: next(own, 0) + 1]
        for file in (*(home / name for name in _LOCKS), *sorted(home.glob("requirements*.txt")))
    ]


@lru_cache(maxsize=16)
def _read(file: Path, _changed: int) -> Hashes:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    return _of_requirements(text) if file.suffix == ".txt" else _of_lock(text)


def _of_lock(text: str) -> Hashes:
    found: Hashes = {}
    # [[package]] of uv and poetry, [[packages]] of pylock.toml (PEP 751).
    for entry in re.split(r"^\[\[packages?\]\]\s*$", text, flags=re.MULTILINE)[1:]:
        name, version = _NAME.search(entry), _VERSION.search(entry)
        if name and version:
            _add(found, name[1], version[1], entry)
    return found


def _of_requirements(text: str) -> Hashes:
    found: Hashes = {}
    pins = list(_PINNED.finditer(text))
    bounds = [*(pin.start() for pin in pins), len(text)]
    for pin, end in zip(pins, bounds[1:], strict=True):
        _add(found, pin[1], pin[2], text[pin.end() : end])
    return found


def _add(found: Hashes, name: str, version: str, entry: str) -> None:
    if values := sorted(set(_SHA256.findall(entry))):
        found[normalised(name), version] = tuple(f"sha256:{value}" for value in values)
