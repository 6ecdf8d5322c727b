"""`rollback`: the alias, and what is deployed from it, back to what it was before."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from mlops_magics import evidence, records, store, targets
from mlops_magics.errors import MlopsError, StepFailed, UnknownName, WrongUsage
from mlops_magics.records import Rollback
from mlops_magics.verbs import deploying, moves, releasing
from mlops_magics.verbs.declaration import verb
from mlops_magics.verbs.options import Option
from mlops_magics.verbs.steps import step

if TYPE_CHECKING:
    from mlops_magics.records import Deployment
    from mlops_magics.store.versions import Version

log = logging.getLogger("mlops_magics")


@verb()
def rollback(
    name: str,
    *,
    message: Annotated[str, Option(("-m", "--message"))] = "",
    alias: str = "champion",
) -> Rollback:
    """Put an alias, and what is deployed from it, back to what it was before.

    What it was before stands in the history; a second rollback goes one step further back. Each
    deployment of the present version is replaced by the earlier one, on its port, and tested;
    then the alias moves, and where the present version is a canary or a shadow, that ends. If a
    deployment does not come up, all are as they were before. Those that the history has on other
    machines can't be reached from here, and are named.

    A rollback is the emergency exit: it needs a reason, and neither a verdict nor an approval.

    Parameters
    ----------
    name : str
        The model's name.
    message : str
        Why; it stands in the history.
    alias : str
        The alias that goes back.

    Returns
    -------
    Rollback

    Raises
    ------
    UnknownName
        If there is no such model or alias.
    WrongUsage
        If no reason is given.
    NotIntact
        If the earlier version's files were changed.
    StepFailed
        If there is nothing to go back to, or a deployment does not come up with the earlier
        version; nothing has changed then.
    """
    if not message.strip():
        raise WrongUsage("A rollback needs its reason.", f"Say why: rollback {name} -m WHY.")
    with store.locks.alone(f"aliases-{name}"):
        now, before = _places(name, alias)
        store.versions.local_path(before)  # its files are those that were trained
        running = [d for d in targets.state.all() if d.status != "stopped"]
        affected = [d for d in running if d.model == now.ref]
        beside = [d for d in running if d.canary.get("model") == now.ref and d not in affected]
        arguments = {"name": name, "alias": alias, "message": message}
        with step(
            "rollback",
            experiment=name,
            arguments=arguments,
            follows=[now.run_id, before.run_id],
        ) as current:
            moved = _redeployed(affected, now, before)
            record = Rollback(
                name=name,
                alias=alias,
                version=before.ref,
                previous=now.ref,
                actor=current.who["actor"],
                at=records.now(),
                reason=message.strip(),
                deployments=(*moved, *(_ended(d) for d in beside)),
                run_id=current.run_id,
                warnings=tuple(_elsewhere(name, now)),
            )
            current.json(moves.ROLLBACK, record)
            current.tags({"mlops.model": before.ref, "mlops.alias": alias})
            current.summary = {
                "model": before.ref,
                "alias": alias,
                "previous": now.ref,
                "reason": record.reason,
                "deployments": ", ".join(d["name"] for d in record.deployments),
            }
            try:
                store.versions.set_alias(name, alias, before.number)
            except MlopsError:
                _put_back(affected, now)
                raise
        for deployment in beside:
            with targets.state.changing(deployment.name):
                releasing.end(targets.state.find(deployment.name), message.strip())
    return record


def _places(name: str, alias: str) -> tuple[Version, Version]:
    """The version that the alias names now, and the one before."""
    versions = store.versions.of(name)
    if not versions:
        raise UnknownName("model", name, store.versions.names())
    by_alias = {a: v for v in versions for a in v.aliases}
    if alias not in by_alias:
        raise UnknownName(f"alias of model {name}", alias, by_alias)
    now = by_alias[alias]
    stack = moves.standing(name, alias)
    if stack[-1:] == [now.ref]:
        stack.pop()  # else it was moved by other means, and goes back to what the history has
    by_ref = {v.ref: v for v in versions}
    while stack and stack[-1] not in by_ref:
        stack.pop()  # that version was deleted
    if not stack:
        raise StepFailed(
            f"There is nothing to go back to: no version was {alias} of {name} before {now.ref}.",
            f"Promote another one, or stop what is deployed: `mlops undeploy {name}`.",
        )
    return now, by_ref[stack[-1]]


def _elsewhere(name: str, version: Version) -> list[str]:
    """Deployments of the version that, by the history, still run on other machines."""
    here = evidence.environment.who()["host"]
    running: dict[tuple[str, str], str] = {}
    for run in store.ledger.steps(name, "deploy", "undeploy"):
        tags = run.data.tags
        place = (tags.get("mlops.deployment", ""), tags.get("mlops.host", ""))
        if tags.get("mlops.status") != "finished" or not place[0] or "mlops.canary" in tags:
            continue
        if tags["mlops.verb"] == "deploy":
            running[place] = tags.get("mlops.model", "")
        elif tags["mlops.verb"] == "undeploy":
            running.pop(place, None)
    return [
        f"The deployment {deployment!r} on {host} has {version.ref} by the history: roll it back "
        f"there (deploy {name}@champion --name {deployment})."
        for (deployment, host), ref in running.items()
        if ref == version.ref and host != here
    ]


def _redeployed(
    affected: list[Deployment], now: Version, before: Version
) -> tuple[dict[str, Any], ...]:
    """Every deployment of the present version with the earlier one in its place."""
    done: list[Deployment] = []
    moved = []
    for deployment in affected:
        log.info("Putting %s in the place of %s in %s", before.ref, now.ref, deployment.name)
        try:
            new = _deploy(deployment, before)
        except BaseException as error:
            _put_back(done, now)
            if not isinstance(error, MlopsError):
                raise
            raise StepFailed(
                f"{_called(deployment)} did not come up with {before.ref}, so nothing was rolled "
                f"back: {error.message}",
                error.hint,
            ) from error
        done.append(deployment)
        moved.append({"name": deployment.name, "from": now.ref, "to": before.ref, "url": new.url})
    return tuple(moved)


def _ended(deployment: Deployment) -> dict[str, Any]:
    """A deployment that goes on without the second version beside it."""
    second = f"{deployment.canary['model']} ({deployment.canary['kind']})"
    facts = {"from": second, "to": deployment.model, "url": deployment.url}
    return {"name": deployment.name, **facts}


def _called(deployment: Deployment) -> str:
    """As sentences call it."""
    return f"The deployment {deployment.name!r}"


def _deploy(deployment: Deployment, version: Version) -> Deployment:
    port = urlsplit(deployment.url).port or 0
    return deploying.deploy(
        version.ref,
        to=deployment.target,
        name=deployment.name,
        port=port,
        options=deployment.options,
    )


def _put_back(deployments: list[Deployment], version: Version) -> None:
    for deployment in deployments:
        with contextlib.suppress(MlopsError):
            _deploy(deployment, version)
