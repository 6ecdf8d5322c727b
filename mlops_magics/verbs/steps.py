"""A step: one verb at work, as one MLflow run that never lies about how it ended.

Every verb that changes something does it inside `step`. The run is opened before the work and
closed with what happened; the common evidence is gathered here and nowhere else.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlops_magics import evidence, records, store

#: Set by a headless run: the file to which each finished step appends one line.
JOURNAL = "MLOPS_JOURNAL"


class Step:
    """An open step; what it learns goes through here into its run."""

    def __init__(self, verb: str, experiment: str, arguments: Mapping[str, Any]) -> None:
        self.verb = verb
        self.experiment = experiment
        self.arguments = evidence.secrets.mask({k: _shown(v) for k, v in arguments.items()})
        self.started = records.now()
        self.meter = evidence.resources.Meter()
        self.who = evidence.environment.who()
        self.folder = os.getcwd()
        self.notebook = evidence.environment.notebook()
        self.git = evidence.code.git()
        self.run_id = ""
        #: What the work itself used, where a verb knows when it ended; else all of the step.
        self.used: dict[str, Any] = {}
        #: One line for `history`, and what a headless run's record says of the step.
        self.summary: dict[str, Any] = {}
        self.extra: dict[str, Any] = {}

    def open(self, run_name: str, follows: Sequence[str]) -> None:
        """Open the run; from here on a death of the process is found by the journal."""
        tags = {
            "mlops.actor": self.who["actor"],
            "mlops.host": self.who["host"],
            "mlops.arguments": self.arguments,
            # MLflow's own names, which its UI shows.
            "mlflow.user": self.who["actor"],
            "mlflow.source.name": self.notebook.get("path", ""),
            "mlflow.source.type": "NOTEBOOK" if self.notebook else "LOCAL",
        }
        if self.notebook:
            tags["mlops.notebook"] = self.notebook["path"]
        if "execution" in self.notebook:
            tags["mlops.execution"] = self.notebook["execution"]
        if self.git.get("commit"):
            tags["mlflow.source.git.commit"] = self.git["commit"]
            tags["mlops.git.dirty"] = self.git["dirty"]
        if follows:
            tags["mlops.follows"] = " ".join(filter(None, follows))
        self.run_id = store.runs.start(self.experiment, name=run_name, verb=self.verb, tags=tags)

    def params(self, values: Mapping[str, Any]) -> None:
        """Log parameters."""
        store.runs.log(self.run_id, params=values)

    def metrics(self, values: Mapping[str, float]) -> None:
        """Log metrics."""
        store.runs.log(self.run_id, metrics=values)

    def tags(self, values: Mapping[str, Any]) -> None:
        """Set tags."""
        store.runs.log(self.run_id, tags=values)

    def json(self, path: str, value: Any) -> None:
        """Keep a value as a JSON artifact."""
        store.runs.write_json(self.run_id, path, value)

    def text(self, path: str, text: str) -> None:
        """Keep a text as an artifact."""
        store.runs.write_text(self.run_id, path, text)

    def file(self, local: Path | str, folder: str = "") -> None:
        """Keep a local file or folder as an artifact."""
        store.runs.write_file(self.run_id, Path(local), folder)

    def close(self, status: str, error: BaseException | None = None) -> None:
        """Store the common evidence and close the run with how it ended."""
        ended = records.now()
        used = self.used or self.meter.read()
        body = {
            "schema_version": records.SCHEMA_VERSION,
            "verb": self.verb,
            "arguments": self.arguments,
            "run_id": self.run_id,
            "experiment": self.experiment,
            "status": status,
            "started": self.started,
            "ended": ended,
            "who": self.who,
            "folder": self.folder,
            "notebook": self.notebook,
            "git": {k: v for k, v in self.git.items() if k != "diff"},
            "environment": evidence.environment.describe(),
            "packages": evidence.environment.packages(),
            "resources": used,
            **({"error": {"name": type(error).__name__, "message": str(error)}} if error else {}),
            **self.extra,
        }
        try:
            self.json("mlops/record.json", body)
            self.text("mlops/requirements.txt", evidence.environment.requirements())
            if self.git.get("diff"):
                self.text("mlops/uncommitted.diff", self.git["diff"])
            self.tags({"mlops.summary": _one_line(self.summary)} if self.summary else {})
        finally:
            store.runs.finish(self.run_id, status)
            self._tell_headless_run(status, ended)

    def _tell_headless_run(self, status: str, ended: str) -> None:
        file = os.environ.get(JOURNAL)
        if not file:
            return
        line = {
            "verb": self.verb,
            "experiment": self.experiment,
            "run_id": self.run_id,
            "status": status,
            "started": self.started,
            "ended": ended,
            "arguments": self.arguments,
            **self.summary,
        }
        # One write of one line with O_APPEND: several processes may share the file.
        with open(file, "a", encoding="utf-8") as journal:
            journal.write(json.dumps(records.jsonable(line), ensure_ascii=False) + "\n")


def _one_line(summary: Mapping[str, Any]) -> str:
    def show(value: Any) -> str:
        if isinstance(value, float):
            return f"{value:.4g}"
        if isinstance(value, Mapping):
            return ", ".join(f"{k} {show(v)}" for k, v in list(value.items())[:4])
        return str(value)

    return " · ".join(f"{k}: {show(v)}" for k, v in summary.items() if v not in (None, "", {}))


def _shown(value: Any) -> Any:
    """An argument as the record shows it: data by its type and shape, not its content."""
    if value is None or isinstance(value, bool | int | float | str | Path):
        return records.jsonable(value)
    if isinstance(value, Mapping):
        return {str(k): _shown(v) for k, v in value.items()}
    if isinstance(value, list | tuple) and all(isinstance(v, str | int | float) for v in value):
        return list(value)
    shape = getattr(value, "shape", None)
    return f"<{type(value).__name__}{' ' + str(tuple(shape)) if shape is not None else ''}>"


@contextmanager
def step(
    verb: str,
    *,
    experiment: str,
    arguments: Mapping[str, Any],
    follows: Sequence[str] = (),
    name: str = "",
) -> Iterator[Step]:
    """Do a verb's work inside one run.

    Parameters
    ----------
    experiment : str
        The model's or the dataset's name.
    arguments : mapping
        What the verb was called with.
    follows : sequence of str
        Ids of the runs that this step builds on.
    name : str
        The run's name in MLflow; the verb by default.
    """
    current = Step(verb, experiment, arguments)
    current.open(name or verb, follows)
    with _closing(current.close):
        yield current


@contextmanager
def _closing(close: Callable[..., None]) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as error:
        close("interrupted", error)
        raise
    except BaseException as error:
        close("failed", error)
        raise
    else:
        close("finished")
