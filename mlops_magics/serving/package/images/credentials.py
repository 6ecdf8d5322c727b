"""Who may push and pull: from the files in which docker and podman keep their log-ins."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlops_magics.errors import StepFailed

#: Docker Hub has a name of its own in these files.
_HUB = ("https://index.docker.io/v1/", "docker.io", "registry-1.docker.io")


def files() -> list[Path]:
    """Where log-ins may be, first those that somebody named."""
    named = [os.environ.get("REGISTRY_AUTH_FILE"), os.environ.get("DOCKER_CONFIG")]
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    return [
        *([Path(named[0])] if named[0] else []),
        *([Path(named[1]) / "config.json"] if named[1] else []),
        Path(runtime) / "containers/auth.json",
        Path("/run/containers") / str(os.getuid()) / "auth.json",
        Path.home() / ".config/containers/auth.json",
        Path.home() / ".docker/config.json",
    ]


def of(host: str, repository: str = "") -> tuple[str, str] | None:
    """User and password for a registry, the most particular entry first; ``None`` without one.

    Raises
    ------
    StepFailed
        If the program that keeps them fails.
    """
    for file in files():
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        for name in _names(host, repository):
            if found := _entry(content, name):
                return found
    return None


def _names(host: str, repository: str) -> Iterator[str]:
    parts = repository.split("/") if repository else []
    for end in range(len(parts), 0, -1):
        yield "/".join((host, *parts[:end]))
    yield host
    yield f"https://{host}"
    if host in _HUB:
        yield from _HUB


def _entry(content: Mapping[str, Any], name: str) -> tuple[str, str] | None:
    helper = (content.get("credHelpers") or {}).get(name)
    entry = (content.get("auths") or {}).get(name)
    if helper is None and entry is not None and not entry.get("auth"):
        helper = content.get("credsStore")  # the file knows only that there is one
    if helper:
        return _asked(helper, name)
    if entry and entry.get("auth"):
        user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
        return user, password
    return None


def _asked(helper: str, name: str) -> tuple[str, str] | None:
    """https://github.com/docker/docker-credential-helpers."""
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run(
            [program, "get"], input=name, capture_output=True, text=True, timeout=30
        )
        found = json.loads(done.stdout) if done.returncode == 0 else {}
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise StepFailed(
            f"The log-in for {name} is kept by {program}, which failed: {error}.",
            "Log in again, for example by `docker login` or `podman login`.",
        ) from error
    return (found["Username"], found["Secret"]) if found.get("Secret") else None
