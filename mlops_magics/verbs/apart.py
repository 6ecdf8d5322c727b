"""A notebook run on a worker elsewhere, and finished here: only here are the key and the folder.

The worker runs the cells and says truthfully what became of them. What it sends back is sealed,
written and noted in the store by the process that asked, as if it had run here.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics import settings
from mlops_magics.engines import tasks
from mlops_magics.errors import WrongUsage
from mlops_magics.records import Execution
from mlops_magics.verbs import finishing, performing
from mlops_magics.verbs.jobs import FIRST, Attempt

if TYPE_CHECKING:
    from mlops_magics.engines.base import Engine
    from mlops_magics.notebooks.record import Surroundings
    from mlops_magics.notebooks.running import Outcome
    from mlops_magics.verbs.finishing import Beside
    from mlops_magics.verbs.jobs import Job

#: Settings that name places on this machine, of which a worker elsewhere has its own.
_PLACES = ("MLOPS_STATE", "MLOPS_KEYS", "MLOPS_NOTEBOOKS", "MLOPS_ARTIFACTS")


@dataclass(frozen=True)
class Place:
    """What a kernel on a worker has to be told.

    Attributes
    ----------
    folder : str
        Where it works, if the worker has that folder too.
    """

    environment: Mapping[str, str]
    folder: str


@dataclass(frozen=True, kw_only=True)
class Performed:
    """What a worker sends back; ``None`` for `outcome` if it did not begin."""

    outcome: Outcome | None
    reason: str = ""
    steps: Sequence[Mapping[str, Any]] = ()
    environment: Mapping[str, Any] | None = None
    packages: Mapping[str, Any] | None = None
    attempt: Attempt = FIRST


def place_of(engine: Engine, todo: Sequence[Job]) -> Place:
    """What the workers are told.

    Raises
    ------
    WrongUsage
        If notebooks take steps, and the workers could not reach the store.
    """
    options = settings.load()
    near = engine.near
    environment = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("MLOPS_") and (near or name not in _PLACES)
    }
    environment["MLOPS_ACTOR"] = options.actor
    if near:
        environment |= {"MLOPS_STATE": str(options.state), "MLOPS_ARTIFACTS": options.artifacts}
    if near or not options.embedded:
        environment["MLOPS_TRACKING_URI"] = options.tracking_uri
    elif any(_takes_steps(job) for job in todo):
        raise WrongUsage(
            f"The workers of {engine.label} can't reach the store of this machine, "
            f"{options.tracking_uri}.",
            "Name a server that they reach too: MLOPS_TRACKING_URI=https://…",
        )
    return Place(environment, str(Path.cwd()))


def _takes_steps(job: Job) -> bool:
    code = (cell["source"] for cell in job.notebook["cells"] if cell["cell_type"] == "code")
    return any("mlops" in source for source in code)


def perform(place: Place, job: Job) -> Performed:
    """Run the notebook's cells; on a worker."""
    from mlops_magics.evidence import environment, secrets
    from mlops_magics.notebooks import kernels, running
    from mlops_magics.notebooks.stopping import Stopper

    task, stopper = tasks.current(), Stopper()
    attempt = Attempt(task.attempt, task.place, task.earlier)
    with (
        task.recalled(stopper.stop),
        tempfile.TemporaryDirectory(prefix="mlops-execution-") as scratch,
    ):
        if stopper.reason:
            return Performed(outcome=None, reason=stopper.reason, attempt=attempt)
        journal = Path(scratch) / "steps.jsonl"
        variables = performing.variables(job.source, job.event, journal)
        plan = replace(
            performing.plan_of(job, {**place.environment, **variables}),
            kernel=kernels.find(job.notebook, job.kernel.name),
            folder=place.folder if Path(place.folder).is_dir() else scratch,
        )
        outcome = running.run(plan, lambda _: None, stopper=stopper)
        steps = performing.read_steps(journal)
    return Performed(
        outcome=outcome.masked(secrets.Masker()),  # of its own environment, which only it knows
        steps=steps,
        environment=environment.describe(),
        packages=kernels.packages(plan.kernel),
        attempt=attempt,
    )


class Finishing:
    """What is left to be done here with what workers send back."""

    def __init__(self, todo: Sequence[Job], beside: Beside) -> None:
        self._beside = beside
        # As they are now: by the time that the last one is done, there may be a commit more.
        self._around = performing.surroundings(todo)

    def finish(self, job: Job, done: Performed) -> Execution:
        """Seal, write and note it."""
        if done.outcome is None:
            return job.without_result("never ran", done.reason)
        ready = performing.Ready(performing.plan_of(job, {}), job, self._of(job, done))
        ready.prepare()
        finish = finishing.Finish(ready, done.outcome, job, done.steps, done.attempt)
        return finish.finish(self._beside)

    def _of(self, job: Job, done: Performed) -> Surroundings:
        here = self._around[job.source]
        return replace(
            here,
            environment=done.environment or here.environment,
            packages=done.packages or here.packages,
        )
