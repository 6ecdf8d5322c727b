"""`deploy`, `undeploy` and `predict`: a model that answers, wherever it was put."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mlops_magics import evidence, records, store, targets
from mlops_magics.errors import BadData, StepFailed, WrongUsage
from mlops_magics.records import Deployment, Prediction
from mlops_magics.verbs import packaged, releasing, replacing
from mlops_magics.verbs.declaration import Data, DeploymentName, Model, verb
from mlops_magics.verbs.options import Option
from mlops_magics.verbs.steps import step

if TYPE_CHECKING:
    import pandas as pd


log = logging.getLogger("mlops_magics")


@verb()
def deploy(
    model: Model,
    *,
    to: str = "local",
    name: str = "",
    port: int = 0,
    canary: str = "",
    shadow: bool = False,
    goals: str = "",
    options: Annotated[Mapping[str, str], Option(("-o", "--option"))] = {},
) -> Deployment:
    """Make a model answer over HTTP, and test that it does.

    The model is packaged first, unless its package is there. The deployment speaks MLflow's
    scoring protocol, keeps requests and answers for ``monitor``, and outlives the notebook. A
    deployment of the same name is replaced: the new one answers before the old one stops.

    A canary or a shadow is a second version beside the one that is deployed, which goes on.
    ``status`` compares both; when the second one breaks its goals it is ended. Deployed once more,
    without either, it takes the first one's place.

    Parameters
    ----------
    model : model
        The version, for example ``credit@champion``; a package or its folder works too.
    to : str
        The target.
    name : str, optional
        The deployment's name; by default the model's.
    port : int
        The port; 0 keeps that of the deployment of this name, or takes a free one.
    canary : str, optional
        The share of requests that the version answers beside the deployed one: ``10%``. Who says
        who they are (``x-client-id``, ``x-mlops-key``) always get the same of both; what the
        canary does not answer, the deployed one does.
    shadow : bool
        The version gets a copy of each request; its answers are compared and go nowhere.
    goals : str or file, optional
        What a canary or shadow must hold, one a line: ``error_rate <= 2%``,
        ``p95_latency <= champion + 50 ms`` (these two if nothing is said; ``champion`` is the
        deployed one), ``requests >= 20``: how many must have come before.
    options : mapping
        What the target is told besides, each a name and a value: ``-o replicas 3``.

    Returns
    -------
    Deployment

    Raises
    ------
    UnknownName
        If there is no such version or target, or the target has no such option.
    WrongUsage
        If the port is taken, or there is no deployment for a canary or shadow to stand beside.
    BadGoal
        If a goal can't be read.
    StepFailed
        If it does not come up or fails its smoke test; nothing new is left running then.
    """
    split = releasing.asked(canary, shadow, goals, options)
    if split is not None:
        return releasing.release(model, name, split, to, port)
    target = targets.state.target(to)
    target.check(options)
    package = packaged.of(model, target.takes)
    model_name = package.model.rpartition("/")[0]
    name = store.versions.check_name(name or model_name)
    arguments = {"model": package.model, "to": to, "name": name, "port": port}
    arguments |= {"options": dict(options)}
    follows = [packaged.trained(package), package.run_id]
    with (
        targets.state.changing(name),
        step("deploy", experiment=model_name, arguments=arguments, follows=follows) as current,
    ):
        asked = replacing.Asked(package, name, port, options, current.run_id)
        record = replacing.replace(target, asked)
        current.tags({"mlops.model": package.model, "mlops.deployment": name})
        current.json("deployment.json", record)
        current.summary = {"model": package.model, "deployment": name, "url": record.url}
    return record


@verb()
def undeploy(name: DeploymentName, *, canary: bool = False) -> Deployment:
    """Stop a deployment; its record and what it captured stay.

    Parameters
    ----------
    name : deployment
    canary : bool
        End only the canary or shadow beside it.

    Returns
    -------
    Deployment
        With the status ``stopped``.

    Raises
    ------
    UnknownName
        If there is no such deployment.
    WrongUsage
        If there is no canary to end.
    """
    with targets.state.changing(targets.state.find(name).name):
        deployment = targets.state.find(name)
        if canary:
            if not deployment.canary:
                raise WrongUsage(
                    f"The deployment {name!r} has no canary and no shadow.",
                    f"Leave out --canary to stop {deployment.model}.",
                )
            return releasing.end(deployment)
        if deployment.status == "stopped":
            return deployment
        model_name = deployment.model.rpartition("/")[0]
        follows = [deployment.run_id]
        with step(
            "undeploy", experiment=model_name, arguments={"name": name}, follows=follows
        ) as current:
            stopped = targets.state.target(deployment.target).undeploy(deployment)
            record = dataclasses.replace(stopped, run_id=current.run_id)
            targets.state.save(record)
            current.tags({"mlops.model": deployment.model, "mlops.deployment": name})
            current.json("deployment.json", record)
            current.summary = {"model": deployment.model, "deployment": name}
    return record


@verb()
def predict(name: DeploymentName, data: Data, *, probabilities: bool = False) -> Prediction:
    """Ask a deployment.

    Parameters
    ----------
    name : deployment
    data : data
        The rows to predict; columns that the model does not know are ignored. On the command
        line also JSON: ``'{"Age": 30, "Income": 129}'``. A prepared dataset gives its test rows.
    probabilities : bool
        Ask a classifier for the probability of each class.

    Returns
    -------
    Prediction
        One value a row; with `probabilities` a mapping of class to probability.

    Raises
    ------
    UnknownName
        If there is no such deployment or data.
    BadData
        If the deployment refuses the data; says which column and why.
    StepFailed
        If the deployment is down or fails.
    """
    import httpx

    from mlops_magics.serving import client

    deployment = _up(name)
    target = targets.state.target(deployment.target)
    body = client.body(_table(data), probabilities=probabilities)
    try:
        reply = target.ask(deployment, body, client_id="mlops predict")
    except httpx.HTTPError as error:
        # It was up a moment ago: it is down now, or was replaced and answers elsewhere.
        before, deployment = deployment, _up(name)
        if deployment.url == before.url:
            raise StepFailed(
                f"The deployment {name!r} did not answer ({type(error).__name__}: {error})."
            ) from error
        reply = target.ask(deployment, body, client_id="mlops predict")
    if reply.status >= 500:
        raise StepFailed(
            f"The deployment {name!r} failed: {reply.message}", f"Request {reply.request_id}."
        )
    if reply.status != 200:
        raise BadData(f"The deployment {name!r} refuses the data: {reply.message}")
    if deployment.capture:
        client.settle(deployment.url)  # so that `monitor` in the next line sees these rows
    return Prediction(
        deployment=name,
        model=reply.model or deployment.model,
        predictions=tuple(_by_class(reply.content) if probabilities else _plain(reply.content)),
        request_id=reply.request_id,
        latency_ms=round(reply.latency_ms, 3),
    )


def _table(data: Any) -> pd.DataFrame:
    """The rows to ask for."""
    if isinstance(data, str) and data.lstrip()[:1] in ("{", "["):
        try:
            data = json.loads(data)
        except ValueError as error:
            raise BadData(f"The data is not valid JSON: {error}.") from error
    if isinstance(data, Mapping) and not any(isinstance(v, list) for v in data.values()):
        data = [dict(data)]  # one row
    if isinstance(data, str) and not Path(data).suffix and data in store.datasets.names():
        data = store.datasets.find(data)
    if isinstance(data, records.Dataset):
        _, test = store.datasets.frames(data)
        return test.drop(columns=[data.target] if data.target else [])
    return evidence.tables.read(data)


def _up(name: str) -> Deployment:
    """The deployment, if it is up; else why not, and the way out."""
    deployment = targets.state.find(name)
    if deployment.status == "up":
        return deployment
    bring_up = f"Bring it up: mlops deploy {deployment.model} --name {deployment.name}."
    if deployment.status == "stopped":
        raise StepFailed(f"The deployment {name!r} is stopped.", bring_up)
    raise StepFailed(f"The deployment {name!r} is down: {deployment.reason}", bring_up)


def _plain(content: Any) -> list[Any]:
    found = content.get("predictions") if isinstance(content, Mapping) else content
    return found if isinstance(found, list) else [found]


def _by_class(content: Mapping[str, Any]) -> list[dict[str, float]]:
    names = [str(c) for c in content["classes"]]
    return [dict(zip(names, row, strict=True)) for row in content["predictions"]]
