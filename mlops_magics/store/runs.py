"""Runs: one tracked step each, with what it logged and the files that prove it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

import mlflow
from mlflow.entities import Metric, Param, RunStatus, RunTag
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INVALID_PARAMETER_VALUE,
    RESOURCE_ALREADY_EXISTS,
    RESOURCE_DOES_NOT_EXIST,
    ErrorCode,
)
from mlflow.tracking import fluent

from mlops_magics import records, settings
from mlops_magics.errors import MlopsError, StoreUnreachable, UnknownName
from mlops_magics.store import journal, opening

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

#: Our words for how a run ended → MLflow's. The exact word stands in the tag ``mlops.status``.
STATUS = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED", "killed": "KILLED"}

# MLflow's limits for one batch and for one value.
_BATCH = 100
_PARAM_LENGTH = 6000
_TAG_LENGTH = 8000

connect = opening.connect


@contextmanager
def reaching(what: str) -> Iterator[MlflowClient]:
    """MLflow's own trees of errors become one sentence."""
    client = connect()
    try:
        yield client
    except MlopsError:
        raise
    except Exception as error:  # MLflow, SQLAlchemy, requests, the disk: each its own tree
        raise StoreUnreachable(
            f"The store did not {what}: {opening.reason_of(error)}.",
            f"The store is {settings.load().tracking_uri}; `mlops doctor` checks it.",
        ) from error


def experiment_id(name: str) -> str:
    """The id of an experiment, made if it does not exist (also when several make it at once)."""
    with reaching("give an experiment") as client:
        found = client.get_experiment_by_name(name)
        if found is not None and found.lifecycle_stage == "active":
            return str(found.experiment_id)
        if found is not None:
            client.restore_experiment(found.experiment_id)
            return str(found.experiment_id)
        options = settings.load()
        # A server chooses where its artifacts lie; the embedded store keeps them in the project.
        location = f"{options.artifacts}/{_folder_name(name)}" if options.embedded else None
        try:
            return str(client.create_experiment(name, artifact_location=location))
        except MlflowException as error:
            if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
                raise
            return str(client.get_experiment_by_name(name).experiment_id)


def _folder_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name).strip(".") or "_"


def start(experiment: str, *, name: str, verb: str, tags: Mapping[str, Any]) -> str:
    """Open a run and note it in the journal; returns its id."""
    connect()  # opened for the first time it is made; from then on it has to be there
    opening.check()
    identifier = experiment_id(experiment)
    with reaching("open a run") as client:
        run = client.create_run(
            identifier,
            run_name=name,
            tags={"mlops.verb": verb, **{k: _short(v, _TAG_LENGTH) for k, v in tags.items()}},
        )
    run_id = str(run.info.run_id)
    journal.opened(run_id, verb=verb, name=experiment, tracking_uri=settings.load().tracking_uri)
    return run_id


def activate(run_id: str) -> str:
    """Make a run the active one, so that the user's own `mlflow.log_*` calls land in it.

    Returns
    -------
    str
        The id of the run that was active before; empty when there was none.
    """
    outer = mlflow.active_run()
    with reaching("take up the run") as client:
        run = client.get_run(run_id)
    # As `mlflow.start_run` does, which would ask the store three times more and write to it.
    fluent._active_run_stack.get().append(mlflow.ActiveRun(run))
    fluent._last_active_run_id.set(run_id)
    return outer.info.run_id if outer else ""


def deactivate(run_id: str, outer: str, status: str) -> None:
    """End the active run `run_id`, and the runs that the user's code opened in it and left open."""
    while (active := mlflow.active_run()) is not None and active.info.run_id != outer:
        if active.info.run_id == run_id:
            # Its end was recorded with the rest of it; MLflow is only to forget that it is active.
            fluent._active_run_stack.get().pop()
            break
        with suppress(Exception):  # the store is away: that run is the user's own, and stays open
            mlflow.end_run(STATUS[status])


def finish(run_id: str, status: str, ended: int | None = None) -> None:
    """Close a run as ``finished``, ``failed``, ``interrupted`` or ``killed``; `ended` is in ms."""
    with reaching("close the run") as client:
        client.set_tag(run_id, "mlops.status", status)
        client.set_terminated(run_id, STATUS[status], ended)


def is_missing(error: MlflowException) -> bool:
    """Whether the store answered that there is no such thing."""
    missing = {ErrorCode.Name(c) for c in (RESOURCE_DOES_NOT_EXIST, INVALID_PARAMETER_VALUE)}
    return error.error_code in missing


def is_running(run_id: str) -> bool:
    """Whether there is such a run and nobody has closed it."""
    with reaching("give the run") as client:
        try:
            run = client.get_run(run_id)
        except MlflowException as error:
            if not is_missing(error):
                raise
            return False
        return bool(run.info.status == RunStatus.to_string(RunStatus.RUNNING))


