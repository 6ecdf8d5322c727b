"""What every scheduler must do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlops_magics.schedulers.base import Job, Scheduler


class SchedulerContract:
    """What every scheduler must do to run the commands of a job unchanged.

    Attributes
    ----------
    scheduler_class : type
        What the entry point names.
    options : mapping
        Options that it can't do without.
    """

    scheduler_class: type[Scheduler]
    options: Mapping[str, str] = MappingProxyType({})

    def scheduler(self) -> Scheduler:
        """The scheduler; override where its class needs arguments."""
        return self.scheduler_class()

    def script(self, files: Mapping[str, str]) -> str:
        """What its files give to ``/bin/sh -c``, as its own parser reads them; to be overridden."""
        raise NotImplementedError

    def job(self, folder: Path, *commands: tuple[str, ...], every: str = "1d") -> Job:
        """A job whose ``mlops`` writes the words that it gets to ``words`` in the folder."""
        import shlex
        from datetime import UTC, datetime

        from mlops_magics.schedulers import times
        from mlops_magics.schedulers.base import Job

        program, place = folder / "mlops", shlex.quote(str(folder))
        if not program.exists():
            program.write_text(
                f"#!/bin/sh\nprintf '%s\\036' \"$@\" '' >> {place}/words\n"
                f'[ ! -f {place}/code ] || exit "$(cat {place}/code)"\n'
            )
            program.chmod(0o755)
        return Job(
            name="contract",
            when=times.read(every),
            commands=commands,
            folder=folder,
            top=folder,
            program=(str(program),),
            since=datetime(2026, 1, 31, 12, tzinfo=UTC),
            environment={"MLOPS_ACTOR": "a $b %c"},
        )

    def ran(self, job: Job) -> tuple[int, list[tuple[str, ...]]]:
        """Run what its files say; the exit code, and the words of each call of ``mlops``."""
        import os
        import subprocess

        words = job.folder / "words"
        words.unlink(missing_ok=True)
        scheduler = self.scheduler()
        scheduler.check(job, self.options)
        script = self.script(scheduler.files(job, self.options))
        path = f"{job.folder}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["/bin/sh", "-c", script],
            cwd=job.folder,
            env={**os.environ, "PATH": path},
            check=False,
        )
        text = words.read_bytes().decode() if words.exists() else ""
        calls = text.removesuffix("\36\36").split("\36\36") if text else []
        return done.returncode, [tuple(call.split("\36")) for call in calls]

    def test_it_says_what_it_is(self) -> None:
        """Name and options are declared, each with a line."""
        scheduler = self.scheduler()
        assert scheduler.name.isidentifier()
        assert all(name and meaning for name, meaning in scheduler.options.items())

    def test_the_same_job_gives_the_same_files(self, tmp_path: Path) -> None:
        """Plain names, text that ends with a line, and what is typed before and after."""
        job, scheduler = self.job(tmp_path, ("status",)), self.scheduler()
        files = scheduler.files(job, self.options)
        assert files
        assert files == scheduler.files(job, self.options)
        for name, text in files.items():
            assert "/" not in name
            assert text.endswith("\n")
        places = [scheduler.place(job) / name for name in files]
        assert all(scheduler.install(job, places))
        assert all(scheduler.uninstall(job, places))

    def test_words_arrive_as_they_are(self, tmp_path: Path) -> None:
        """Whatever means something to a shell, to cron, to a template or to a unit file."""
        hostile = (
            "a b",
            "$HOME",
            "%h 5%",
            "\\d",
            "it's",
            '"',
            "{{ x }}",
            "${{ y }}",
            "$(Z)",
            "é\n#",
        )
        command = ("retrain", "credit", *hostile)
        assert self.ran(self.job(tmp_path, command)) == (0, [command])

    def test_what_is_found_wanting_stops_nothing_and_a_failure_does(self, tmp_path: Path) -> None:
        """Exit code 3 of the first lets the second run, and is the job's; 1 is the end."""
        job = self.job(tmp_path, ("monitor", "credit"), ("retrain", "credit"))
        assert self.ran(job) == (0, list(job.commands))
        (tmp_path / "code").write_text("1")
        assert self.ran(job) == (1, [job.commands[0]])
        (tmp_path / "code").write_text("3")
        assert self.ran(job) == (3, list(job.commands))

    def test_an_option_that_it_does_not_have(self, tmp_path: Path) -> None:
        """Is refused by name."""
        import pytest

        from mlops_magics.errors import UnknownName

        with pytest.raises(UnknownName, match="no_such_option"):
            self.scheduler().check(self.job(tmp_path, ("status",)), {"no_such_option": "1"})

    def test_a_time_that_it_cannot_keep(self, tmp_path: Path) -> None:
        """Is refused with the nearest that it can."""
        import pytest

        from mlops_magics.errors import WrongUsage

        scheduler, job = self.scheduler(), self.job(tmp_path, ("status",), every="7h")
        if not scheduler.needs_cron:
            scheduler.check(job, self.options)
            assert scheduler.files(job, self.options)
            return
        with pytest.raises(WrongUsage, match="6h or 8h"):
            scheduler.check(job, self.options)
