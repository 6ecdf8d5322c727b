"""The deployments of this project: a folder each, written whole or not at all.

::

    <state>/deployments/<name>/deployment.json   the record, as it was when it was last changed
                               capture/          requests and answers, of all versions
                               capture.db        ... of servers of former versions
                               server-*.log      what the servers wrote
                               events.jsonl      what a supervisor did (local)
                               run-*/            its plan and its report (local)
"""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from mlops_magics import plugins, records, settings
from mlops_magics.errors import MlopsError, UnknownName, WrongUsage
from mlops_magics.records import Deployment

if TYPE_CHECKING:
    from mlops_magics.targets.base import Target

FILE = "deployment.json"
#: Seconds to wait for someone else who changes the same deployment.
PATIENCE = 120


def folder(name: str) -> Path:
    """Where a deployment's files are."""
    return settings.load().state / "deployments" / name


def names() -> list[str]:
    """The names of all deployments, stopped ones too."""
    return sorted(f.parent.name for f in folder("").glob(f"*/{FILE}"))


def find(name: str) -> Deployment:
    """A deployment as it is now.

    Raises
    ------
    UnknownName
        If there is none of that name.
    """
    if name not in names():
        raise UnknownName("deployment", name, names(), "`mlops deploy MODEL` makes one.")
    return _current(name)


def all() -> list[Deployment]:
    """Every deployment as it is now, by name."""
    return [_current(name) for name in names()]


def written(name: str) -> Deployment:
    """A deployment as it was when it was last changed."""
    return _read(folder(name) / FILE)


def serving(model: str) -> list[str]:
    """The deployments of a model, whatever the version."""
    return [n for n in names() if written(n).model.rpartition("/")[0] == model]


def _current(name: str) -> Deployment:
    read = written(name)
    seen = refreshed(read)
    if seen.status == "down" and (again := written(name)) != read:
        return refreshed(again)  # it was replaced between reading of it and looking at it
    return seen


def refreshed(deployment: Deployment) -> Deployment:
    """The deployment with the status that its target sees."""
    if deployment.status == "stopped":
        return deployment
    return target(deployment.target).status(deployment)


def target(name: str) -> Target:
    """The target of that name; after a colon stands the place that it is to use.

    Raises
    ------
    UnknownName
        If none is registered under it.
    WrongUsage
        If a place is named and the target has none to choose from.
    """
    kind, _, place = name.partition(":")
    found: Target = plugins.load("target", kind)(place)
    return found


def save(deployment: Deployment) -> None:
    """Write a deployment's record; a reader sees the old one or the new one."""
    place = folder(deployment.name)
    place.mkdir(parents=True, exist_ok=True)
    descriptor, aside = tempfile.mkstemp(dir=place, prefix=f".{FILE}-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(deployment.to_json() + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, place / FILE)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


@contextmanager
def changing(name: str) -> Iterator[None]:
    """Keep others from changing the same deployment meanwhile.

    Raises
    ------
    WrongUsage
        If someone else has been at it for two minutes.
    """
    place = folder(name)
    place.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(place / ".lock", timeout=PATIENCE):
            yield
    except Timeout as error:
        raise WrongUsage(
            f"Someone else is changing the deployment {name!r}.", "Try again when they are done."
        ) from error


def _read(file: Path) -> Deployment:
    known = {f.name for f in dataclasses.fields(records.Deployment)} - {"bindings"}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        facts = {k: v for k, v in content.items() if k in known}
        return Deployment(**{**facts, "warnings": tuple(facts.get("warnings", ()))})
    except (ValueError, TypeError, AttributeError) as error:
        raise MlopsError(
            f"{file} can't be read ({error}).", "Undo the change to it, or remove its folder."
        ) from error
