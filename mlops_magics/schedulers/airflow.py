"""A DAG of Airflow 3."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from pprint import pformat
from typing import Any, ClassVar

from mlops_magics.errors import UnknownName, WrongUsage
from mlops_magics.schedulers import quoting
from mlops_magics.schedulers.base import Job, Scheduler, names_of, number

_FILE = '''\
"""{title}"""

from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG
from {module} import {operator}

with DAG(
    dag_id={dag},
    schedule={schedule},
    start_date={start},
    catchup=False,
    max_active_runs=1,
    default_args={{"retries": {retries}}},
    dagrun_timeout=timedelta(minutes={timeout}),
    tags=["mlops"],
):
    {operator}(
{arguments}
    )
'''


class AirflowScheduler(Scheduler):
    """One task a run, by the BashOperator; a notebook by Papermill's own if asked for."""

    name = "airflow"
    needs_cron = False
    options: ClassVar[Mapping[str, str]] = {
        "folder": "the project's folder on the worker (that of here)",
        "program": "how mlops is called on the worker (mlops)",
        "variables": "Airflow's variables that the job gets, secrets too: A,B",
        "operator": "papermill: run a notebook by Airflow's own operator, without a record",
        "retries": "how often a run that failed is tried again (0)",
        "timeout": "minutes after which a run is ended (60)",
    }

    def files(self, job: Job, options: Mapping[str, str]) -> dict[str, str]:
        operator = options.get("operator", "bash")
        if operator not in _OPERATORS:
            raise UnknownName("operator", operator, _OPERATORS)
        module, name, asked = _OPERATORS[operator]
        retries = options.get("retries", "0")
        if not retries.isdecimal():
            raise WrongUsage(f"-o retries is a number from 0 on, not {retries!r}.")
        schedule = f"timedelta(seconds={job.when.seconds})"
        since = job.since
        text = _FILE.format(
            title=f"mlops schedule of {job.name}.",
            module=module,
            operator=name,
            dag=repr(f"mlops_{job.name}"),
            schedule=repr(job.when.cron) if job.when.cron else schedule,
            start=f"datetime({since.year}, {since.month}, {since.day}, {since.hour}, "
            f"{since.minute}, tzinfo=timezone.utc)",
            retries=int(retries),
            timeout=number(options, "timeout", 60),
            arguments="\n".join(_argument(k, v) for k, v in asked(job, options).items()),
        )
        return {f"mlops_{job.name}.py": text}

    def install(self, job: Job, files: Sequence[Path]) -> tuple[str, ...]:
        return (f'cp {shlex.quote(str(files[0]))} "$AIRFLOW_HOME/dags/"',)

    def uninstall(self, job: Job, files: Sequence[Path]) -> tuple[str, ...]:
        dag = f"mlops_{job.name}"
        return (f'rm "$AIRFLOW_HOME/dags/{dag}.py"', f"airflow dags delete {dag}")


def _argument(name: str, value: Any) -> str:
    told = pformat(value, width=80, sort_dicts=False).replace("\n", "\n        ")
    return f"        {name}={told},"


def _bash(job: Job, options: Mapping[str, str]) -> dict[str, Any]:
    program = shlex.split(options.get("program", "mlops"))
    script = "\n".join(quoting.lines(program, job.commands))
    told = {name: quoting.jinja(value) for name, value in job.variables.items()}
    known = names_of(options.get("variables", ""), "variables")
    return {
        "task_id": "run",
        # With a line's end behind it, as Airflow takes what ends in .sh for the name of a file.
        "bash_command": quoting.jinja(script) + "\n\n",
        "cwd": quoting.jinja(options.get("folder", str(job.folder))),
        "env": {**told, **{name: f"{{{{ var.value.{name} }}}}" for name in known}},
        "append_env": True,
    }


def _papermill(job: Job, options: Mapping[str, str]) -> dict[str, Any]:
    notebook, params = _notebook(job)
    folder = Path(options.get("folder", str(job.folder)))
    # Beside the notebook, as Papermill makes no folder.
    executed = f"{(folder / notebook).with_suffix('')}-executed-"
    return {
        "task_id": "run",
        "input_nb": _path(folder / notebook),
        "output_nb": _path(executed) + "{{ ts_nodash }}.ipynb",
        "parameters": {quoting.jinja(k): quoting.jinja(v) for k, v in params.items()},
    }


def _path(path: Path | str) -> str:
    """A path that Airflow renders as a template, and Papermill formats with the parameters."""
    return quoting.jinja(str(path).replace("{", "{{").replace("}", "}}"))


def _notebook(job: Job) -> tuple[str, dict[str, str]]:
    """The notebook and the parameters of a job that does nothing but execute one."""
    command = job.commands[0]
    words = list(command[2:])
    params = {}
    while len(words) >= 3 and words[0] == "-p":
        params[words[1]], words = words[2], words[3:]
    if len(job.commands) > 1 or command[0] != "execute" or words:
        raise WrongUsage(
            "Papermill's operator runs a notebook, and nothing else.",
            "Schedule a notebook with -p NAME VALUE, or leave -o operator out.",
        )
    if not command[1].endswith(".ipynb"):
        raise WrongUsage(
            f"{command[1]} comes with mlops_magics, and Papermill's operator needs its file.",
            "Copy it into the project and schedule that, or leave -o operator out.",
        )
    return command[1], params


_OPERATORS: dict[str, tuple[str, str, Any]] = {
    "bash": ("airflow.providers.standard.operators.bash", "BashOperator", _bash),
    "papermill": (
        "airflow.providers.papermill.operators.papermill",
        "PapermillOperator",
        _papermill,
    ),
}
