"""What this process has imported: which distributions, and which modules that belong to none."""

from __future__ import annotations

import base64
import hashlib
import os
import sys
import sysconfig
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote, urlparse

from mlops_magics.evidence import installed
from mlops_magics.evidence.installed import Distribution

#: Seconds by which a file may be younger than the RECORD that its installer wrote last.
_SLACK = 60

#: The code that is run is recorded as such.
_MAIN = ("__main__", "__mp_main__")

#: Above this many younger files the clocks were changed (an image, a copy), not the packages.
_SUSPECTS = 50


@dataclass(frozen=True)
class Module:
    """A top-level module that no installed distribution brought.

    Attributes
    ----------
    digest : str
        ``sha256:…`` over the sources of it and of the modules within that were imported.
    """

    name: str
    file: str
    digest: str


@dataclass(frozen=True)
class Loaded:
    """What is imported, apart from the standard library.

    Attributes
    ----------
    distributions : tuple of str
        Names, sorted.
    modules : tuple of Module
        Those without a distribution: the project's own, or copied there by hand.
    altered : tuple of str
        Imported files that were changed after they had been installed.
    """

    distributions: tuple[str, ...]
    modules: tuple[Module, ...]
    altered: tuple[str, ...]


def loaded() -> Loaded:
    """Look through ``sys.modules``; imports nothing and reads few files."""
    known = installed.distributions()
    owners: dict[str, dict[str, list[Distribution]]] = {}  # folder → what lies in it → whose it is
    for distribution in known.values():
        here = owners.setdefault(distribution.folder + os.sep, defaultdict(list))
        for name in installed.details(distribution).modules:
            here[name].append(distribution)
    projects = _projects(known)
    used: dict[str, list[str]] = defaultdict(list)  # distribution → files
    strangers: dict[str, list[str]] = defaultdict(list)  # top-level module → files
    for name, file in _files():
        owner = _owner(file, owners, projects)
        if owner:
            used[owner].append(file)
        else:
            strangers[name.partition(".")[0]].append(file)
    return Loaded(
        tuple(sorted(used)),
        tuple(Module(n, files[0], _digest(tuple(files))) for n, files in sorted(strangers.items())),
        tuple(_altered({known[n]: files for n, files in used.items()})),
    )


def _files() -> list[tuple[str, str]]:
    """Each imported module outside of the standard library, and its file."""
    library = sysconfig.get_path("stdlib") + os.sep
    site = (f"{library}site-packages{os.sep}", f"{library}dist-packages{os.sep}")
    found = []
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in sys.stdlib_module_names or name in _MAIN:
            continue
        file = getattr(module, "__dict__", {}).get("__file__")
        if not isinstance(file, str):
            continue  # made in memory, or a namespace
        if not file.startswith(library) or file.startswith(site):
            found.append((name, file))
    return found


def _owner(
    file: str, owners: Mapping[str, Mapping[str, list[Distribution]]], projects: Mapping[str, str]
) -> str:
    """The distribution that brought a file: by what it lies in, its RECORD, or its project."""
    for folder, here in owners.items():
        if file.startswith(folder):
            inside = file[len(folder) :]
            candidates = here.get(inside.partition(os.sep)[0].partition(".")[0], ())
            if len(candidates) == 1:
                return candidates[0].name
            for distribution in candidates:  # a namespace that several share
                if inside in installed.files(distribution):
                    return distribution.name
    return next((name for folder, name in projects.items() if file.startswith(folder)), "")


def _projects(known: Mapping[str, Distribution]) -> dict[str, str]:
    """Folders whose code is installed where it lies (``pip install -e``)."""
    found = {}
    for name, distribution in known.items():
        direct = installed.details(distribution).direct
        url = urlparse(str(direct.get("url", "")))
        if "dir_info" in direct and url.scheme == "file":
            found[unquote(url.path).rstrip("/") + os.sep] = name
    return found


def _digest(files: tuple[str, ...]) -> str:
    whole = hashlib.sha256()
    for file in files:
        whole.update(_content(file, _changed(file)).encode())
    return f"sha256:{whole.hexdigest()}"


@lru_cache(maxsize=4096)
def _content(file: str, _changed: float) -> str:
    try:
        with open(file, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return "gone"


def _changed(file: str) -> float:
    try:
        return os.stat(file).st_mtime
    except OSError:
        return 0.0


def _altered(used: Mapping[Distribution, list[str]]) -> list[str]:
    """Files that were younger than their RECORD when first seen, and have not its content."""
    suspects = [(d, file) for d, files in used.items() for file in files if _younger(d, file)]
    if len(suspects) > _SUSPECTS:
        return []
    return [file for distribution, file in suspects if not _as_recorded(distribution, file)]


@lru_cache(maxsize=1 << 16)
def _younger(distribution: Distribution, file: str) -> bool:
    written = _written(distribution)
    here = file.startswith(distribution.folder + os.sep)
    return here and written > 0 and _changed(file) > written + _SLACK


@lru_cache(maxsize=4096)
def _written(distribution: Distribution) -> float:
    return _changed(f"{distribution.folder}/{distribution.info}/RECORD")


@lru_cache(maxsize=_SUSPECTS)
def _as_recorded(distribution: Distribution, file: str) -> bool:
    stated = installed.files(distribution).get(file[len(distribution.folder) + 1 :], "")
    kind, _, value = stated.partition("=")
    if kind != "sha256":
        return True  # nothing to hold it against
    with suppress(ValueError):
        content = bytes.fromhex(_content(file, _changed(file)))
        return base64.urlsafe_b64encode(content).rstrip(b"=") == value.rstrip("=").encode()
    return True
