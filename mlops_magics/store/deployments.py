"""MLflow's deployment plugins: SageMaker, Databricks, Azure ML and whoever else has one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_magics.errors import BadData, MlopsError, StepFailed, UnknownName
from mlops_magics.store import runs


def plugins() -> list[str]:
    """The names of the installed plugins, also of those installed a moment ago."""
    from mlflow.deployments import interface

    interface.plugin_store.register_entrypoints()
    return sorted(interface.plugin_store.registry)


def rows(body: Mapping[str, Any], model: Path) -> Any:
    """A body of the scoring protocol as MLflow's own server gives it to a model of that folder.

    Raises
    ------
    BadData
        If it does not fit the model's signature.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.models import Model
    from mlflow.pyfunc import scoring_server

    schema = Model.load(str(model)).get_input_schema()
    try:
        return scoring_server.infer_and_parse_data(dict(body), schema=schema)
    except MlflowException as error:
        raise BadData(f"The model can't be asked that: {error.message}.") from error


@dataclass(frozen=True)
class Plugin:
    """A plugin at a place of its own.

    Parameters
    ----------
    uri : str
        As `mlflow.deployments.get_deploy_client` takes it: ``sagemaker:/us-east-1``.

    Notes
    -----
    Arguments that nobody gave are not passed: plugins older than MLflow 1.27 know no `endpoint`.
    """

    uri: str

    def create(self, name: str, model: str, options: Mapping[str, str]) -> str:
        """Deploy a model that nothing has that name for; the name that the plugin gives it."""
        with self._doing("deploy") as client:
            made = client.create_deployment(name=name, model_uri=model, **_keywords(options))
        return str(made.get("name", name)) if isinstance(made, Mapping) else name

    def update(self, name: str, model: str, options: Mapping[str, str]) -> None:
        """Give a deployment another model."""
        with self._doing("update the deployment") as client:
            client.update_deployment(name=name, model_uri=model, **_keywords(options))

    def delete(self, name: str, options: Mapping[str, str]) -> None:
        """End a deployment."""
        with self._doing("end the deployment") as client:
            client.delete_deployment(name=name, **_endpoint(options))

    def names(self, options: Mapping[str, str]) -> list[str]:
        """The names of what is deployed."""
        with self._doing("name its deployments") as client:
            found = client.list_deployments(**_endpoint(options))
        return [str(d.get("name", "")) if isinstance(d, Mapping) else str(d) for d in found]

    def facts(self, name: str, options: Mapping[str, str]) -> dict[str, Any]:
        """What the plugin knows of a deployment."""
        with self._doing("tell of the deployment") as client:
            return dict(client.get_deployment(name=name, **_endpoint(options)))

    def predict(self, name: str, rows: Any, options: Mapping[str, str]) -> Any:
        """What a deployment predicts; a list, number, array or table as the plugin has it."""
        with self._doing("predict") as client:
            answer = client.predict(deployment_name=name, inputs=rows, **_endpoint(options))
        return answer.get("predictions", answer) if isinstance(answer, dict) else answer

    @contextmanager
    def _doing(self, what: str) -> Iterator[Any]:
        """A client, whose refusals are the step's."""
        from mlflow.deployments import get_deploy_client

        name = self.uri.partition(":")[0]
        if name not in plugins():
            raise UnknownName(
                "MLflow deployments plugin", name, plugins(), "Others are installed with pip."
            )
        runs.connect()  # a plugin fetches the model from the store that the settings name
        try:
            yield get_deploy_client(self.uri)
        except MlopsError:
            raise
        except Exception as error:  # a plugin may raise anything
            said = str(error).strip().splitlines() or [type(error).__name__]
            raise StepFailed(
                f"The MLflow plugin {name!r} did not {what}: {said[0][:300].rstrip('.')}.",
                f"`mlflow deployments help -t {name}` tells what it needs.",
            ) from error


def _endpoint(options: Mapping[str, str]) -> dict[str, Any]:
    return {"endpoint": options["endpoint"]} if "endpoint" in options else {}


def _keywords(options: Mapping[str, str]) -> dict[str, Any]:
    config = {k: v for k, v in options.items() if k not in ("endpoint", "flavor")}
    flavor = {"flavor": options["flavor"]} if "flavor" in options else {}
    return {"config": config, **flavor, **_endpoint(options)}
