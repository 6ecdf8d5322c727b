"""`init` and `doctor`: settings written down, and the set-up checked."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from mlops_magics import notebooks, plugins, records, settings, store
from mlops_magics.errors import MlopsError, WrongUsage
from mlops_magics.records import Check, Diagnosis, Written
from mlops_magics.settings import Settings
from mlops_magics.verbs import ci_making
from mlops_magics.verbs.declaration import Reference, verb
from mlops_magics.verbs.options import Option

_FILE = """\
# Settings of mlops_magics. Every line is optional: what is commented out shows the default.
# The environment (MLOPS_TRACKING_URI, MLOPS_ACTOR, ...) goes before this file.

# The MLflow store: a SQLite file here, or the team's server, e.g. "http://mlflow.example:5000".
# tracking_uri = "{tracking_uri}"

# Where the embedded store keeps models and files (a server decides for itself).
# artifacts = "mlruns"

# Deployments, captured requests, locks.
# state = ".mlops"

# Executed notebooks, each with its sealed record.
# notebooks = "executed"

# Who is recorded as acting.
# actor = "{actor}"

# Goals that `validate` uses when it is given none.
# goals = "goals.txt"

# Goals that every verdict must meet besides, and that `promote` insists on.
# gates = "gates.txt"

# A Python file whose functions are metrics that goals may name.
# metrics = "metrics.py"

# How many people it takes to promote a version.
# approval = 1

# Datasets up to this size in memory (MB) are kept whole with their record.
# snapshot_mb = 500

# Whether `execute` keeps a notebook's state while it runs, for --resume, and up to which size (MB).
# checkpoints = true
# checkpoint_mb = 2000

# Whether deployments keep requests and answers for `monitor`.
# capture = true

# The share of requests that is kept (errors always are), and columns whose values never are.
# capture_sample = 1.0
# capture_mask = []

# Beyond this size (MB) or age (days) the oldest captured requests are removed; 0 is no limit.
# capture_keep_mb = 10000
# capture_keep_days = 0

# The kernels of `mlops execute` are forked, on Linux, from one process, which imports for all of
# them what the notebooks import, and what is named here.
# warm_kernels = true
# warm_modules = ["torch"]

# Power of one processor core (W), where the hardware does not count energy.
# watts_per_core = 12.0

# What the electricity (g CO2 a kWh) and this machine cost: runs then record carbon and cost.
# grid_g_per_kwh = 0
# cost_per_hour = 0
# currency = ""

# Where `monitor` sends alerts when a threshold breaks: "command:./page-me.sh", "https://…",
# "slack:https://…", "mailto:team@example.org"; "env:NAME" reads one from a variable.
# alerts = []

