"""Running recorded cells again: a fresh kernel, a store of its own, the recorded data at hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics.verbs import finishing, performing, session
from mlops_magics.verbs.jobs import Job
from mlops_magics.verbs.originals import Original

if TYPE_CHECKING:
    from mlops_magics.notebooks.fresh import Fresh
    from mlops_magics.notebooks.running import Outcome
    from mlops_magics.notebooks.slices import Notebook
    from mlops_magics.store.seeding import Aside


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be run again, checked and ready.

    Attributes
    ----------
    params : mapping
        Other values for the notebook's parameters; a variation if there are any.
    target : Path
        Where the executed notebook goes.
    arguments : mapping
        What the verb was called with, for the record.
    """

    original: Original
    notebook: Notebook
    params: Mapping[str, Any]
    tolerance: float
    target: Path
    timeout: float | None
    arguments: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Again:
    """What became of the cells.

    Attributes
    ----------
    run_id : str
        The training's run in the store aside; empty where none was finished.
    digest : str
        Of the sealed notebook.
    """

    outcome: Outcome
    run_id: str
    digest: str
    warnings: tuple[str, ...] = ()


def run(task: Task, aside: Aside, scratch: Path, fresh: Fresh | None) -> Again:
    """Run the notebook and seal it; the user's store is not touched.

    Parameters
    ----------
    scratch : Path
        A folder for what is not kept.
    fresh : Fresh, optional
        The environment to run in; by default this process's.
    """
    from mlops_magics.notebooks import files, kernels, running

    original, notebook = task.original, task.notebook
    source = scratch / task.target.name
    files.write(source, files.text_of(notebook).encode("utf-8", "backslashreplace"))
    journal = scratch / "steps.jsonl"
    ids = {run_id: aside.seed(run_id) for run_id in reversed(original.prepared)}
    dataset = original.dataset
    job = Job(
        source=source,
        notebook=notebook,
        kernel=fresh.kernel if fresh else kernels.find(notebook),
        params=task.params,
        target=task.target,
        arguments=task.arguments,
        timeout=task.timeout,
    )
    environment = {
        **performing.variables(task.target, job.event, journal),
        **aside.environment,
        **({session.PREPARED: ids[dataset.run_id]} if dataset else {}),
        **(fresh.environment if fresh else {}),
    }
    plan = performing.plan_of(job, environment, quiet=False)
    plan = replace(plan, folder=str(original.folder))
    ready = performing.Ready(plan, job)
    outcome = running.run(plan, ready.save, meanwhile=ready.prepare)
    steps = performing.read_steps(journal)
    finish = finishing.Finish(ready, outcome, job, steps)
    digest, _ = finish.seal("", verb="reproduce")
    ended = [
        str(s["run_id"])
        for s in steps
        if (s["verb"], s["experiment"], s["status"]) == ("train", original.name, "finished")
    ]
    return Again(
        outcome=outcome,
        run_id=ended[-1] if ended else "",
        digest=digest,
        warnings=tuple(finish.warnings),
    )
