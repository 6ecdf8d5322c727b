"""A step: one verb at work, as one MLflow run that never lies about how it ended.

Every verb that changes something does it inside `step`. The run is opened before the work and
closed with what happened; the common evidence is gathered here and nowhere else.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlops_magics import evidence, records, schedulers, store
from mlops_magics.errors import StoreUnreachable
from mlops_magics.verbs.live import Now, Series

log = logging.getLogger("mlops_magics")

#: Set by a headless run: the file to which each finished step appends one line.
JOURNAL = "MLOPS_JOURNAL"


class Step:
    """An open step; what it learns goes through here into its run."""

    def __init__(self, verb: str, experiment: str, arguments: Mapping[str, Any]) -> None:
        self.verb = verb
        self.experiment = experiment
        named = evidence.secrets.mask({k: _shown(v) for k, v in arguments.items()})
        self.arguments = evidence.secrets.Masker()(named)
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
        #: What became of it at its end: delivered, or (one sentence) kept until the store answers.
        self.delivered: store.outbox.Delivered | None = None
        self.kept = ""

    def open(
        self, run_name: str, follows: Sequence[str], more: Mapping[str, Any] | None = None
    ) -> None:
        """Open the run, with `more` tags; a death of the process is found by the journal.

        Raises
        ------
        StoreUnreachable
            If the store does not answer; nothing is begun then.
        """
        store.outbox.deliver_kept()
        tags = {
            **(more or {}),
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
            tags["mlops.attempt"] = self.notebook["attempt"]
        if self.git.get("commit"):
            tags["mlflow.source.git.commit"] = self.git["commit"]
            tags["mlops.git.dirty"] = self.git["dirty"]
        if schedule := os.environ.get(schedulers.base.VARIABLE):
            tags["mlops.schedule"] = schedule
        if follows:
            tags["mlops.follows"] = " ".join(filter(None, follows))
        self.run_id = store.runs.start(self.experiment, name=run_name, verb=self.verb, tags=tags)
        self._parcel = store.outbox.Parcel.start(self.run_id, self.experiment)

    # Everything that a step writes goes into its parcel, which is delivered when it closes.

    def params(self, values: Mapping[str, Any]) -> None:
        """Log parameters."""
        self._parcel.add(params=values)

    def metrics(self, values: Mapping[str, float]) -> None:
        """Log metrics."""
        self._parcel.add(metrics=values)

    def points(self, points: Sequence[tuple[str, float, int, int]]) -> None:
        """Log values by iteration: metric, value, step, milliseconds since the epoch each."""
        self._parcel.add(points=points)

    def stream(self, points: Sequence[tuple[str, float, int, int]]) -> None:
        """Log them so that they are seen in the store before the step closes."""
        if points:
            self._parcel.stream(points)

    def tags(self, values: Mapping[str, Any]) -> None:
        """Set tags."""
        self._parcel.add(tags=values)

    def json(self, path: str, value: Any) -> None:
        """Keep a value as a JSON artifact."""
        text = json.dumps(records.jsonable(value), indent=1, ensure_ascii=False)
        self._parcel.add_text(path, text)

    def text(self, path: str, text: str) -> None:
        """Keep a text as an artifact."""
        self._parcel.add_text(path, text)

    def file(self, local: Path | str, folder: str = "") -> None:
        """Keep a local file or folder as an artifact."""
        self._parcel.add_file(Path(local), folder)

    def uses(self, dataset: records.Dataset, context: str) -> None:
        """Note that the step used a dataset, as MLflow shows it."""
        self._parcel.add(
            inputs=[
                {
                    "name": dataset.name,
                    "digest": dataset.digest,
                    "source": dataset.source,
                    "schema": "{}",
                    "context": context,
                }
            ]
        )

    def model(
        self, name: str, save: Callable[[Path], Mapping[str, str]], tags: Mapping[str, Any]
    ) -> Mapping[str, str]:
        """Keep a model, which becomes the next version of `name` and its ``@candidate``.

        Parameters
        ----------
        save : callable
            Writes the model to the folder that it is given, and returns tags for the version.

        Returns
        -------
        mapping
            What `save` returned.
        """
        noted = self._parcel.add_model(name, save, tags)
        self.extra["model"] = {"ref": None, "digest": noted["mlops.digest"]}
        return noted

    def now(self, series: Mapping[str, Series]) -> Now:
        """How it stands at this moment, with the values that were reported."""
        used = self.meter.sample()
        return Now(
            name=self.experiment,
            run_id=self.run_id,
            elapsed=self.meter.elapsed(),
            cpu_s=self.meter.cpu(used),
            memory_bytes=used.memory_bytes,
            series=series,
        )

    def close(self, status: str, error: BaseException | None = None) -> None:
        """Close the run with how it ended and the common evidence, and deliver all of it.

        If the store is away, everything is kept on this machine, and `kept` says so.
        """
        ended = records.now()
        used = self.used or self.meter.read()
        why = evidence.secrets.Masker()(str(error)) if error else ""  # it may tell a secret
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
            "lock": evidence.lock.describe(),
            "resources": used,
            **({"error": {"name": type(error).__name__, "message": why}} if error else {}),
            **self.extra,
        }
        self.json("mlops/record.json", body)
        self.text("mlops/requirements.txt", evidence.lock.text())
        if self.git.get("diff"):
            self.text("mlops/uncommitted.diff", self.git["diff"])
        self.tags({"mlops.resources": used})
        self.tags({"mlops.summary": _one_line(self.summary)} if self.summary else {})
        try:
            self.delivered = self._parcel.close(status)
        except StoreUnreachable as error:
            self.kept = (
                f"{error.message} Run {self.run_id} is kept whole in {self._parcel.folder}; the "
                "next step that reaches the store delivers it, and so does `mlops status`."
            )
            log.warning(self.kept)
        if version := self.version:
            self.summary = {"model": version.ref, **self.summary}
        self._tell_headless_run(status, ended)

    @property
    def version(self) -> store.versions.Version | None:
        """The version that the step's model became; there is none before it is delivered."""
        return self.delivered.version if self.delivered else None

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