# The mail server of alerts; the password stands in the variable MLOPS_SMTP_PASSWORD.
# smtp = "smtp://user@mail.example.org:587"
# smtp_from = ""
"""


@verb()
def init(
    *,
    ci: str = "",
    notebook: Annotated[str, Reference("notebook")] = "train.ipynb",
    params: Annotated[Mapping[str, Any], Option(("-p", "--param"))] = {},
    options: Annotated[Mapping[str, str], Option(("-o", "--option"))] = {},
    output: str = "",
    force: bool = False,
) -> Written:
    """Write a commented ``mlops.toml`` here, or with ``--ci`` what judges each pull request.

    Everything works without ``mlops.toml`` too. The workflow of ``--ci`` executes the training
    notebook on a pull request, judges the version it makes against the champion by the usual
    goals, posts the verdict as a comment (one, which is kept up to date; on a fork's request only
    the summary of the job), and keeps the executed notebook. A verdict that is not passed fails
    it. The store is the server that the secret ``MLFLOW_TRACKING_URI`` names.

    Parameters
    ----------
    ci : str, optional
        ``github`` or ``gitlab``.
    notebook : notebook, optional
        The training notebook that it executes.
    params : mapping
        The notebook's parameters.
    options : mapping
        What the workflow is told besides: ``python``, ``install``, ``secrets``, ``runner`` and
        ``timeout`` of GitHub's, ``image`` and ``install`` of GitLab's.
    output : path, optional
        The workflow's file.
    force : bool
        Replace one that is there.

    Raises
    ------
    WrongUsage
        If there is one already.
    UnknownName
        If there is no such notebook, parameter, option or CI.
    """
    if ci:
        return ci_making.write(ci, notebook, params, options, output, force=force)
    return _write_settings(force=force)


def _write_settings(*, force: bool) -> Written:
    options = settings.load()
    file = Path.cwd() / "mlops.toml"
    if file.exists() and not force:
        raise WrongUsage(f"{file} exists already.", "Edit it, or replace it with --force.")
    aside = file.with_suffix(".toml.new")
    aside.write_text(
        _FILE.format(tracking_uri="sqlite:///mlflow.db", actor=options.actor), encoding="utf-8"
    )
    aside.replace(file)
    return Written(path=str(file))


@verb()
def doctor() -> Diagnosis:
    """Check the set-up: store, kernel, optional parts, container engine, clock, disk.

    Returns
    -------
    Diagnosis
        One check each, with the remedy where something is not well.
    """
    options = settings.load()
    checks = [
        _guarded(check, options)
        for check in (_python, _store, _outbox, _keys, _kernel, _disk, _clock)
    ]
    return Diagnosis(checks=(*checks, *_optional()))


def _guarded(check: Callable[[Settings], Check], options: Settings) -> Check:
    try:
        return check(options)
    except (MlopsError, OSError) as error:
        hint = getattr(error, "hint", "")
        message = getattr(error, "message", str(error))
        return Check(name=check.__name__[1:], passed=False, found=message, remedy=hint)


def _python(_: Settings) -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check(name="python", passed=True, found=f"{version} at {sys.executable}")


def _store(options: Settings) -> Check:
    began = time.perf_counter()
    count = len(store.versions.names())
    took = time.perf_counter() - began
    found = f"{options.tracking_uri} answers in {took:.2f} s and knows {count} models"
    return Check(name="store", passed=True, found=found)


def _outbox(_: Settings) -> Check:
    kept = len(store.outbox.kept())
    return Check(
        name="outbox",
        passed=not kept,
        found=f"{kept} runs wait for the store" if kept else "no run waits for the store",
        remedy=f"`mlops status` delivers what is in {store.outbox.folder()}." if kept else "",
        required=False,
    )


def _keys(options: Settings) -> Check:
    key = next(iter(sorted(options.keys.glob("*.pem"))), None) if options.keys.is_dir() else None
    if key is None:
        return Check(name="signing key", passed=True, found="none yet; made on first use")
    private = not key.stat().st_mode & 0o077
    return Check(
        name="signing key",
        passed=private,
        found=str(key),
        remedy="" if private else f"Others can read it: chmod 600 {key}",
    )


def _kernel(_: Settings) -> Check:
    found = notebooks.kernels.find({"metadata": {}})
    return Check(name="kernel", passed=True, found=f"{found.name} ({found.program})")


def _disk(options: Settings) -> Check:
    free = shutil.disk_usage(options.root).free
    with tempfile.NamedTemporaryFile(dir=options.root):
        pass  # says so if the folder can't be written
    enough = free > 1e9
    return Check(
        name="disk",
        passed=enough,
        found=f"{free / 1e9:.1f} GB free at {options.root}",
        remedy="" if enough else "Free at least 1 GB: models and records need room.",
    )


def _clock(options: Settings) -> Check:
    """A clock behind the newest record would put steps out of order."""
    newest = max((f.stat().st_mtime for f in options.root.glob("mlflow.db*")), default=0.0)
    ahead = newest - time.time()
    return Check(
        name="clock",
        passed=ahead < 60,
        found=records.now(),
        remedy="" if ahead < 60 else f"The store was written {ahead:.0f} s in the future: set it.",
    )


def _optional() -> Iterator[Check]:
    engine = next((e for e in ("podman", "docker", "buildah") if shutil.which(e)), "")
    yield Check(
        name="container engine",
        passed=bool(engine),
        found=engine or "none",
        remedy="" if engine else "Only needed to build the packaged Dockerfile.",
        required=False,
    )
    yield Check(
        name="git",
        passed=bool(shutil.which("git")),
        found=shutil.which("git") or "none",
        remedy="" if shutil.which("git") else "Without it, records hold no commit.",
        required=False,
    )
    yield Check(
        name="jupyterlab",
        passed=find_spec("jupyterlab") is not None,
        found="installed" if find_spec("jupyterlab") else "none",
        required=False,
    )
    for kind in ("target", "flavor", "metric", "engine", "scheduler", "alert"):
        names = plugins.names(kind)
        yield Check(name=f"{kind}s", passed=True, found=", ".join(names) or "none", required=False)
