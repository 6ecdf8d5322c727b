"""Keeps the log of the cells that a notebook runs; must cost a cell next to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_magics.evidence.cells import Execution, Log

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell


class Watch:
    """Notes each cell before and after it runs; a cell run within a cell belongs to that one."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.log = Log(shell.user_ns, shell.user_ns_hidden, shell.transform_cell)
        self._open: ExecutionInfo | None = None
        self._load_past()

    def _load_past(self) -> None:
        """The cells that ran before the extension was loaded, this one included."""
        history = self.shell.history_manager
        if history is None:
            return
        failed = getattr(history, "exceptions", {})
        typed, parsed = list(history.input_hist_raw), list(history.input_hist_parsed)
        for count, (source, code) in enumerate(zip(typed, parsed, strict=False)):
            if source.strip():
                status = "failed" if count in failed else "finished"
                self.log.add(Execution(source=source, code=code, count=count, status=status))

    def before(self, info: ExecutionInfo) -> None:
        """A cell is about to run (``pre_run_cell``)."""
        if self._open is not None and self.log.current is not None:
            return
        self._open = info
        source = str(info.raw_cell or "")
        code = getattr(info, "transformed_cell", None) or self.shell.transform_cell(source)
        id = getattr(info, "cell_id", None)
        # The shell has counted on already, if it keeps the cell in its history.
        count = self.shell.execution_count - bool(info.store_history)
        self.log.begin(Execution(source=source, code=code, id=id, count=count))

    def after(self, result: ExecutionResult | None) -> None:
        """A cell has run (``post_run_cell``)."""
        if result is not None and result.info is not self._open:
            if self._open is None and result.info is not None:
                self._end_of_loading(result.info, result.success)
            return
        self._open = None
        if result is None:  # interrupted before IPython could tell more
            self.log.end("failed")
        elif result.error_before_exec is not None:
            self.log.end("refused")
        else:
            failed = result.error_in_exec is not None
            self.log.end("failed" if failed else "finished", result.result is not None)

    def _end_of_loading(self, info: ExecutionInfo, success: bool) -> None:
        """The cell that loads the extension ends after it had been taken from the history."""
        last = self.log.executions[-1] if self.log.executions else None
        if last is not None and last.seen is None and last.source == info.raw_cell:
            last.id = getattr(info, "cell_id", None)
            last.status = "finished" if success else "failed"
            self.log.start()  # what else the cell has bound is its own
