"""A service and its timer, for the user's own systemd."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from mlops_magics.errors import WrongUsage
from mlops_magics.schedulers import quoting, times
from mlops_magics.schedulers.base import Job, Scheduler, number

_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")


class SystemdScheduler(Scheduler):
    """A user's units; what was missed while the machine was off is made up for."""

    name = "systemd"
    here = True
    options: ClassVar[Mapping[str, str]] = {
        "environment": "a file of NAME=VALUE lines, which may hold secrets",
        "timeout": "minutes after which it is ended (60)",
    }

    def files(self, job: Job, options: Mapping[str, str]) -> dict[str, str]:
        for path in (str(job.folder), options.get("environment", "")):
            if path != path.strip() or path.endswith("\\") or "\n" in path:
                raise WrongUsage(
                    f"{path!r} can't stand in a unit file.", "Rename it, or use --as cron."
                )
        script = "\n".join(quoting.lines(job.program, job.commands))
        shell = quoting.systemd(script).replace("$", "$$")  # else systemd expands it first
        told = {"PATH": job.path, **job.variables}
        environment = [f"Environment={quoting.systemd(word)}" for word in quoting.assignments(told)]
        if file := options.get("environment"):
            whole = str(Path(file).expanduser().absolute())
            environment.append(f"EnvironmentFile={whole.replace('%', '%%')}")
        service = [
            "[Unit]",
            f"Description=mlops schedule of {job.name}",
            "",
            "[Service]",
            "Type=oneshot",
            f"WorkingDirectory={str(job.folder).replace('%', '%%')}",
            *environment,
            f"ExecStart=/bin/sh -c {shell}",
            f"TimeoutStartSec={number(options, 'timeout', 60)}min",
        ]
        timer = [
            "[Unit]",
            f"Description=mlops schedule of {job.name}, every {job.when.every}",
            "",
            "[Timer]",
            *(f"OnCalendar={moment}" for moment in calendar(job.when.cron)),
            "Persistent=true",
            f"Unit={_unit(job)}.service",
            "",
            "[Install]",
            "WantedBy=timers.target",
        ]
        return {
            f"{_unit(job)}.service": "\n".join([*service, ""]),
            f"{_unit(job)}.timer": "\n".join([*timer, ""]),
        }

    def install(self, job: Job, files: Sequence[Path]) -> tuple[str, ...]:
        service, timer = (shlex.quote(str(f)) for f in files)
        return (
            f"systemctl --user link {service} {timer}",
            f"systemctl --user enable --now {_unit(job)}.timer",
            "loginctl enable-linger  # so that it runs while you are not logged in",
        )

    def uninstall(self, job: Job, files: Sequence[Path]) -> tuple[str, ...]:
        return (f"systemctl --user disable --now {_unit(job)}.timer {_unit(job)}.service",)


def _unit(job: Job) -> str:
    return f"mlops-{job.name}"


def calendar(cron: str) -> list[str]:
    """A cron expression as systemd's calendar events; together they are what it says."""
    from cronsim import CronSim

    found = CronSim(cron, datetime.now(UTC))
    minute, hour, day, month, weekday = cron.split()
    clock = f"{_numbers(hour, found.hours)}:{_numbers(minute, found.minutes)}:00 UTC"
    months = _numbers(month, found.months)
    days = _numbers(day, found.days)
    week = ",".join(_DAYS[d] for d in sorted(times.weekdays(found)))
    if weekday == "*":
        return [f"*-{months}-{days} {clock}"]
    if day == "*":
        return [f"{week} *-{months}-* {clock}"]
    # Cron takes either day where both are named, and systemd only both at once.
    return [f"*-{months}-{days} {clock}", f"{week} *-{months}-* {clock}"]


def _numbers(field: str, values: set[int]) -> str:
    return "*" if field == "*" else ",".join(f"{v:02d}" for v in sorted(values))
