"""One notebook in a kernel of this machine: what it is told, saved on the way, and left behind."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics import settings
from mlops_magics.engines import tasks
from mlops_magics.records import Execution
from mlops_magics.verbs import finishing

if TYPE_CHECKING:
    from mlops_magics.notebooks.record import Surroundings
    from mlops_magics.notebooks.running import Plan
    from mlops_magics.notebooks.stopping import Stopper
    from mlops_magics.verbs.here import Here
    from mlops_magics.verbs.jobs import Job

log = logging.getLogger("mlops_magics")


def run(job: Job, here: Here, *, html: bool, stopper: Stopper | None = None) -> Execution:
    """Run one notebook on this machine; who hands a `stopper` in tells of its progress too."""
    from mlops_magics.notebooks import running

    with tempfile.TemporaryDirectory(prefix="mlops-execution-") as folder:
        journal = Path(folder) / "steps.jsonl"
        environment = {**here.environment, **variables(job.source, job.event, journal)}
        plan = plan_of(job, environment, quiet=stopper is not None)
        if stopper is None:
            log.info("running %s", job.source)
        ready = Ready(plan, job, here.around.get(job.source))
        outcome = running.run(
            plan,
            ready.save,
            meanwhile=ready.prepare,
            stopper=stopper,
            parent=here.parents[job.event],
        )
        steps = read_steps(journal)
    return finishing.Finish(ready, outcome, job, steps).finish(html=html)


def surroundings(todo: Sequence[Job]) -> dict[Path, Surroundings]:
    """What each notebook of several starts from, as it is before the first of them runs."""
    from mlops_magics.notebooks import record

    return record.surroundings_of({job.source: job.kernel for job in todo})


def plan_of(job: Job, environment: Mapping[str, str], *, quiet: bool = True) -> Plan:
    """A job as what is run in a kernel here."""
    from mlops_magics.notebooks import running

    return running.Plan(
        notebook=job.notebook,
        kernel=job.kernel,
        params=job.params,
        environment=environment,
        timeout=job.timeout,
        cell_timeout=job.cell_timeout,
        folder=str(Path.cwd()),
        quiet=quiet,
    )


def variables(notebook: Path, event: str, journal: Path) -> dict[str, str]:
    """What a headless kernel is told by its environment."""
    return {
        "MLOPS_NOTEBOOK": str(notebook),
        "MLOPS_EXECUTION": event,
        "MLOPS_JOURNAL": str(journal),
        "MLOPS_ATTEMPT": str(tasks.current().attempt),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Bars that live by scripts are noise in a record.
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    }


class Ready:
    """What is made ready while the kernel boots, and saves the notebook while it runs.

    Parameters
    ----------
    around : Surroundings, optional
        What the run starts from, where that was gathered already.
    """

    def __init__(self, plan: Plan, job: Job, around: Surroundings | None = None) -> None:
        self.plan, self.source, self.target = plan, job.source, job.target
        self._around = around

    def prepare(self) -> None:
        """Gather what the run starts from; a key that can't be used ends it here."""
        from mlops_magics.evidence import keys
        from mlops_magics.notebooks import record

        self.key = keys.signer(settings.load().keys)
        self.around = self._around or record.surroundings(self.source, self.plan.kernel)
        self.masker = record.masker_for(self.plan)

    def save(self, notebook: Any) -> None:
        """Save a notebook that is still running: masked, whole, not yet sealed."""
        from mlops_magics.notebooks import files, record

        text = files.text_of(record.masked(notebook, self.masker, self.plan))
        files.write(self.target, text.encode("utf-8", "backslashreplace"))


def read_steps(journal: Path) -> list[dict[str, Any]]:
    """What the verbs in a notebook left in the journal of its run."""
    if not journal.exists():
        return []
    lines = journal.read_text(encoding="utf-8").splitlines()
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:  # the process died while it wrote its last line
            log.warning("A line of the journal is cut off; that step is missing from the record.")
    return found
