"""Notebooks on this machine: what those of one call have in common is made ready once for all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_magics.engines import local, tasks
from mlops_magics.records import Execution
from mlops_magics.verbs import performing

if TYPE_CHECKING:
    from mlops_magics.notebooks.record import Surroundings
    from mlops_magics.notebooks.warm.parents import Parent
    from mlops_magics.verbs.finishing import Beside
    from mlops_magics.verbs.jobs import Job


@dataclass(frozen=True)
class Here:
    """What all the notebooks have in common.

    Attributes
    ----------
    parents : mapping
        What each job's kernel is forked from, by its event; None: it is started by itself.
    around : mapping
        What each notebook starts from, where that is gathered for several at once.
    environment : mapping
        Variables that all kernels get.
    """

    parents: Mapping[str, Parent | None]
    around: Mapping[Path, Surroundings]
    environment: Mapping[str, str]


@contextmanager
def ready(todo: Sequence[Job], workers: int) -> Iterator[Here]:
    """Within, notebooks can be run; afterwards no process is left that was started for them."""
    from mlops_magics.notebooks.warm import parents, wanted

    jobs = min(workers, len(todo))
    environment = local.shares(jobs) if jobs > 1 else {}
    common = {**environment, **performing.variables(todo[0].source, "", Path())}
    with ExitStack() as stack:
        found: dict[str, Parent | None] = dict.fromkeys([job.event for job in todo])
        same = [job for job in todo if not wanted.changes_imports(job.notebook)]
        for kernel in dict.fromkeys(job.kernel for job in same):
            books = {job.event: job.notebook for job in same if job.kernel == kernel}
            opened = parents.opened(kernel, list(books.values()), common)
            found |= dict.fromkeys(books, stack.enter_context(opened))
        if len(todo) == 1 and not found[todo[0].event]:
            yield Here(found, {}, environment)  # the rest is done while its kernel boots
            return
        # While the parents import. These imports go in circles, in which threads would meet: once,
        # before there are any.
        import_module("mlops_magics.notebooks.client")
        yield Here(found, performing.surroundings(todo), environment)


def perform(shared: tuple[Here, Beside], job: Job) -> Execution:
    """Run one notebook in a kernel that this thread drives."""
    from mlops_magics.notebooks.stopping import Stopper

    (here, beside), stopper = shared, Stopper()
    with tasks.current().recalled(stopper.stop):
        if stopper.reason:
            return job.without_result("never ran", stopper.reason)
        return performing.run(job, here, beside, stopper=stopper)
