"""One kernel driven through one notebook, stoppable at any moment without losing what is done.

Papermill's client runs the cells. Added here: a cell that is out of time, or that runs when
someone asks to stop, is interrupted as by Ctrl-C, so that its output shows where it stood.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jupyter_core.utils import ensure_async, run_sync
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient

from mlops_magics.notebooks import handing
from mlops_magics.notebooks.booting import Boot, silent
from mlops_magics.notebooks.bounding import Bounds
from mlops_magics.notebooks.parameters import INJECTED
from mlops_magics.notebooks.stopping import StoppedError, Stopper

if TYPE_CHECKING:
    from mlops_magics.notebooks.keeping import Keeper

#: Seconds that an interrupted cell gets to end by itself before its kernel is killed.
GRACE = 3.0

#: Seconds in which a cell's last output has to arrive once it is done.
FLUSH = 60

#: What watches a cell while it runs.
_WATCHERS = ("NotebookClient.", "Client._async_poll")

#: Seconds that a kernel gets to answer after its start.
START = 120


class Client(PapermillNotebookClient):  # type: ignore[misc]  # untyped
    """Runs the cells of one notebook in one kernel.

    Parameters
    ----------
    progress : NotebookExecutionManager
        Papermill's keeper of the notebook's state.
    boot : Boot
        The kernel.
    deadline : float or None
        On the clock of `time.monotonic`.
    cell_timeout : float or None
        Seconds.
    secrets : mapping
        The parameters whose values no cell may hold.
    keeper : Keeper, optional
        Keeps the state after cells that ran well, and goes on from an earlier run's.

    Attributes
    ----------
    bounds : Bounds
        What the cells' outputs were cut by.
    reached : int
        The index of the cell that was begun last; -1 before the first.
    """

    def __init__(
        self,
        progress: Any,
        boot: Boot,
        *,
        stopper: Stopper,
        deadline: float | None,
        cell_timeout: float | None,
        secrets: Mapping[str, Any] = {},
        keeper: Keeper | None = None,
    ) -> None:
        options = {"log": silent, "iopub_timeout": FLUSH, "startup_timeout": START}
        options["raise_on_iopub_timeout"] = False  # the cell has run; its missing words are said
        super().__init__(progress, km=boot.manager, **options)
        self.boot = boot
        self.stopper = stopper
        self.deadline = deadline
        self.cell_timeout = cell_timeout
        self.secrets = secrets
        self.bounds = Bounds()
        self.keeper = keeper
        self.reached = -1

    def execute(self) -> None:
        """Run every cell; ends with the exception of the cell that did not go through.

        Raises
        ------
        CellExecutionError
            If a cell raises.
        StoppedError
            If the run was stopped, ran out of time, or lost its kernel.
        RuntimeError, OSError
            If the kernel does not come up.
        NotRestoredError
            If the state of an earlier run could not be read back.
        """
        if self.boot.trouble is not None:
            raise self.boot.trouble
        self.reset_execution_trackers()
        with self.setup_kernel(cleanup_kc=True):
            self._name_cells()
            told = self.wait_for_reply(self.kc.kernel_info())
            if told:
                self.nb.metadata["language_info"] = told["content"]["language_info"]
            if self.keeper is not None:
                run_sync(self.keeper.begin)(self)
                self.reached = self.keeper.last_kept
            if self.reached >= 0 and self.secrets:  # the cell that asks for them is not run again
                self._hand_over()
            self.papermill_execute_cells()
            self.set_widgets_metadata()

    def _name_cells(self) -> None:
        """Tell the kernel which cell it runs, as JupyterLab does and nbclient does not."""
        session = self.kc.session
        plain = session.msg

        def message(kind: str, *arguments: Any, **options: Any) -> dict[str, Any]:
            made: dict[str, Any] = plain(kind, *arguments, **options)
            asking = bool(arguments and arguments[0].get("silent"))  # between two cells
            if kind == "execute_request" and self.reached >= 0 and not asking:
                made["metadata"]["cellId"] = self.nb.cells[self.reached].get("id")
            return made

        session.msg = message

    def papermill_execute_cells(self) -> None:
        """Run the cells in order, telling the progress of each."""
        kept = self.reached
        for index, cell in enumerate(self.nb.cells):
            if index <= kept:
                continue
            self._check(index)
            if self.secrets and INJECTED in cell.metadata.get("tags", ()):
                self._hand_over()
            self.reached = index
            self.nb_man.cell_start(cell, index)
            try:
                self.execute_cell(cell, index)
            except BaseException as error:
                self.nb_man.cell_exception(cell, cell_index=index, exception=error)
                raise
            finally:
                self.nb_man.cell_complete(cell, cell_index=index)
            if self.keeper is not None:
                run_sync(self.keeper.after)(self, index)

    def _hand_over(self) -> None:
        """Give the kernel its secret parameters, in a message that it neither echoes nor keeps."""
        names = self.boot.manager.kernel_name, self.nb.metadata.kernelspec.language.lower()
        code = handing.code(self.secrets, *names)
        told = self.wait_for_reply(self.kc.execute(code, silent=True, store_history=False))
        if not told or told["content"]["status"] != "ok":
            raise RuntimeError("it did not take the secret parameters")

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        """Take a message of the kernel in, as far as there is room for an output in its cell."""
        outputs = [] if self.clear_before_next_output else cell.outputs
        apart = bool(self.output_hook_stack.get(msg["parent_header"].get("msg_id")))
        if self.bounds.admit(msg, outputs, apart=apart):
            return super().process_message(msg, cell, cell_index)
        return self.nb_man.autosave_cell()

    def _check(self, index: int) -> None:
        if self.stopper.reason:
            raise StoppedError("interrupted", self.stopper.reason)
        if self.deadline is not None and time.monotonic() >= self.deadline:
            raise StoppedError(
                "timed out", f"the time for the whole notebook was over before cell {index + 1}"
            )

    def _limit(self) -> tuple[float | None, str]:
        """Seconds that the next cell may take, and what is said when they are over."""
        limits = []
        if self.cell_timeout is not None:
            limits.append((self.cell_timeout, f"the cell ran longer than {self.cell_timeout:g} s"))
        if self.deadline is not None:
            left = max(self.deadline - time.monotonic(), 0.0)
            limits.append((left, "the time for the whole notebook was over"))
        return min(limits) if limits else (None, "")

    async def async_execute_cell(
        self,
        cell: Any,
        cell_index: int,
        execution_count: int | None = None,
        store_history: bool = True,
    ) -> Any:
        """Run one cell, unless time or a stop ends it."""
        loop = asyncio.get_running_loop()
        asked = asyncio.Event()
        self.stopper.listen(lambda: loop.call_soon_threadsafe(asked.set))
        work = asyncio.ensure_future(
            super().async_execute_cell(cell, cell_index, execution_count, store_history)
        )
        alarm = asyncio.ensure_future(asked.wait())
        limit, late = self._limit()
        try:
            await asyncio.wait({work, alarm}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                await self._break_off(work)
                if self.stopper.reason:
                    raise StoppedError("interrupted", self.stopper.reason)
                raise StoppedError("timed out", late)
            return work.result()
        except (DeadKernelError, CellTimeoutError) as error:
            raise StoppedError("killed", await self.cause_of_death()) from error
        finally:
            self.stopper.listen(None)
            self.bounds.close(cell, cell_index)
            alarm.cancel()
            # nbclient leaves its watchers of a cell behind when the cell is broken off.
            for task in asyncio.all_tasks(loop):
                if getattr(task.get_coro(), "__qualname__", "").startswith(_WATCHERS):
                    task.cancel()

    execute_cell = run_sync(async_execute_cell)

    async def _async_poll_for_reply(self, msg_id: str, cell: Any, *rest: Any) -> Any:
        """Wait for the end of a cell; its last outputs may have been thrown away on the way."""
        reply = await super()._async_poll_for_reply(msg_id, cell, *rest)
        if rest[1].cancelled():
            self.bounds.lost = True
        return reply

    async def _break_off(self, work: asyncio.Future[Any]) -> None:
        """Interrupt the cell; if it does not end, give its kernel up."""
        await ensure_async(self.km.interrupt_kernel())
        done, _ = await asyncio.wait({work}, timeout=GRACE)
        if not done:
            self.shutdown_kernel = "immediate"
            work.cancel()
            await asyncio.wait({work})
        if not work.cancelled():
            work.exception()  # seen: the stop is what is told, not the KeyboardInterrupt

    async def cause_of_death(self) -> str:
        """What is known of why there is no kernel any more."""
        code = None
        if self.km is not None and self.km.provisioner is not None:
            code = await self.km.provisioner.poll()
        if code is None:
            return "the kernel does not answer"
        if code >= 0:
            return f"the kernel ended itself with exit code {code}"
        name = signal.Signals(-code).name
        often = "; the system does that when memory runs out" if name == "SIGKILL" else ""
        return f"the kernel was killed by {name}{often}"
