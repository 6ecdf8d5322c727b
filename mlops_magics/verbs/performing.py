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
from mlops_magics.verbs import finishing, resuming

if TYPE_CHECKING:
    from mlops_magics.notebooks.keeping import Keeper
    from mlops_magics.notebooks.record import Surroundings
    from mlops_magics.notebooks.running import Plan
    from mlops_magics.notebooks.stopping import Stopper
    from mlops_magics.verbs.finishing import Beside
    from mlops_magics.verbs.here import Here
    from mlops_magics.verbs.jobs import Job

log = logging.getLogger("mlops_magics")


def run(
    job: Job,
    here: Here,
    beside: Beside,
    *,
    resume: bool = False,
    stopper: Stopper | None = None,
) -> Execution:
    """Run one notebook on this machine; who hands a `stopper` in tells of its progress too."""
    from mlops_magics.notebooks import running

    with tempfile.TemporaryDirectory(prefix="mlops-execution-") as folder:
        journal = Path(folder) / "steps.jsonl"
        environment = {**here.environment, **variables(job.source, job.event, journal)}
        plan = plan_of(job, environment, quiet=stopper is not None)
        if stopper is None:
            log.info("running %s", job.source)
        with resuming.keeping(plan, job, resume=resume) as keeper:
            ready = Ready(plan, job, here.around.get(job.source), keeper)
            outcome = running.run(
                plan,
                ready.save,
                meanwhile=ready.prepare,
                stopper=stopper,
                parent=here.parents[job.event],
                keeper=keeper,
            )
            resumption = resuming.told(keeper, outcome, resume=resume)
        steps = read_steps(journal)
    return finishing.Finish(ready, outcome, job, steps, resumption=resumption).finish(beside)


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
        references=job.references,
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
    keeper : Keeper, optional
        What keeps the state on the way.
    """

    def __init__(
        self,
        plan: Plan,
        job: Job,
        around: Surroundings | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        self.plan, self.source, self.target = plan, job.source, job.target
        self.remote, self._tried = job.remote, False
        self._around, self._keeper = around, keeper

    def prepare(self) -> None:
        """Gather what the run starts from; a key that can't be used ends it here."""
        from mlops_magics.evidence import keys
        from mlops_magics.notebooks import record

        self.key = keys.signer(settings.load().keys)
        self.around = self._around or record.surroundings(self.source, self.plan.kernel)
        self.masker = record.masker_for(self.plan)
        if self._keeper is not None:
            self._keeper.prepare(self.key, self.around.packages["versions"], self.masker)

    def save(self, notebook: Any) -> None:
        """Save a notebook that is still running: masked, whole, not yet sealed."""
        from mlops_magics.notebooks import files, record

        text = files.text_of(record.masked(notebook, self.masker))
        content = text.encode("utf-8", "backslashreplace")
        if self.remote is not None and not self._tried:
            self.remote.write(content)  # once at the start: what can't be written does not run
            self._tried = True
        files.write(self.target, content)


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