def log(
    run_id: str,
    *,
    params: Mapping[str, Any] | None = None,
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, Any] | None = None,
) -> None:
    """Add parameters, metrics and tags to a run, in as few calls as MLflow allows."""
    stamp = int(time.time() * 1000)
    all_params = [Param(k, short_param(v)) for k, v in (params or {}).items()]
    all_metrics = [Metric(k, float(v), stamp, 0) for k, v in (metrics or {}).items()]
    all_tags = [RunTag(k, _short(v, _TAG_LENGTH)) for k, v in (tags or {}).items()]
    longest = max(len(all_params), len(all_metrics), len(all_tags))
    with reaching("take parameters and metrics") as client:
        for at in range(0, longest, _BATCH):
            block = slice(at, at + _BATCH)
            client.log_batch(
                run_id, metrics=all_metrics[block], params=all_params[block], tags=all_tags[block]
            )


def experiment_name(identifier: str) -> str:
    """The name of an experiment."""
    with reaching("give an experiment") as client:
        return str(client.get_experiment(identifier).name)


def short_param(value: Any) -> str:
    """A parameter's value as the store takes it."""
    return _short(value, _PARAM_LENGTH)


def _short(value: Any, limit: int) -> str:
    text = value if isinstance(value, str) else json.dumps(records.jsonable(value))
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def log_input(
    run_id: str, *, name: str, digest: str, source: str, schema: str, context: str
) -> None:
    """Note that a run used a dataset, as MLflow shows it."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    with reaching("note a dataset") as client:
        client.log_inputs(
            run_id,
            datasets=[
                DatasetInput(
                    # MLflow's column holds 36 characters; the whole digest stands in the tag.
                    Dataset(name, digest.removeprefix("sha256:")[:36], "local", source, schema),
                    [InputTag("mlflow.data.context", context), InputTag("mlops.digest", digest)],
                )
            ],
        )


def write_file(run_id: str, local: Path, folder: str = "") -> None:
    """Keep a local file, or a whole folder, as an artifact of the run."""
    with reaching("keep a file") as client:
        (client.log_artifacts if local.is_dir() else client.log_artifact)(
            run_id, str(local), folder or None
        )


def fetch(run_id: str, path: str, *, uri: str = "", anew: bool = False) -> Path:
    """An artifact as a local file: where it lies on this machine, else a copy that is kept.

    Parameters
    ----------
    uri : str
        Where the run's artifacts lie, where that is known already.
    anew : bool
        Do not rely on a copy that was kept before.

    Raises
    ------
    StoreUnreachable
        If the run has no such artifact, or its store does not answer.
    """
    with reaching(f"give the file {path} of run {run_id}") as client:
        place = urlparse(uri or str(client.get_run(run_id).info.artifact_uri))
        if place.scheme in ("", "file"):
            local = Path(unquote(place.path)) / path
            if not local.exists():
                raise FileNotFoundError(f"there is no {local}")
            return local
        copy = settings.load().state / "artifacts" / run_id / path
        if anew or not copy.exists():  # the artifacts of a step are written once
            copy.parent.mkdir(parents=True, exist_ok=True)
            mlflow.artifacts.download_artifacts(
                run_id=run_id, artifact_path=path, dst_path=str(copy.parent)
            )
        return copy


def read_json(run_id: str, path: str) -> Any:
    """A JSON artifact of a run."""
    return json.loads(fetch(run_id, path).read_text(encoding="utf-8"))


def get(run_id: str) -> MlflowRun:
    """A run by its id.

    Raises
    ------
    UnknownName
        If there is none.
    """
    with reaching("give the run") as client:
        try:
            return client.get_run(run_id)
        except MlflowException as error:
            if not is_missing(error):
                raise
            near = [str(r.info.run_id) for r in find(limit=20)]
            raise UnknownName("run", run_id, near) from error


def find(
    *,
    verb: str | None = None,
    but: str | None = None,
    experiment: str | None = None,
    tags: Mapping[str, str] | None = None,
    limit: int = 50,
) -> list[MlflowRun]:
    """The newest runs that match, newest first; with `but`, those of any verb but this."""
    with reaching("search its runs") as client:
        if experiment is not None:
            found = client.get_experiment_by_name(experiment)
            experiments = [found.experiment_id] if found else []
        else:
            experiments = [e.experiment_id for e in client.search_experiments()]
        if not experiments:
            return []
        wanted = {**({"mlops.verb": verb} if verb else {}), **(tags or {})}
        conditions = " and ".join(
            [
                *(f"tags.`{k}` = '{_quote(v)}'" for k, v in wanted.items()),
                *([f"tags.`mlops.verb` != '{_quote(but)}'"] if but else []),
            ]
        )
        return list(
            client.search_runs(
                experiments,
                filter_string=conditions,
                max_results=limit,
                order_by=["attributes.start_time DESC"],
            )
        )


def _quote(value: str) -> str:
    if "'" in value:
        raise UnknownName("run with the tag", value, [])
    return value
