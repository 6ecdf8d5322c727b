"""What the code ran in: libraries, Python, machine, and who was there."""

from __future__ import annotations

import getpass
import os
import platform
import re
import socket
import sys
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import psutil

#: The folder (or, of old installers, the file) that describes an installed distribution.
_METADATA = re.compile(
    r"(?P<name>[A-Za-z0-9][\w.]*?)-(?P<version>\d[^-]*)(?:-py[\d.]+)?\.(?:dist|egg)-info"
)


def packages() -> dict[str, str]:
    """Every installed distribution and its exact version, by normalised name, sorted.

    Read from the names of the metadata folders: opening each file takes a hundred times as long.
    """
    found: dict[str, str] = {}
    for path in sys.path:
        for name, version in _installed_in(path, _stamp(path)).items():
            found.setdefault(name, version)  # the first on the path is the one imported
    return dict(sorted(found.items()))


def _stamp(path: str) -> int:
    try:
        return os.stat(path or ".").st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=64)
def _installed_in(path: str, _stamp: int) -> dict[str, str]:
    # An install changes the folder's time stamp, which is part of this cache's key.
    found: dict[str, str] = {}
    try:
        entries = os.listdir(path or ".")
    except OSError:
        return found
    for entry in entries:
        match = _METADATA.fullmatch(entry)
        if match:  # what pip is about to remove begins with "~" and does not match
            name = re.sub(r"[-_.]+", "-", match["name"]).lower()
            found[name] = match["version"]
    return found


def requirements() -> str:
    """`packages` as a file that pip installs from."""
    return "".join(f"{name}=={version}\n" for name, version in packages().items())


@cache
def describe() -> dict[str, Any]:
    """Python, operating system and hardware; memory in bytes."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "executable": sys.executable,
        "os": platform.platform(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory": psutil.virtual_memory().total,
        "container": Path("/.dockerenv").exists() or Path("/run/.containerenv").exists(),
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()


def who(actor: str | None = None) -> dict[str, Any]:
    """Who acts, how that is known, and on which host; in CI also the job."""
    from mlops_magics import settings

    login = getpass.getuser()
    name = actor or settings.load().actor
    ci = {
        key: os.environ[variable]
        for key, variable in {
            "job": "GITHUB_JOB",
            "run": "GITHUB_RUN_ID",
            "repository": "GITHUB_REPOSITORY",
            "pipeline": "CI_PIPELINE_ID",
        }.items()
        if variable in os.environ
    }
    return {
        "actor": name,
        "authenticated": "login name" if name == login else "setting",
        "login": login,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        **({"ci": ci} if ci else {}),
    }


def notebook() -> dict[str, Any]:
    """The notebook this process runs, as far as its front end tells; empty outside one.

    A headless run sets ``MLOPS_NOTEBOOK``; Jupyter Server sets ``JPY_SESSION_NAME``.
    """
    headless = os.environ.get("MLOPS_NOTEBOOK")
    if headless:
        found: dict[str, Any] = {"path": headless, "headless": True}
        if os.environ.get("MLOPS_EXECUTION"):
            found["execution"] = os.environ["MLOPS_EXECUTION"]
        return found
    interactive = os.environ.get("JPY_SESSION_NAME")
    return {"path": interactive, "headless": False} if interactive else {}
