"""Models on their way into the store: saved on this machine first, registered from there."""

from __future__ import annotations

import importlib
import inspect
import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow.entities import LoggedModelOutput
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode

from mlops_magics import flavors
from mlops_magics.store import runs, versions

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

_ARTIFACT = "model"


def save(
    folder: Path,
    model: Any,
    flavor: flavors.Flavor,
    *,
    signature: ModelSignature | None,
    input_example: Any,
    facts: Mapping[str, Any],
) -> dict[str, str]:
    """Save a model in MLflow's format; the store is not asked.

    The requirements are given: MLflow's own inference imports the model in a second process,
    which takes most of its time.

    Parameters
    ----------
    facts : mapping
        What the flavor observed of the model; kept in its ``MLmodel`` file.

    Returns
    -------
    dict
        Tags for its version: ``mlops.digest`` over the files, and what the flavor notes.
    """
    with tempfile.TemporaryDirectory(prefix="mlops-") as scratch:
        saving = flavor.saving(model, Path(scratch))
        metadata = {**saving.metadata, **facts}
        known = {"signature": signature, "input_example": input_example}
        save_model = importlib.import_module(f"mlflow.{saving.module}").save_model
        accepted = inspect.signature(save_model).parameters
        newer = {k: v for k, v in saving.newer.items() if k in accepted}
        with _quiet(f"mlflow.{saving.module}"):
            save_model(
                path=str(folder),
                pip_requirements=flavor.packages(model),
                metadata=metadata or None,
                **(known if saving.signs else {}),
                **saving.arguments,
                **newer,
            )
    if not saving.signs:
        _sign(folder, signature, input_example)
    for compiled in list(folder.rglob("__pycache__")):
        shutil.rmtree(compiled)
    noted = {k: str(v) for k, v in metadata.items() if k.startswith("mlops.")}
    size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    return {**noted, "mlops.digest": flavors.digest(folder), "mlops.size": str(size)}


def _sign(folder: Path, signature: ModelSignature | None, input_example: Any) -> None:
    """Add to a saved model what its framework's module would not take."""
    from mlflow.models.utils import _save_example

    saved = Model.load(str(folder))
    saved.signature = signature
    if input_example is not None:
        _save_example(saved, input_example, str(folder))
    saved.save(str(folder / "MLmodel"))


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Keep back MLflow's general warning about pickle; ours names the model's own reason."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def register(
    run_id: str,
    name: str,
    folder: Path,
    *,
    tags: Mapping[str, str],
    params: Mapping[str, str],
    again: bool = False,
) -> tuple[versions.Version, str]:
    """Make a saved model the run's output and a version of `name`.

    Parameters
    ----------
    params : mapping
        What MLflow shows beside the model.
    again : bool
        This was begun before and may have been done in part: what is there is taken up.

    Returns
    -------
    version : Version
    model_id : str
        MLflow's id of the logged model.
    """
    client = runs.connect()
    if again and (done := _registered(client, run_id, tags["mlops.digest"])):
        return done
    logged = _logged_before(client, run_id) if again else None
    if logged is None:
        experiment = client.get_run(run_id).info.experiment_id
        logged = client.create_logged_model(
            experiment, _ARTIFACT, source_run_id=run_id, params=dict(params)
        )
    if not again or not _is_output(client, run_id, logged.model_id):
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, "READY")
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise
    version = client.create_model_version(
        name,
        source=f"models:/{logged.model_id}",
        run_id=run_id,
        model_id=logged.model_id,
        tags=dict(tags),
    )
    return versions.of_mlflow(version), str(logged.model_id)


def _registered(
    client: MlflowClient, run_id: str, digest: str
) -> tuple[versions.Version, str] | None:
    for found in client.search_model_versions(f"run_id = '{run_id}'"):
        if found.tags.get("mlops.digest") == digest:
            return versions.of_mlflow(found), str(found.source).removeprefix("models:/")
    return None


def _logged_before(client: MlflowClient, run_id: str) -> Any:
    experiment = client.get_run(run_id).info.experiment_id
    found = client.search_logged_models([experiment], filter_string=f"source_run_id = '{run_id}'")
    # The user's own `log_model` calls leave models of the same run, by other names.
    return next((m for m in found if m.name == _ARTIFACT and m.status != "READY"), None)


def _is_output(client: MlflowClient, run_id: str, model_id: str) -> bool:
    outputs = client.get_run(run_id).outputs
    return any(o.model_id == model_id for o in (outputs.model_outputs if outputs else []))
