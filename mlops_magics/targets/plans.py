"""What a supervisor is to keep running, and what it says of it: two files, each written whole.

::

    <deployment>/run-<time>/plan.json     what is wanted; written by the verbs
                            report.json   what is; written by the supervisor
                            routes.json   what the deployed server hands on; for that server
"""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CANARY, SHADOW = "canary", "shadow"
PLAN, REPORT, ROUTES = "plan.json", "report.json", "routes.json"


@dataclass(frozen=True)
class Server:
    """One server.

    Attributes
    ----------
    id : str
        Unlike that of any other server.
    folder : str
        The package it serves.
    arguments : tuple of str
        Its command line, but for the sockets.
    """

    id: str
    model: str
    folder: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Goal:
    """What a canary must hold.

    Attributes
    ----------
    text : str
        As it was written.
    figure : str
        ``error_rate``, ``p50_ms``, ``p95_ms``, ``p99_ms``.
    bound : float
        Beside `relative`, what is added to the deployed version's figure.
    """

    text: str
    figure: str
    bound: float
    relative: bool = False


@dataclass(frozen=True)
class Beside:
    """A second version beside the deployed one.

    Attributes
    ----------
    id : str
        Its server.
    kind : str
        ``canary`` or ``shadow``.
    share : float
        Of the requests that it answers; of a shadow 1.
    least : int
        Requests that it must have had for its goals to be looked at.
    """

    id: str
    kind: str
    share: float
    goals: tuple[Goal, ...] = ()
    least: int = 20


@dataclass(frozen=True)
class Plan:
    """What is wanted.

    Attributes
    ----------
    number : int
        Higher than that of the plan before.
    servers : tuple of Server
        All that are to run.
    deployed : str
        Which of them is to answer clients; empty while the first is being tested.
    """

    number: int = 0
    servers: tuple[Server, ...] = ()
    deployed: str = ""
    beside: Beside | None = None

    def server(self, of: str) -> Server | None:
        """The server with that id."""
        return next((s for s in self.servers if s.id == of), None)

    def next(self, **changes: Any) -> Plan:
        """The plan after this one."""
        return dataclasses.replace(self, number=self.number + 1, **changes)

    @classmethod
    def read(cls, place: Path) -> Plan:
        """The plan in a folder; an empty one if there is none."""
        content = read(place / PLAN)
        servers = [
            Server(**{**s, "arguments": tuple(s["arguments"])}) for s in content.get("servers", ())
        ]
        beside = content.get("beside")
        if beside:
            goals = tuple(Goal(**g) for g in beside["goals"])
            beside = Beside(**{**beside, "goals": goals})
        return cls(content.get("number", 0), tuple(servers), content.get("deployed", ""), beside)

    def write(self, place: Path) -> None:
        """Make it known."""
        write(place / PLAN, dataclasses.asdict(self))


@dataclass
class Report:
    """What is.

    Attributes
    ----------
    number : int
        Of the plan that it is about.
    pid, created : int, float
        The supervisor, and when it started.
    port : int
        Where clients ask.
    deployed : str
        Which server answers them.
    servers : mapping
        Server's id → ``model``, ``state``, ``pid``, ``created``, ``port`` (its own), ``log``,
        ``since``, ``restarts``, ``reason``. Those that end are among them until they are gone.
    beside : mapping
        Of the second version: ``id``, ``status`` (``on``, ``stopped``), ``reason``, ``at``, and
        ``figures``, those that its server was last asked for.
    events : list of mapping
        The last ones: ``at``, ``text``.
    reason : str
        Why it gave up.
    """

    pid: int = 0
    created: float = 0.0
    number: int = 0
    port: int = 0
    deployed: str = ""
    servers: dict[str, dict[str, Any]] = field(default_factory=dict)
    beside: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, str]] = field(default_factory=list)
    reason: str = ""

    @classmethod
    def read(cls, place: Path) -> Report:
        """The report in a folder; an empty one if there is none."""
        known = {f.name for f in dataclasses.fields(cls)}
        return cls(**{k: v for k, v in read(place / REPORT).items() if k in known})

    def write(self, place: Path) -> None:
        """Make it known."""
        write(place / REPORT, dataclasses.asdict(self))


def read(file: Path) -> dict[str, Any]:
    """A file of JSON; empty if there is none."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write(file: Path, content: Mapping[str, Any]) -> None:
    """Write a file; a reader sees the old one or the new one."""
    descriptor, aside = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(content, stream)
        os.replace(aside, file)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
