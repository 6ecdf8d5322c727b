"""Running a notebook headlessly, and saying truthfully how far it came."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import nbformat

from mlops_magics.evidence import secrets
from mlops_magics.notebooks import parameters, references, settling
from mlops_magics.notebooks.booting import Boot
from mlops_magics.notebooks.fitting import KEPT
from mlops_magics.notebooks.kernels import Kernel
from mlops_magics.notebooks.settling import Ending
from mlops_magics.notebooks.stopping import NotRestoredError, StoppedError, Stopper
from mlops_magics.records import now

if TYPE_CHECKING:
    from mlops_magics.notebooks.keeping import Keeper
    from mlops_magics.notebooks.warm.parents import Parent

Save = Callable[[nbformat.NotebookNode], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be run, checked and ready.

    Attributes
    ----------
    references : mapping
        Of the parameters whose value was read from where it lies: name → ``env:…``, ``file:…``.
    environment : mapping
        Variables that the kernel gets beside this process's.
    timeout, cell_timeout : float or None
        Seconds for all of it, and for each cell.
    folder : str or None
        The kernel's working directory; this process's by default.
    quiet : bool
        Whether its cells are told by no lines of progress.
    """

    notebook: nbformat.NotebookNode
    kernel: Kernel
    params: Mapping[str, Any] = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None
    cell_timeout: float | None = None
    folder: str | None = None
    quiet: bool = False

    @property
    def hidden(self) -> dict[str, Any]:
        """What may be written of each secret parameter: its reference, or the value masked."""
        return references.hidden(self.params, self.references)

    @property
    def written(self) -> dict[str, Any]:
        """The parameters as they may be written, and be given again."""
        return references.written(self.params, self.references)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended.

    Attributes
    ----------
    status : str
        ``finished``, ``failed``, ``interrupted``, ``killed`` or ``timed out``.
    reason : str
        Why it did not finish; empty if it did.
    failed_cell : mapping or None
        ``index`` (from 0), ``number`` (from 1), ``id``, ``error`` and ``message``.
    states : tuple of str
        What became of each cell: ``finished``, ``never ran``, or the status it ended the run with.
    duration : float
        Seconds.
    forked : bool
        Whether the kernel came of a process that had imported ahead.
    """

    notebook: nbformat.NotebookNode
    status: str
    reason: str = ""
    failed_cell: Mapping[str, Any] | None = None
    states: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    started: str = ""
    ended: str = ""
    duration: float = 0.0
    forked: bool = False

    def masked(self, masker: secrets.Masker) -> Outcome:
        """The same without the secrets that `masker` knows."""
        return replace(
            self,
            notebook=nbformat.from_dict(masker(self.notebook)),
            reason=masker(self.reason),
            failed_cell=masker(self.failed_cell),
        )


def run(
    plan: Plan,
    save: Save,
    *,
    meanwhile: Callable[[], None] | None = None,
    stopper: Stopper | None = None,
    keeper: Keeper | None = None,
    parent: Parent | None = None,
) -> Outcome:
    """Run the notebook in a fresh kernel; whatever happens in it comes back as an outcome.

    Parameters
    ----------
    save : callable
        Called with the notebook before its first cell runs (a failure ends the run: it could not
        be saved later either), and again every now and then.
    meanwhile : callable, optional
        Called while the kernel boots. What it raises ends the run before any cell.
    stopper : Stopper, optional
        Through which another thread may stop the run; signals do by themselves.
    keeper : Keeper, optional
        Keeps the state after cells that ran well, and goes on from an earlier run's.
    parent : Parent, optional
        What the kernel is forked from, of several notebooks that run in turn.

    Raises
    ------
    MlopsError
        If the notebook can't be saved at the start.
    """
    stopper, again = stopper or Stopper(), ""
    started, begun = now(), time.monotonic()
    with (
        stopper.on_signals(),
        Boot(plan.kernel, plan.environment, plan.folder, parent) as boot,
    ):
        # Half of the start-up is the kernel's, the other half this import: side by side.
        from mlops_magics.notebooks.client import Client
        from mlops_magics.notebooks.progress import Progress

        notebook = _prepared(plan)
        progress = Progress(notebook, save, quiet=plan.quiet)
        if meanwhile is not None:
            meanwhile()
        progress.notebook_start()
        if keeper is not None:
            keeper.start(notebook)
        client = Client(
            progress,
            boot,
            secrets={name: plan.params[name] for name in plan.hidden},
            stopper=stopper,
            deadline=None if plan.timeout is None else begun + plan.timeout,
            cell_timeout=plan.cell_timeout,
            keeper=keeper,
        )
        try:
            ending = _run(client, plan)
        except NotRestoredError as error:
            again = str(error)
    if again and keeper is not None:  # that kernel is not what it should be: a fresh one
        keeper.give_up(again)
        return run(plan, save, meanwhile=meanwhile, stopper=stopper, keeper=keeper)
    progress.notebook_complete()
    settled = settling.settle(notebook, client.reached, ending)
    settled["warnings"] += client.bounds.warnings
    settled["warnings"] += references.unseen(plan.params, plan.references)
    return Outcome(
        notebook=notebook,
        started=started,
        ended=now(),
        duration=round(time.monotonic() - begun, 3),
        forked=boot.forked,
        **settled,
    )


def _run(client: Any, plan: Plan) -> Ending:
    from nbclient.exceptions import CellExecutionError

    try:
        client.execute()
    except CellExecutionError as error:
        return settling.of_exception(error.ename, error.evalue)
    except StoppedError as stopped:
        return Ending(status=stopped.status, reason=str(stopped))
    except KeyboardInterrupt:
        return Ending(status="interrupted", reason=f"{client.stopper.reason}, twice")
    except (RuntimeError, OSError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        return Ending(status="failed", reason=f"the kernel {plan.kernel.name!r} failed: {why}")
    return Ending()


def _prepared(plan: Plan) -> nbformat.NotebookNode:
    """A copy with the parameters in it and nothing of an earlier run."""
    from papermill.parameterize import parameterize_notebook

    from mlops_magics.notebooks import handing

    notebook = nbformat.from_dict(plan.notebook)
    for leftover in ("mlops", "widgets", "papermill"):
        notebook.metadata.pop(leftover, None)
    notebook.metadata["papermill"] = {"parameters": {}, "environment_variables": {}}
    if plan.kernel.name != notebook.metadata.get("kernelspec", {}).get("name"):
        notebook.metadata["kernelspec"] = {
            "name": plan.kernel.name,
            "display_name": plan.kernel.name,
            "language": plan.kernel.language,
        }
    # What Papermill marks a failure with, and, without parameters, what it injected.
    dropped = {"papermill-error-cell-tag", *(() if plan.params else (parameters.INJECTED,))}
    notebook.cells = [
        cell for cell in notebook.cells if not dropped & set(cell.metadata.get("tags", ()))
    ]
    for cell in notebook.cells:
        cell.metadata.setdefault("tags", [])
        cell.metadata.pop(KEPT, None)
        cell.metadata.pop("execution", None)
        cell.metadata["papermill"] = {}
    if not plan.params:
        return notebook
    hidden, names = plan.hidden, (plan.kernel.name, handing.translated(plan.kernel.language))
    plain = {name: value for name, value in plan.params.items() if name not in hidden}
    notebook = parameterize_notebook(notebook, plain, kernel_name=names[0], language=names[1])
    injected = next(c for c in notebook.cells if parameters.INJECTED in c.metadata.get("tags", ()))
    injected.source += handing.lines(hidden, *names)
    notebook.metadata.papermill["parameters"] = plan.written
    return notebook
