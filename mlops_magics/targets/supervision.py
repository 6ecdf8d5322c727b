"""A supervisor, from the side of the verbs: started, told its plan, asked, ended."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlops_magics import errors
from mlops_magics.errors import StepFailed
from mlops_magics.targets import plans, processes
from mlops_magics.targets.plans import Plan, Report, Server

#: Seconds that a supervisor may take to answer to a new plan, beside what its servers take.
PROMPT = 20.0
#: Seconds that it gets to end, with its servers.
ENDING = 9.0
#: Where what it writes goes.
LOG = "supervisor.log"


class Supervision:
    """A supervisor and its folder.

    Parameters
    ----------
    place : Path
        ``run-<time>`` in a deployment's folder.
    """

    def __init__(self, place: Path) -> None:
        self.place = place

    @classmethod
    def last(cls, folder: Path) -> Supervision | None:
        """The newest one of a deployment; it may have ended."""
        found = max(folder.glob("run-*"), default=None)
        return cls(found) if found else None

    @classmethod
    def start(cls, folder: Path, listening: socket.socket) -> Supervision:
        """Start one that holds `listening`, with nothing to keep up yet."""
        place = folder / f"run-{time.time_ns()}"
        place.mkdir(parents=True)
        descriptor = listening.fileno()
        processes.start(
            ["-m", "mlops_magics.targets.supervisor", str(place), str(descriptor)],
            folder=Path(errors.__file__).parent.parent,
            log=place / LOG,
            descriptors=(descriptor,),
        )
        made = cls(place)
        made.wait(lambda report: report.pid != 0, PROMPT, "did not start")
        return made

    @property
    def report(self) -> Report:
        """What it said last."""
        return Report.read(self.place)

    @property
    def plan(self) -> Plan:
        """What it was told last."""
        return Plan.read(self.place)

    def is_alive(self) -> bool:
        """Whether it runs."""
        report = self.report
        return _started(report.pid, report.created).process() is not None

    def change(self, plan: Plan) -> None:
        """Tell it a new plan."""
        plan.write(self.place)
        report = self.report
        if _started(report.pid, report.created).process() is not None:
            os.kill(report.pid, signal.SIGHUP)

    def wait(self, condition: Callable[[Report], Any], patience: float, what: str) -> Report:
        """The first report that meets a condition.

        Raises
        ------
        StepFailed
            If there is none in time, or the supervisor is gone.
        """
        until = time.monotonic() + patience
        while True:
            report = self.report
            if condition(report):
                return report
            gone = report.pid and not self.is_alive()
            if gone and condition(self.report):
                return self.report
            if gone or time.monotonic() > until:
                how = "is gone" if gone else f"{what} within {patience:.0f} s"
                log = processes.tail(self.place / LOG, 1)
                raise StepFailed(f"The supervisor {how}{log and f' ({log})'}.", "Try again.")
            time.sleep(0.02)

    @contextmanager
    def or_as_before(self) -> Iterator[None]:
        """If what is done within fails or is interrupted, the plan is again what it was."""
        before = self.plan
        try:
            yield
        except BaseException:
            self.change(dataclasses.replace(before, number=self.plan.number + 1))
            known = {server.id for server in before.servers}
            with contextlib.suppress(StepFailed):
                self.wait(lambda report: known >= report.servers.keys(), ENDING, "did not undo it")
            raise

    def end(self) -> None:
        """Stop it and all its servers, also those that it left behind."""
        report = self.report
        processes.stop(_started(report.pid, report.created), ENDING)
        self.route_nobody()
        for server in self.report.servers.values():
            processes.stop(_started(server["pid"], server["created"]))

    def route_nobody(self) -> None:
        """Let the deployed server answer everything itself."""
        (self.place / plans.ROUTES).unlink(missing_ok=True)

    def forget(self) -> None:
        """Remove its folder."""
        shutil.rmtree(self.place, ignore_errors=True)


def new_server(model: str, folder: str, arguments: list[str]) -> Server:
    """A server for a plan, unlike any other."""
    return Server(uuid.uuid4().hex[:12], model, folder, tuple(arguments))


def _started(pid: int, created: float) -> processes.Started:
    return processes.Started(pid, created, "")
