"""A line for a crontab."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from mlops_magics.errors import WrongUsage
from mlops_magics.schedulers import quoting
from mlops_magics.schedulers.base import VARIABLE, Job, Scheduler

#: Characters that Debian's cron takes of one command.
LONGEST = 998


class CronScheduler(Scheduler):
    """The crontab of whoever writes it."""

    name = "cron"
    here = True
    options: ClassVar[Mapping[str, str]] = {
        "log": "the file that what it says is added to",
        "environment": "a file of NAME=VALUE lines, which may hold secrets",
    }

    def files(self, job: Job, options: Mapping[str, str]) -> dict[str, str]:
        command = self._command(job, options)
        if len(command) > LONGEST:
            raise WrongUsage(
                f"The command has {len(command)} characters, and cron takes {LONGEST}.",
                "Put what it is told into a file (-f, --goals), or use --as systemd.",
            )
        comments = [f"# {' then '.join(job.shown())}".replace("\n", " ")]
        comments.append(f"# every {job.when.every}, in UTC")
        zone = [] if machine_is_utc() else ["CRON_TZ=UTC"]
        return {f"{job.name}.cron": "\n".join([*comments, *zone, f"{job.when.cron} {command}", ""])}

    def _command(self, job: Job, options: Mapping[str, str]) -> str:
        """All of it in one line; ``%`` is a line's end to cron, unless a backslash is before it."""
        log = Path(options.get("log") or log_file(job)).expanduser()
        log = job.folder / log
        # The job's name first, and a space behind it: the line is found by both.
        words = [*quoting.assignments(job.variables), f"PATH={job.path}"]
        parts = [
            f"cd {quoting.in_one_line([str(job.folder)])}",
            *self._sourced(options),
            f"export {quoting.in_one_line(words)}",
            f"mkdir -p {quoting.in_one_line([str(log.parent)])}",
        ]
        told = "; ".join(_lines(job))
        parts.append(f"{{ {told}; }} >> {quoting.in_one_line([str(log)])} 2>&1")
        return " && ".join(parts).replace("%", "\\%")

    def _sourced(self, options: Mapping[str, str]) -> list[str]:
        if not (file := options.get("environment")):
            return []
        whole = str(Path(file).expanduser().absolute())
        return [f"set -a && . {quoting.in_one_line([whole])} && set +a"]

    def install(self, job: Job, files: Sequence[Path]) -> tuple[str, ...]:
        kept, file = self._without(job), shlex.quote(str(files[0]))
        return (f"{kept} | cat - {file} | crontab -",)

    def uninstall(self, job: Job, files: Sequence[Path]) -> tuple[str, ...]:
        return (f"{self._without(job)} | crontab -",)

    def _without(self, job: Job) -> str:
        """The crontab as it is, without an earlier form of this job."""
        name = job.name.replace(".", "\\.")
        first = f"/^# Written by `mlops schedule` for {name};/"
        return f"crontab -l 2>/dev/null | sed '{first},/{VARIABLE}={name} /d'"


def _lines(job: Job) -> list[str]:
    """The script's lines, none of which holds a line's end."""
    asked = [quoting.in_one_line([*job.program, *command]) for command in job.commands]
    return quoting.joined(asked)


def log_file(job: Job) -> Path:
    """Where a job writes what it says, where nothing else is asked for."""
    from mlops_magics import settings

    return settings.load().state / "schedules" / f"{job.name}.log"


def machine_is_utc() -> bool:
    """Whether this machine's clock shows UTC all year: cron goes by it."""
    seasons = (datetime(2026, month, 1).astimezone() for month in (1, 7))
    return not any(season.utcoffset() for season in seasons)
