"""The schedules of this project: a file each, written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

from mlops_magics import plugins, records, settings
from mlops_magics.errors import MlopsError
from mlops_magics.records import Schedule
from mlops_magics.schedulers.base import Scheduler


def folder() -> Path:
    """Where they are."""
    return settings.load().state / "schedules"


def all() -> list[Schedule]:
    """Every schedule, by name."""
    return [_read(file) for file in sorted(folder().glob("*.json"))]


def of(name: str) -> list[Schedule]:
    """Those of that name, one a scheduler."""
    return [found for found in all() if found.name == name]


def file(name: str, kind: str) -> Path:
    """The file of one."""
    return folder() / f"{name}@{kind}.json"


def scheduler(kind: str) -> Scheduler:
    """The scheduler of that name.

    Raises
    ------
    UnknownName
        If none is registered under it.
    """
    found: Scheduler = plugins.load("scheduler", kind)()
    return found


def _read(path: Path) -> Schedule:
    try:
        return records.read(Schedule, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise MlopsError(
            f"{path} can't be read ({error}).", "Undo the change to it, or remove it."
        ) from error
