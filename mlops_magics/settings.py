"""One frozen `Settings`: arguments, then environment, then ``mlops.toml``, then defaults."""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mlops_magics.errors import UnknownName, WrongUsage

#: Where settings are looked for, upwards from the working directory.
FILES = ("mlops.toml", "pyproject.toml")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that can be set; every field is optional in ``mlops.toml``.

    Attributes
    ----------
    root : Path
        The project's folder: where ``mlops.toml`` is, else the working directory.
    tracking_uri : str
        The MLflow store; the default is ``mlflow.db`` (SQLite) in `root`.
    artifacts : str
        Folder or URI under which the embedded store keeps artifacts.
    state : Path
        Deployments, captures, locks, states to resume from and the journal of open runs.
    keys : Path
        The signing key's folder; the private key is readable by its owner only.
    notebooks : Path
        Where executed notebooks are written.
    actor : str
        Who is recorded as acting; the login name by default.
    goals : str
        A file of goals used when `validate` is given none.
    gates : str
        A file of goals that every verdict must meet, beside those it is given; `promote` refuses
        a verdict that was reached without them.
    metrics : str
        A Python file whose functions are metrics that goals may name.
    approval : int
        How many people it takes to promote: with 2, a second one has to approve.
    snapshot_mb : int
        Datasets up to this size (MB in memory) are kept whole with their record.
    checkpoints : bool
        Whether `execute` keeps the state of a notebook while it runs, for ``--resume``.
    checkpoint_mb : float
        The largest state (MB) that is kept; never more than half of the free disk.
    capture : bool
        Whether deployments keep requests and answers.
    capture_sample : float
        The share of requests that is kept, from 0 to 1; errors are always kept, and counted is all.
    capture_mask : tuple of str
        Input columns whose values are never written; in the environment with commas between.
    capture_keep_mb, capture_keep_days : float
        Beyond this size, or this age, the oldest captured requests are removed; 0 is no limit.
    warm_kernels : bool
        Whether kernels of notebooks run by ``execute`` are forked, where that is possible, from a
        process that has imported already what they import.
    warm_modules : tuple of str
        What that process imports beside what the notebooks name themselves.
    watts_per_core : float
        Power of one processor core in full use, W, for the estimate of energy where the hardware
        does not count it.
    grid_g_per_kwh : float
        Carbon intensity of the electricity, g CO2 a kWh; 0 gives no figure of carbon.
    cost_per_hour : float
        Price of this machine an hour, in `currency`; 0 gives no figure of cost.
    currency : str
        The currency of `cost_per_hour`.
    alerts : tuple of str
        Where `monitor` sends alerts, beside what ``--alert`` names; in the environment with commas
        between.
    smtp, smtp_from : str
        The mail server of alerts, ``smtp://user@host:587`` or ``smtps://…``, and whom they are
        from; the password stands in the variable ``MLOPS_SMTP_PASSWORD``.
    """

    root: Path
    tracking_uri: str
    artifacts: str
    state: Path
    keys: Path
    notebooks: Path
    actor: str
    goals: str = ""
    gates: str = ""
    metrics: str = ""
    approval: int = 1
    snapshot_mb: int = 500
    checkpoints: bool = True
    checkpoint_mb: float = 2000
    capture: bool = True
    capture_sample: float = 1.0
    capture_mask: tuple[str, ...] = ()
    capture_keep_mb: float = 10_000
    capture_keep_days: float = 0
    warm_kernels: bool = True
    warm_modules: tuple[str, ...] = ()
    watts_per_core: float = 12.0
    grid_g_per_kwh: float = 0.0
    cost_per_hour: float = 0.0
    currency: str = ""
    alerts: tuple[str, ...] = ()
    smtp: str = ""
    smtp_from: str = ""

    @property
    def embedded(self) -> bool:
        """Whether the store is a SQLite file of our own rather than a server."""
        return self.tracking_uri.startswith("sqlite:")

    @property
    def database(self) -> Path | None:
        """The SQLite file of an embedded store."""
        return Path(self.tracking_uri.removeprefix("sqlite:///")) if self.embedded else None


def load(start: Path | None = None, **arguments: Any) -> Settings:
    """Read the settings that hold in `start` (the working directory by default).

    Raises
    ------
    UnknownName
        If ``mlops.toml`` or an argument names a setting that does not exist.
    WrongUsage
        If a file is not valid TOML or a value has the wrong type.
    """
    import getpass

    import platformdirs

    root, found = _read_file(Path(start or Path.cwd()).resolve())
    known = {f.name for f in fields(Settings)}
    for name in (*found, *arguments):
        if name not in known or name == "root":
            raise UnknownName("setting", name, known - {"root"}, "See `mlops init`.")
    given = {**found, **_read_environment(known), **arguments}

    def path(name: str, default: Path) -> Path:
        return (root / Path(str(given.get(name, default))).expanduser()).resolve()

    try:
        return Settings(
            root=root,
            tracking_uri=str(given.get("tracking_uri") or f"sqlite:///{root / 'mlflow.db'}"),
            artifacts=str(given.get("artifacts") or root / "mlruns"),
            state=path("state", root / ".mlops"),
            keys=path("keys", Path(platformdirs.user_config_dir("mlops_magics")) / "keys"),
            notebooks=path("notebooks", root / "executed"),
            actor=str(given.get("actor") or getpass.getuser()),
            goals=str(given.get("goals", "")),
            gates=str(given.get("gates", "")),
            metrics=str(given.get("metrics", "")),
            approval=_at_least_one("approval", given),
            snapshot_mb=int(given.get("snapshot_mb", Settings.snapshot_mb)),
            checkpoints=_boolean("checkpoints", given.get("checkpoints", Settings.checkpoints)),
            checkpoint_mb=_not_negative("checkpoint_mb", given),
            capture=_boolean("capture", given.get("capture", Settings.capture)),
            capture_sample=_share("capture_sample", given),
            capture_mask=_words("capture_mask", given),
            capture_keep_mb=_not_negative("capture_keep_mb", given),
            capture_keep_days=_not_negative("capture_keep_days", given),
            warm_kernels=_boolean("warm_kernels", given.get("warm_kernels", Settings.warm_kernels)),
            warm_modules=_words("warm_modules", given),
            watts_per_core=_not_negative("watts_per_core", given),
            grid_g_per_kwh=_not_negative("grid_g_per_kwh", given),
            cost_per_hour=_not_negative("cost_per_hour", given),
            currency=str(given.get("currency", "")),
            alerts=_words("alerts", given),
            smtp=str(given.get("smtp", "")),
            smtp_from=str(given.get("smtp_from", "")),
        )
    except ValueError as error:
        raise WrongUsage(f"A setting has a value of the wrong type: {error}.") from error


def _not_negative(name: str, given: Mapping[str, Any]) -> float:
    number = float(given.get(name, getattr(Settings, name)))
    if not 0 <= number < math.inf:
        raise ValueError(f"{name} = {number} (a number from 0)")
    return number


def _share(name: str, given: Mapping[str, Any]) -> float:
    number = float(given.get(name, getattr(Settings, name)))
    if not 0 <= number <= 1:
        raise ValueError(f"{name} = {number} (a number from 0 to 1)")
    return number


def _words(name: str, given: Mapping[str, Any]) -> tuple[str, ...]:
    value = given.get(name, ())
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, list | tuple) or not all(isinstance(w, str) for w in words):
        raise ValueError(f"{name} = {value!r} (a list of names)")
    return tuple(w.strip() for w in words if w.strip())


def _at_least_one(name: str, given: Mapping[str, Any]) -> int:
    number = int(given.get(name, getattr(Settings, name)))
    if number < 1:
        raise ValueError(f"{name} = {number} (a whole number from 1)")
    return number


def _boolean(name: str, value: Any) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if str(value).lower() not in words:
        raise ValueError(f"{name} = {value!r} (true or false)")
    return words[str(value).lower()]


def _read_environment(known: set[str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: os.environ[variable]
        for name in known
        if (variable := f"MLOPS_{name.upper()}") in os.environ
    }
    # MLflow's own variable is respected as it is, behind ours.
    if "tracking_uri" not in found and os.environ.get("MLFLOW_TRACKING_URI"):
        found["tracking_uri"] = os.environ["MLFLOW_TRACKING_URI"]
    return found


def _read_file(start: Path) -> tuple[Path, Mapping[str, Any]]:
    for folder in (start, *start.parents):
        for name in FILES:
            file = folder / name
            if not file.is_file():
                continue
            try:
                content = tomllib.loads(file.read_text(encoding="utf-8"))
            except tomllib.TOMLDecodeError as error:
                if name == "pyproject.toml":
                    continue  # someone else's file to complain about
                raise WrongUsage(f"{file} is not valid TOML: {error}.") from error
            table = content if name == "mlops.toml" else content.get("tool", {}).get("mlops")
            if table is not None:
                return folder, table
    return start, {}
