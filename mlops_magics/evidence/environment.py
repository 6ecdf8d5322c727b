"""What the code ran in: libraries, Python, machine, and who was there."""

from __future__ import annotations

import getpass
import os
import platform
import socket
import sys
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from mlops_magics.evidence import installed


def packages() -> dict[str, str]:
    """Every installed distribution and its exact version, by normalised name, sorted."""
    return {name: found.version for name, found in installed.distributions().items()}


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
            found["attempt"] = os.environ.get("MLOPS_ATTEMPT", "1")
        return found
    interactive = os.environ.get("JPY_SESSION_NAME")
    return {"path": interactive, "headless": False} if interactive else {}
