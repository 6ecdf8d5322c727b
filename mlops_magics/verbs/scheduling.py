"""`schedule`: what an existing scheduler needs to run the loop by itself."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mlops_magics import evidence, settings
from mlops_magics.errors import UnknownName, WrongUsage
from mlops_magics.records import Schedule, stamp
from mlops_magics.verbs import scheduled, scheduled_runs
from mlops_magics.verbs.declaration import DeploymentName, verb
from mlops_magics.verbs.options import Option
from mlops_magics.verbs.steps import Step, step

if TYPE_CHECKING:
    from mlops_magics.schedulers.base import Job, Scheduler


@verb()
def schedule(
    name: DeploymentName,
    *,
    every: str = "",
    at: str = "",
    as_: str = "",
    if_: str = "",
    promote: bool = False,
    run: Annotated[Sequence[str], Option(("--run",))] = (),
    params: Annotated[Mapping[str, Any], Option(("-p", "--param"))] = {},
    options: Annotated[Mapping[str, str], Option(("-o", "--option"))] = {},
    output: str = "",
    remove: bool = False,
    force: bool = False,
) -> Schedule:
    """Write what a scheduler needs to run the loop by itself; nothing here waits or runs.

    The job is ``monitor NAME`` over the time since the last run and, with ``--if`` or
    ``--promote``, ``retrain NAME`` after it; of a notebook it is ``execute``. A command that finds
    something wanting (exit code 3) does not keep the next one from running, and the job ends
    with 3, so that the scheduler shows it. ``status`` tells the last and the next run of each.

    Parameters
    ----------
    name : deployment, model or notebook
        What the job is about; any name with ``--run``. A job of the same name and scheduler is
        replaced.
    every : str
        How often: ``15m``, ``6h``, ``1d``, ``1w``, ``1mo``, or a cron expression such as
        ``"0 6 * * 1"``. All times are UTC.
    at : str, optional
        The time of day, ``HH:MM``; 06:00 by default.
    as_ : str
        The scheduler: ``cron``, the default, ``systemd``, ``github``, ``airflow`` or
        ``kubernetes``.
    if_ : str, optional
        The condition under which the model is retrained: ``drift(Income) > 0.2``.
    promote : bool
        Retrain, and make a new version that is judged better the champion.
    run : sequence of str, optional
        The commands to run in place of these: ``"monitor credit --data new.csv"``. May be given
        several times.
    params : mapping
        Parameters of the notebook.
    options : mapping
        What the scheduler is told besides, each a name and a value: ``-o image NAME``. Secrets
        are named there, never given.
    output : path, optional
        The folder for the files; ``schedules/`` by default, ``.github/workflows/`` for GitHub.
    remove : bool
        Remove the files of this name, and say how the scheduler forgets them.
    force : bool
        Also over files that are not ours, or were edited.

    Returns
    -------
    Schedule

    Raises
    ------
    UnknownName
        If there is no such deployment, notebook, scheduler, option or verb.
    WrongUsage
        If the time can't be read or kept, a secret stands in the job, or a file would be replaced
        that is not ours or was edited.
    BadGoal
        If the condition can't be read.
    """
    from mlops_magics.schedulers import state, times

    if remove:
        return _remove(name, as_, force)
    if not every:
        raise WrongUsage("How often is it to run?", "For example --every 1d --at 06:00.")
    kind = as_ or "cron"
    scheduler = state.scheduler(kind)
    when = times.read(every, at)
    made = scheduled.commands(name, when.span, if_, promote, tuple(run), params)
    job = _job(made.name, when, made.commands, scheduler)
    given = {str(k): str(v) for k, v in options.items()}
    scheduler.check(job, given)
    folder = Path(output).expanduser().absolute() if output else scheduler.place(job)
    contents = {folder / k: v for k, v in scheduler.files(job, given).items()}
    _refuse_to_replace(contents, force, job.name)
    arguments: dict[str, Any] = {"name": name, "every": every, "at": at, "as": kind, "if": if_}
    arguments |= {"promote": promote, "run": list(run), "params": evidence.secrets.mask(params)}
    arguments |= {"options": given, "output": output, "force": force}
    with step("schedule", experiment=made.experiment, arguments=arguments) as current:
        record = Schedule(
            name=job.name,
            every=when.every,
            cron=when.cron,
            kind=kind,
            path=str(next(iter(contents))),
            command=job.shown(),
            next_run=stamp(when.next(datetime.now(UTC), job.since)),
            seconds=when.seconds,
            files=tuple(map(str, contents)),
            options=given,
            install=scheduler.install(job, list(contents)),
            since=stamp(job.since),
            run_id=current.run_id,
            warnings=scheduled.warnings(made, scheduler),
        )
        record = replace(record, warnings=(*record.warnings, *_left(contents, record)))
        _write(contents, job.name, record)
        _keep(current, record)
    return record


def _job(name: str, when: Any, commands: Any, scheduler: Scheduler) -> Job:
    from mlops_magics.schedulers.base import Job

    options = settings.load()
    root = evidence.code.git(options.root).get("root")
    return Job(
        name=name,
        when=when,
        commands=commands,
        folder=options.root,
        top=Path(root) if root else options.root,
        program=_program(),
        since=datetime.now(UTC).replace(second=0, microsecond=0),
        environment=scheduled.environment(here=scheduler.here),
    )


def _program() -> tuple[str, ...]:
    """How this very `mlops` is called, whatever the PATH of the scheduler is."""
    beside = Path(sys.executable).with_name("mlops")
    if beside.is_file():
        return (str(beside),)
    return (sys.executable, "-m", "mlops_magics.doors.cli")


def _refuse_to_replace(contents: Mapping[Path, str], force: bool, name: str) -> None:
    from mlops_magics.schedulers import marks

    for file in contents:
        marks.check(file, force=force, name=name)


def _write(contents: Mapping[Path, str], name: str, record: Schedule) -> None:
    """The files, and what `status` knows of them; each whole or not at all."""
    from mlops_magics.notebooks import files
    from mlops_magics.schedulers import marks, state

    for file, text in contents.items():
        files.write(file, marks.marked(text, name).encode("utf-8"))
    known = state.file(name, record.kind)
    files.write(known, (record.to_json() + "\n").encode("utf-8"))


def _left(contents: Mapping[Path, str], record: Schedule) -> list[str]:
    """What was written elsewhere before, and would go on with nobody knowing of it."""
    from mlops_magics.schedulers import state

    old = [f for s in state.of(record.name) if s.kind == record.kind for f in map(Path, s.files)]
    return [f"{f} is still there from before." for f in old if f not in contents and f.exists()]


def _remove(name: str, kind: str, force: bool) -> Schedule:
    from mlops_magics.schedulers import marks, state

    called = scheduled.stem(name)
    found = [s for s in state.of(called) if kind in ("", s.kind)]
    if not found:
        raise UnknownName("schedule", name, {s.name for s in state.all()})
    if len(found) > 1:
        kinds = " or ".join(s.kind for s in found)
        raise WrongUsage(f"{called} has several schedules.", f"Say which: --as {kinds}.")
    old = found[0]
    for file in old.files:
        marks.check(Path(file), force=force, name=called)
    scheduler = state.scheduler(old.kind)
    experiment = scheduled.experiment(called)
    arguments = {"name": name, "as": kind, "remove": True, "force": force}
    with step("schedule", experiment=experiment, arguments=arguments, follows=[old.run_id]) as now:
        job = _job(old.name, scheduled_runs.when(old), (), scheduler)
        record = replace(
            old,
            status="removed",
            next_run="",
            install=scheduler.uninstall(job, [Path(f) for f in old.files]),
            run_id=now.run_id,
            warnings=(),
        )
        for file in old.files:
            Path(file).unlink(missing_ok=True)
        state.file(old.name, old.kind).unlink(missing_ok=True)
        _keep(now, record)
    return record


def _keep(current: Step, record: Schedule) -> None:
    current.json("schedule.json", record)
    for file in record.files:
        if record.status == "written":
            current.file(Path(file), "files")
    current.tags({"mlops.schedule": record.name, "mlops.scheduler": record.kind})
    current.summary = {
        "schedule": record.name,
        "as": record.kind,
        "every": record.every,
        "status": record.status,
        "runs": " then ".join(record.command),
    }
