"""A store of its own beside the user's: what is run there again leaves no trace in theirs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from mlops_magics import records, settings
from mlops_magics.store import datasets, opening, runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun


class Aside:
    """A fresh store in a folder, seeded with recorded datasets, read without leaving the user's.

    Parameters
    ----------
    folder : Path
        Empty; all that the store keeps lies in it.

    Attributes
    ----------
    environment : dict
        Variables with which another process works in it.
    """

    def __init__(self, folder: Path) -> None:
        from mlflow import MlflowClient

        self.uri = f"sqlite:///{folder / 'mlflow.db'}"
        self._artifacts = str(folder / "artifacts")
        self.environment = {
            "MLOPS_TRACKING_URI": self.uri,
            "MLOPS_ARTIFACTS": self._artifacts,
            "MLOPS_STATE": str(folder / "state"),
            # What the code itself asks of MLflow goes there too.
            "MLFLOW_TRACKING_URI": self.uri,
            "MLFLOW_REGISTRY_URI": self.uri,
        }
        opening.prepare(settings.load(tracking_uri=self.uri, artifacts=self._artifacts))
        self._client: MlflowClient = MlflowClient(self.uri, self.uri)

    def seed(self, run_id: str) -> str:
        """Copy the dataset that a `prepare` run of the user's store recorded; its id here."""
        run = runs.get(run_id)
        name = run.data.tags["mlops.dataset"]
        found = self._client.get_experiment_by_name(name)
        experiment = found or self._client.get_experiment(
            self._client.create_experiment(name, f"{self._artifacts}/{name}")
        )
        copy = self._client.create_run(
            experiment.experiment_id,
            start_time=run.info.start_time,
            run_name=name,
            tags={k: v for k, v in run.data.tags.items() if k.startswith("mlops.")},
        )
        target = _local(copy) / datasets.FOLDER
        shutil.copytree(runs.fetch(run_id, datasets.FOLDER), target)
        file = target / datasets.RECORD
        body = json.loads(file.read_text(encoding="utf-8"))
        body = {**body, "run_id": copy.info.run_id}
        file.write_text(json.dumps(records.jsonable(body)), encoding="utf-8")
        self._client.set_terminated(copy.info.run_id, runs.STATUS["finished"])
        return str(copy.info.run_id)

    def run(self, run_id: str) -> MlflowRun:
        """A run of this store."""
        return self._client.get_run(run_id)

    def json(self, run_id: str, path: str) -> Any:
        """A JSON artifact of a run of this store; ``None`` if the run has none."""
        file = _local(self.run(run_id)) / path
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None

    def model(self, run_id: str) -> Path | None:
        """The folder of the model that a run of this store registered."""
        found = self._client.search_model_versions(f"run_id = '{run_id}'")
        if not found:
            return None
        uri = self._client.get_model_version_download_uri(found[0].name, found[0].version)
        return Path(unquote(urlparse(uri).path))


def prepared(run: MlflowRun) -> Iterator[str]:
    """The `prepare` runs that a run builds on, nearest first."""
    todo, seen = [run], set()
    while todo:
        for run_id in todo.pop(0).data.tags.get("mlops.follows", "").split():
            if run_id in seen:
                continue
            seen.add(run_id)
            earlier = runs.get(run_id)
            if earlier.data.tags.get("mlops.verb") == "prepare":
                yield run_id
                todo.append(earlier)


def _local(run: MlflowRun) -> Path:
    return Path(unquote(urlparse(str(run.info.artifact_uri)).path))
