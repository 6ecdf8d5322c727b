"""What a schedule's job is made of, and what it needs where it runs."""

from __future__ import annotations

import itertools
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics import evidence, settings, store, targets
from mlops_magics.errors import UnknownName, WrongUsage
from mlops_magics.verbs import declaration

if TYPE_CHECKING:
    from mlops_magics.schedulers.base import Scheduler

#: A name and a password in an address.
_LOGIN = re.compile(r"://[^/@]*:[^/@]*@")
_REFERENCE = re.compile(r"(env|file):\S+")


@dataclass(frozen=True, kw_only=True)
class Made:
    """A job's name, where its records go, and the words of its commands."""

    name: str
    experiment: str
    commands: tuple[tuple[str, ...], ...]


def commands(
    name: str,
    span: str,
    condition: str,
    promote: bool,
    run: tuple[str, ...],
    params: Mapping[str, Any],
) -> Made:
    """What is to be run.

    Raises
    ------
    UnknownName
        If there is nothing of that name to be monitored or executed, or no such verb.
    WrongUsage
        If arguments do not go together, or one holds a secret.
    """
    from mlops_magics import goals

    if condition.strip():
        goals.grammar.parse(condition)
    retrains = bool(condition.strip()) or promote
    if run:
        _only("--run", {"--if": condition, "--promote": promote, "-p": params})
        made = tuple(_words(line) for line in run)
        return Made(
            name=store.versions.check_name(name), experiment=experiment(name), commands=made
        )
    deployed = _deployment(name)
    if not deployed and name not in store.versions.names():
        _only("a notebook", {"--if": condition, "--promote": promote})
        return _of_notebook(name, params)
    _only("a model", {"-p": params if not retrains else {}})
    if not deployed:
        raise WrongUsage(
            f"{name} is not deployed, so there are no requests to monitor.",
            f'Deploy it, or say where its rows are: --run "monitor {name} --data FILE".',
        )
    watching = ("monitor", name, "--since", span)
    if not retrains:
        return Made(name=name, experiment=experiment(name), commands=(watching,))
    model = targets.state.written(deployed).model.rpartition("/")[0]
    again = ["retrain", model]
    again += ["--if", condition.strip()] if condition.strip() else []
    again += ["--promote"] if promote else []
    again += given(params)
    return Made(name=name, experiment=model, commands=(watching, tuple(again)))


def _only(what: str, others: Mapping[str, Any]) -> None:
    for option, value in others.items():
        if value:
            raise WrongUsage(f"{option} does not go with {what}.", "Leave one of them out.")


def _of_notebook(name: str, params: Mapping[str, Any]) -> Made:
    from mlops_magics.notebooks import files

    try:
        found = files.find(name)
    except UnknownName:
        known = [*targets.state.names(), *store.versions.names(), *files.templates()]
        hint = "It has to be a deployment or a notebook; with --run any name will do."
        raise UnknownName("deployment or notebook", name, known, hint) from None
    words = ("execute", path_of(found), *given(params))
    called = stem(name)
    return Made(name=called, experiment=experiment(called), commands=(words,))


def path_of(notebook: Path) -> str:
    """A notebook as another machine finds it too, as long as it is in the project."""
    from mlops_magics.notebooks import files

    if notebook in files.templates().values():
        return notebook.stem
    root = settings.load().root
    return str(notebook.relative_to(root) if notebook.is_relative_to(root) else notebook)


def given(params: Mapping[str, Any]) -> list[str]:
    """Parameters as words; a secret only by reference."""
    words = []
    for name, value in params.items():
        if evidence.secrets.names_secret(name) and not _REFERENCE.fullmatch(str(value)):
            raise WrongUsage(
                f"{name} looks like a secret, and this file is no place for one.",
                f"Name where it is: -p {name} env:{name.upper()}.",
            )
        words += ["-p", name, str(value)]
    return words


def _words(line: str) -> tuple[str, ...]:
    """The words of a command, without ``mlops`` before it."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise WrongUsage(f"{line!r} can't be split into words: {error}.") from None
    words = words[1:] if words[:1] == ["mlops"] else words
    if not words:
        raise WrongUsage("--run needs a command.", 'For example --run "monitor credit".')
    declaration.find(words[0])
    pairs = [(a, b) for a, b in itertools.pairwise(words) if a != "-p"]
    for name, value in pairs:
        if evidence.secrets.names_secret(name.lstrip("-")) and not _REFERENCE.fullmatch(value):
            given({name.lstrip("-"): value})
    return tuple(words)


def _deployment(name: str) -> str:
    """The deployment of that name, or the only one of the model of that name; else nothing."""
    if name in targets.state.names():
        return name
    serving = targets.state.serving(name)
    return serving[0] if len(serving) == 1 else ""


def stem(name: str) -> str:
    """What a schedule of a notebook is called; any other name stays what it is."""
    called = Path(name).stem if name.endswith(".ipynb") or os.sep in name else name
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", called).strip("-_.") or "notebook"


def experiment(name: str) -> str:
    """Where the records of a schedule go: with its model, if there is one."""
    deployed = _deployment(name)
    return targets.state.written(deployed).model.rpartition("/")[0] if deployed else name


def environment(*, here: bool) -> dict[str, str]:
    """The settings that come from variables, as the scheduler's processes will not have them.

    Raises
    ------
    WrongUsage
        If one holds a password.
    """
    options = settings.load()
    if not here:
        found = {} if options.embedded else {"MLFLOW_TRACKING_URI": options.tracking_uri}
    else:
        known = {f"MLOPS_{f.upper()}" for f in settings.Settings.__dataclass_fields__}
        known.add("MLFLOW_TRACKING_URI")
        found = {k: os.environ[k] for k in sorted(known) if os.environ.get(k)}
    for name, value in found.items():
        if _LOGIN.search(value):
            raise WrongUsage(
                f"{name} holds a password, and a scheduler's file is no place for one.",
                "Take it out of the address: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD "
                "are secrets of the scheduler's.",
            )
    return found


def warnings(made: Made, scheduler: Scheduler) -> tuple[str, ...]:
    """What may keep the job from finding what it needs where it runs."""
    found = []
    if not scheduler.here and settings.load().embedded:
        found.append(
            "The store is a file of this machine: where the job runs, MLFLOW_TRACKING_URI has to "
            "name a server, or it begins with an empty one."
        )
    watches = any(c[0] == "monitor" and "--data" not in c for c in made.commands)
    if not scheduler.here and watches:
        found.append(
            f"The captured requests of {made.name} are files of this machine; elsewhere, "
            f'--run "monitor {made.name} --data URI" names the rows to look at.'
        )
    if scheduler.name == "cron":
        from mlops_magics.schedulers import cron

        if not cron.machine_is_utc():
            found.append(
                "This machine's clock does not show UTC. The crontab says CRON_TZ=UTC, which "
                "Debian's cron does not read: there, the times are the machine's. --as systemd "
                "knows UTC."
            )
    return tuple(found)
