"""Deployments on small machines: a bundle in a folder, or on each device of a list."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mlops_magics import records
from mlops_magics.errors import WrongUsage
from mlops_magics.records import Deployment, Package
from mlops_magics.targets.base import NONE, Target
from mlops_magics.targets.edge import asking, devices, fleet, releases
from mlops_magics.targets.edge.devices import Device, DeviceFailed
from mlops_magics.targets.edge.releases import Release

if TYPE_CHECKING:
    from mlops_magics.serving.client import Reply

#: Releases that stay on a device where nobody says otherwise.
KEEP = 3


class EdgeTarget(Target):
    """A bundle with an ONNX graph, pushed to where it runs."""

    name = "edge"
    takes = "onnx"
    replaces = True
    options: ClassVar[Mapping[str, str]] = {
        "folder": "a folder of this machine, a mounted disk for example",
        "devices": "a file with a device a line (user@host, ssh://user@host:port/path), or a list",
        "path": "the folder on the devices, from the user's home folder (mlops/NAME)",
        "ssh-config": "a file for ssh -F",
        "python": "the Python on the devices (python3)",
        "keep": f"how many releases stay on a device ({KEEP})",
        "partial": "yes goes on without the devices that fail",
    }

    def deploy(
        self,
        package: Package,
        *,
        name: str,
        port: int = 0,
        capture: Path | None = None,
        options: Mapping[str, str] = NONE,
    ) -> Deployment:
        """Send it to all, check it on all, then make it current on each; or nothing at all.

        Nothing is captured: what a device is asked stays on the device.
        """
        if port:
            raise WrongUsage(
                "A bundle at the edge has no port: its runner reads rows and writes answers.",
                "Leave --port out.",
            )
        listed = devices.of(options, name)
        release = Release.of(package, name)
        rollout = fleet.roll_out(
            listed, release, partial=_is_yes(options), keep=_number(options, "keep", KEEP)
        )
        reached = list(rollout.reached)
        untested = [d.name for d, sent in rollout.reached.items() if not sent.answered]
        warnings = [f"Left out: {device.name} {why}." for device, why in rollout.failed.items()]
        if untested:
            warnings.append(
                f"Not smoke-tested, only its files' digests were checked, as Python with numpy and "
                f"onnxruntime is missing there: {', '.join(untested)}."
            )
        return Deployment(
            name=name,
            model=package.model,
            target=self.to,
            url=reached[0].url,
            status="up",
            started=records.now(),
            package=package.path,
            details={
                "release": release.name,
                "devices": [dataclasses.asdict(d) for d in reached],
                "before": {d.name: sent.before for d, sent in rollout.reached.items()},
            },
            warnings=tuple(warnings),
        )

    def status(self, deployment: Deployment) -> Deployment:
        """Up if the release is current and whole on every device; else down, and where not."""
        listed = _devices(deployment)
        digests = releases.digests(Path(deployment.package))
        release = deployment.details["release"]

        def look(device: Device) -> None:
            current, wrong = releases.look(device, digests)
            if current and current != release:
                raise DeviceFailed(f"has the release {current} now")
            if wrong:
                raise DeviceFailed(wrong)

        failed = fleet.each(listed, look)
        if not failed:
            return dataclasses.replace(deployment, status="up", reason="")
        reason = f"{fleet.named(listed, failed)}."
        return dataclasses.replace(deployment, status="down", reason=reason)

    def undeploy(self, deployment: Deployment) -> Deployment:
        """Leave no release current; those that are there stay, for the way back.

        A device that has another release by now keeps it. One that can't be reached is named.
        """
        release = deployment.details["release"]

        def end(device: Device) -> None:
            if device.run("readlink current").output.strip() == f"releases/{release}":
                releases.switch(device, "", f"after {deployment.model}")

        listed = _devices(deployment)
        failed = fleet.each(listed, end)
        left = (f"Not ended: {fleet.named(listed, failed)}.",) if failed else ()
        return dataclasses.replace(deployment, status="stopped", reason="", warnings=left)

    def logs(self, deployment: Deployment, lines: int = 50) -> str:
        """What each device has noted of its switches."""
        told = []
        for device in _devices(deployment):
            try:
                done = device.run(f"tail -n {lines} {releases.LOG}")
                told += [f"{device.name}: {line}" for line in done.output.splitlines()]
            except DeviceFailed as error:
                told.append(f"{device.name} {error.message}.")
        return "\n".join(told)

    def ask(self, deployment: Deployment, body: bytes, *, client_id: str = "") -> Reply:
        """Let the runner on the first device answer."""
        return asking.ask(_devices(deployment)[0], body)


def _devices(deployment: Deployment) -> list[Device]:
    return [Device(**facts) for facts in deployment.details["devices"]]


def _is_yes(options: Mapping[str, str]) -> bool:
    said = options.get("partial", "no").lower()
    if said not in ("yes", "no"):
        raise WrongUsage(f"-o partial is yes or no, not {said!r}.")
    return said == "yes"


def _number(options: Mapping[str, str], name: str, default: int) -> int:
    said = options.get(name, str(default))
    if not said.isdecimal() or int(said) < 1:
        raise WrongUsage(f"-o {name} is a number from 1 on, not {said!r}.")
    return int(said)
