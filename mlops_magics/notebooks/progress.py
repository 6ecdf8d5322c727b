"""Keeping the state of a notebook that runs: Papermill's keeper, saving whole files, in time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from papermill.engines import NotebookExecutionManager

from mlops_magics.errors import MlopsError

log = logging.getLogger("mlops_magics")

#: A running notebook is saved at most this often, in seconds.
AUTOSAVE = 2.0


class Progress(NotebookExecutionManager):  # type: ignore[misc]  # untyped
    """Notes when each cell begins and ends, says so, and saves every now and then.

    Where several notebooks run at a time, one that is `quiet` leaves the lines to who runs them.
    """

    def __init__(self, notebook: Any, save: Callable[[Any], None], *, quiet: bool = False) -> None:
        self._save, self._next, self._first = save, 0.0, True
        self._level = logging.DEBUG if quiet else logging.INFO
        super().__init__(notebook, progress_bar=False, autosave_cell_every=0)

    def save(self, **_: Any) -> None:
        """Save, if the last time is long enough ago; the first time must succeed."""
        begun = time.monotonic()
        if begun < self._next:
            return
        try:
            self._save(self.nb)
        except MlopsError as error:
            if self._first:
                raise
            log.warning("Not saved on the way: %s", error)
        self._first = False
        # A notebook that takes long to write is written more rarely.
        spent = time.monotonic() - begun
        self._next = time.monotonic() + max(AUTOSAVE, 20 * spent)

    def autosave_cell(self, **_: Any) -> None:
        """Called with every message of the kernel."""
        self.save()

    def cell_complete(self, cell: Any, cell_index: int | None = None, **kwargs: Any) -> None:
        """Note the end of a cell and say so."""
        super().cell_complete(cell, cell_index=cell_index, **kwargs)
        if cell.cell_type == "code":
            took = cell.metadata.papermill.get("duration") or 0.0
            number = 0 if cell_index is None else cell_index + 1
            log.log(self._level, "cell %d of %d: %.1f s", number, len(self.nb.cells), took)

    def notebook_complete(self, **_: Any) -> None:
        """Note the end; the states of the cells are settled by the outcome."""
        self.end_time = self.now()
        mark = self.nb.metadata.papermill
        mark["end_time"] = self.end_time.isoformat()
        mark["duration"] = (self.end_time - self.start_time).total_seconds()
