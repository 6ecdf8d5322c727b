"""A deployment in the place of another one of its name."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_magics import settings, targets
from mlops_magics.errors import MlopsError
from mlops_magics.records import Deployment, Package
from mlops_magics.verbs import packaged

if TYPE_CHECKING:
    from mlops_magics.targets.base import Target


@dataclass(frozen=True)
class Asked:
    """What is to be deployed."""

    package: Package
    name: str
    port: int
    options: Mapping[str, str]
    run_id: str

    def start(self, target: Target) -> Deployment:
        """Let the target deploy it; from then on the name leads to it."""
        kept = targets.state.folder(self.name) / "capture"
        started = target.deploy(
            self.package,
            name=self.name,
            port=self.port,
            capture=kept if settings.load().capture else None,
            options=self.options,
        )
        record = dataclasses.replace(started, options=dict(self.options), run_id=self.run_id)
        targets.state.save(record)
        return record


def replace(target: Target, asked: Asked) -> Deployment:
    """The new one up and tested, then the old one stopped; on its own port the old one first."""
    name, port = asked.name, asked.port
    old = targets.state.find(name) if name in targets.state.names() else None
    if old is None or old.status == "stopped":
        return asked.start(target)
    before = targets.state.target(old.target)
    if target.replaces and old.target == target.to:
        return asked.start(target)
    if old.status == "down":
        before.undeploy(old)  # what is left of it may still hold the port
        return asked.start(target)
    if not old.url.endswith(f":{port}"):
        record = asked.start(target)
        before.undeploy(old)
        return record
    targets.state.save(before.undeploy(old))
    try:
        return asked.start(target)
    except MlopsError as error:
        with contextlib.suppress(MlopsError):
            Asked(packaged.former(old, before.takes), name, port, old.options, old.run_id).start(
                before
            )
            error.hint = f"{old.model} answers again at {old.url}. {error.hint}".rstrip()
        raise
