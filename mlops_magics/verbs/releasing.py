"""A second version beside a deployed one: how it is asked for, put there, and ended."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics import flavors, goals, targets
from mlops_magics.errors import WrongUsage
from mlops_magics.records import Deployment, Package
from mlops_magics.targets.base import Split
from mlops_magics.targets.plans import CANARY, SHADOW, Goal
from mlops_magics.verbs import goal_texts, packaged
from mlops_magics.verbs.steps import step

if TYPE_CHECKING:
    from mlops_magics.goals.goal import Goal as Line
    from mlops_magics.targets.base import Target

#: What a second version must hold, if nobody says otherwise; ``champion`` is the deployed one.
USUAL = "error_rate <= 2%\np95_latency <= champion + 50 ms"
#: Metric of the goal language → the figure, and what one of its unit is in the figure's.
FIGURES = {
    "error_rate": ("error_rate", 1.0),
    "p50_latency": ("p50_ms", 1000.0),
    "p95_latency": ("p95_ms", 1000.0),
    "p99_latency": ("p99_ms", 1000.0),
}


def asked(canary: str, shadow: bool, text: str, options: Mapping[str, str]) -> Split | None:
    """What the arguments of `deploy` say; ``None`` if they ask for no second version.

    Raises
    ------
    WrongUsage
        If they contradict each other, or the share is none.
    BadGoal
        If a goal can't be read.
    """
    if canary and shadow:
        raise WrongUsage(
            "A second version is a canary, which answers some clients, or a shadow, which answers "
            "none.",
            "Say --canary 10% or --shadow.",
        )
    if not (canary or shadow):
        if text:
            raise WrongUsage(
                "Goals of `deploy` are for a second version.",
                "Add --canary 10% or --shadow; `validate` judges a version before it is deployed.",
            )
        return None
    held, least = _goals(goal_texts.read(text) if text else USUAL)
    kind, share = (CANARY, _share(canary)) if canary else (SHADOW, 1.0)
    found = Split(kind=kind, share=share, goals=held, options=dict(options))
    return dataclasses.replace(found, least=least) if least else found


def release(model: Any, name: str, split: Split, to: str, port: int) -> Deployment:
    """Put a second version beside a deployed one, as a step.

    Raises
    ------
    WrongUsage
        If there is none that is up, its target can't have a second version, or the model wants
        other inputs.
    StepFailed
        If it does not come up or fails its smoke test; the deployed one goes on alone then.
    """
    name = name or packaged.name(model)
    target, _ = _stands(name, split, to, port)
    target.check(split.options)
    package = packaged.of(model, target.takes)
    arguments = {"model": package.model, "name": name, split.kind: split.share}
    arguments |= {"goals": [goal.text for goal in split.goals], "options": dict(split.options)}
    with targets.state.changing(name):
        target, deployment = _stands(name, split, to, port)
        _check_inputs(deployment, package, split.kind)
        follows = [packaged.trained(package), package.run_id, deployment.run_id]
        with step(
            "deploy",
            experiment=package.model.rpartition("/")[0],
            arguments=arguments,
            follows=follows,
        ) as current:
            record = target.split(deployment, package, split)
            targets.state.save(record)
            current.tags({"mlops.model": package.model, "mlops.deployment": name})
            current.tags({"mlops.canary": split.kind})
            current.json("deployment.json", record)
            current.summary = {"model": package.model, "deployment": name, "url": record.url}
            current.summary[split.kind] = f"{split.share:.0%} beside {deployment.model}"
    return record


def _stands(name: str, split: Split, to: str, port: int) -> tuple[Target, Deployment]:
    """The deployment that a second version is to stand beside, and its target.

    Raises
    ------
    WrongUsage
        If there is none that is up, or its target can't have a second version.
    """
    known = targets.state.names()
    found = targets.state.find(name) if name in known else None
    if found is None or found.status != "up":
        how = f"is {found.status}" if found else "does not exist"
        raise WrongUsage(
            f"A {split.kind} stands beside a deployment that is up, and {name!r} {how}.",
            f"Deploy the present version first: mlops deploy MODEL --name {name}.",
        )
    if port:
        raise WrongUsage(
            f"A {split.kind} has no port of its own: clients ask {found.url}.", "Leave out --port."
        )
    if to not in ("local", found.target):
        raise WrongUsage(
            f"The deployment {name!r} is on {found.target}, and so is its {split.kind}.",
            "Leave out --to.",
        )
    target = targets.state.target(found.target)
    if not target.can_split:
        raise WrongUsage(
            f"The target {target.to} can't share requests between two versions.",
            "Deploy the new version whole.",
        )
    return target, found


def _check_inputs(deployed: Deployment, package: Package, kind: str) -> None:
    """Refuse a second version that wants other inputs: what clients send must fit both.

    Raises
    ------
    WrongUsage
        Names the first difference.
    """
    ours, theirs = (_inputs(Path(place)) for place in (deployed.package, package.path))
    if ours == theirs:
        return
    for name in [*ours, *theirs]:
        if name not in theirs:
            how = f"does not know {name!r}, which {deployed.model} takes"
        elif name not in ours:
            how = f"takes {name!r}, which {deployed.model} does not know"
        elif ours[name] != theirs[name]:
            how = f"takes {name!r} as {theirs[name]}, {deployed.model} as {ours[name]}"
        else:
            continue
        raise WrongUsage(
            f"{package.model} can't be the {kind} of {deployed.name!r}: it {how}.",
            f"Deploy it under another name, and let clients ask that: --name {deployed.name}-2.",
        )


def end(deployment: Deployment, reason: str = "") -> Deployment:
    """End the second version of a deployment, as a step; no error if there is none."""
    if not deployment.canary:
        return deployment
    how = f"the {deployment.canary['kind']} ended"
    with _ending(deployment, how, reason or deployment.canary["reason"]):
        record = targets.state.target(deployment.target).unsplit(deployment)
        targets.state.save(record)
    return record


def keep_stopped(deployment: Deployment) -> Deployment:
    """Put into the history that a supervisor stopped a second version, if it did since."""
    if deployment.canary.get("status") != "stopped":
        return deployment
    with targets.state.changing(deployment.name):
        now, before = targets.state.find(deployment.name), targets.state.written(deployment.name)
        if now.canary.get("status") == "stopped" != before.canary.get("status"):
            second = now.canary
            how = f"the {second['kind']} was stopped by the supervisor at {second['at']}"
            with _ending(now, how, second["reason"]):
                targets.state.save(now)
    return now


@contextmanager
def _ending(deployment: Deployment, how: str, reason: str) -> Iterator[None]:
    """The step in which a second version ends."""
    second = deployment.canary
    with step(
        "undeploy",
        experiment=deployment.model.rpartition("/")[0],
        arguments={"name": deployment.name, "canary": True},
        follows=[deployment.run_id],
    ) as current:
        yield
        current.tags({"mlops.model": second["model"], "mlops.deployment": deployment.name})
        current.tags({"mlops.canary": second["kind"]})
        current.json("canary.json", second)
        current.summary = {"model": second["model"], "deployment": deployment.name, "canary": how}
        if reason:
            current.summary["reason"] = reason


def _share(text: str) -> float:
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*", str(text))
    percent = float(found[1]) if found else 0.0
    if found is None or (not found[2] and 0 < percent < 1):
        raise WrongUsage(f"{text!r} is no share of the requests.", "For example --canary 10%.")
    if not 0 < percent < 100:
        what = "answers nobody" if percent == 0 else "is no canary"
        raise WrongUsage(
            f"A canary of {percent:g}% {what}: the share lies between 0% and 100%.",
            "Leave out --canary to deploy the version whole."
            if percent
            else "For example --canary 10%; a --shadow answers nobody.",
        )
    return percent / 100


def _goals(text: str) -> tuple[tuple[Goal, ...], int]:
    """The goals, and how many requests must have come before they are looked at (0: as usual)."""
    held, least = [], 0
    for line in goals.grammar.parse(text):
        if line.metric == "requests" and line.at_least and not line.reference:
            least = int(line.bound)
        else:
            held.append(_goal(line))
    return tuple(held), least


def _goal(line: Line) -> Goal:
    plain = not (line.by or line.spread or line.under or line.level or line.params)
    if line.metric not in FIGURES or line.at_least or not plain or line.reference == "baseline":
        raise WrongUsage(
            f"The goal {line.text!r} can't be looked at while a second version answers.",
            f"It is {', '.join(FIGURES)} <= a number, or for a latency <= champion + 50 ms; and "
            "requests >= 50 says how many must have come before.",
        )
    figure, times = FIGURES[line.metric]
    return Goal(line.text, figure, line.bound * times, relative=line.reference == "champion")


def _inputs(package: Path) -> dict[str, str]:
    from mlops_magics.serving import manifest

    inputs = flavors.folder.read(package / manifest.MODEL).inputs
    return {str(one.name): f"{one.type}{list(one.shape) if one.shape else ''}" for one in inputs}
