"""A workflow of GitHub Actions."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from mlops_magics.errors import WrongUsage
from mlops_magics.schedulers import documents, quoting
from mlops_magics.schedulers.base import Job, Scheduler, names_of, number
from mlops_magics.schedulers.times import MINUTE

#: Files of a project that tell what it needs, as `setup-python` looks for them too.
REQUIREMENTS = ("requirements.txt", "pyproject.toml")


class GithubScheduler(Scheduler):
    """GitHub's own cron, which may be some minutes late; only of the default branch."""

    name = "github"
    options: ClassVar[Mapping[str, str]] = {
        "python": "the version of Python (3.12)",
        "install": "the command that installs what the job needs",
        "secrets": "the repository's secrets that the job gets as variables: A,B",
        "runner": "the machine (ubuntu-latest)",
        "timeout": "minutes after which it is ended (60)",
    }

    def files(self, job: Job, options: Mapping[str, str]) -> dict[str, str]:
        if job.when.seconds < 5 * MINUTE:
            raise WrongUsage("GitHub starts nothing more often than every 5 minutes.", "--every 5m")
        script = "\n".join(quoting.lines(("mlops",), job.commands))
        content = {
            "name": f"mlops {job.name}",
            "on": {"schedule": [{"cron": job.when.cron}], "workflow_dispatch": None},
            "permissions": {"contents": "read"},
            # A run that takes longer than the time between two is not started twice.
            "concurrency": {"group": f"mlops-{job.name}", "cancel-in-progress": False},
            **directory(job.folder, job.top),
            "jobs": {
                "mlops": {
                    "runs-on": quoting.github(options.get("runner", "ubuntu-latest")),
                    "timeout-minutes": number(options, "timeout", 60),
                    "env": {
                        **secrets(options),
                        **{k: quoting.github(v) for k, v in job.variables.items()},
                    },
                    "steps": [
                        *prepared(job.folder, job.top, options),
                        {"name": "Run", "run": quoting.github(script)},
                    ],
                }
            },
        }
        return {f"mlops-{job.name}.yml": documents.dump(content)}

    def place(self, job: Job) -> Path:
        return job.top / ".github" / "workflows"

    def install(self, job: Job, files: Sequence[Path]) -> tuple[str, ...]:
        file = shlex.quote(str(files[0]))
        return (f"git add {file}", "git commit and push it to the default branch")

    def uninstall(self, job: Job, files: Sequence[Path]) -> tuple[str, ...]:
        return ("commit and push that the file is gone",)


def directory(folder: Path, top: Path) -> dict[str, Any]:
    """Where the steps run, if the project is not the whole repository."""
    if folder == top:
        return {}
    below = quoting.github(folder.relative_to(top).as_posix())
    return {"defaults": {"run": {"working-directory": below}}}


def secrets(options: Mapping[str, str]) -> dict[str, str]:
    """Secrets by reference; an unset one is an empty variable, and the embedded store is used."""
    names = ["MLFLOW_TRACKING_URI", *names_of(options.get("secrets", ""), "secrets")]
    return {name: f"${{{{ secrets.{name} }}}}" for name in dict.fromkeys(names)}


def prepared(folder: Path, top: Path, options: Mapping[str, str]) -> list[dict[str, Any]]:
    """The steps that come first: the files, Python, and what the project needs."""
    python: dict[str, Any] = {"python-version": quoting.github(options.get("python", "3.12"))}
    if found := needs(folder):
        below = (folder / found).relative_to(top).as_posix()
        python |= {"cache": "pip", "cache-dependency-path": quoting.github(below)}
    return [
        {"uses": "actions/checkout@v5", "with": {"persist-credentials": False}},
        {"uses": "actions/setup-python@v6", "with": python},
        {"name": "Install", "run": quoting.github(options.get("install") or installing(folder))},
    ]


def needs(folder: Path) -> str:
    """The file that tells what the project needs; empty where there is none."""
    return next((name for name in REQUIREMENTS if (folder / name).is_file()), "")


def installing(folder: Path) -> str:
    """How the project is installed, as far as its files tell."""
    known = {
        "requirements.txt": "pip install -r requirements.txt",
        "pyproject.toml": "pip install .",
    }
    return known.get(needs(folder), "pip install mlops_magics")
