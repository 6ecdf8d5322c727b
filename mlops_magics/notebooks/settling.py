"""What became of each cell, once a run has ended, and the error put where it stopped.

Papermill marks every cell completed when a kernel dies. The states here come from the exception
that ended the run and the cell that it had reached.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import nbformat

from mlops_magics.notebooks import bounding

#: What a cell's state is called in the record → what Papermill calls it.
PAPERMILL = {"finished": "completed", "never ran": "pending"}

#: Endings that are not the cell's own doing → how they are called in its outputs.
NAMES = {"killed": "KernelDied", "timed out": "TimedOut", "interrupted": "Interrupted"}


@dataclass(frozen=True, kw_only=True)
class Ending:
    """Why a run ended.

    Attributes
    ----------
    status : str
        ``finished``, ``failed``, ``interrupted``, ``killed`` or ``timed out``.
    error : str
        The name of the exception, where a cell raised one.
    early : bool
        The notebook ended itself with ``sys.exit(0)``.
    """

    status: str = "finished"
    reason: str = ""
    error: str = ""
    early: bool = False


def of_exception(name: str, message: str) -> Ending:
    """The ending that a cell's own exception makes."""
    if name == "SystemExit" and message in {"", "0", "None"}:
        return Ending(early=True)  # Papermill's convention: it ended early, and well
    if name == "KeyboardInterrupt":
        return Ending(status="interrupted", reason="the kernel was interrupted", error=name)
    return Ending(status="failed", reason=bounding.short(message, bounding.MESSAGE), error=name)


def settle(notebook: nbformat.NotebookNode, reached: int, ending: Ending) -> dict[str, Any]:
    """Set each cell's state and put the error in its place, in the notebook itself.

    Parameters
    ----------
    reached : int
        The index of the cell that was begun last; -1 if none was.

    Returns
    -------
    dict
        ``status``, ``reason``, ``states``, ``failed_cell`` and ``warnings`` of the outcome.
    """
    failed = ending.status != "finished"
    # Stopped between two cells, the last one went through; stopped in one, it was marked.
    at = reached if failed and reached >= 0 and _marked(notebook.cells[reached]) else None
    last = reached if failed or ending.early else len(notebook.cells)
    states = []
    for index, cell in enumerate(notebook.cells):
        state = "never ran" if index > last else ending.status if index == at else "finished"
        states.append(state)
        _mark(cell, state)
    notebook.metadata.papermill["exception"] = failed
    warning = f"The notebook ended itself in cell {reached + 1}; what follows never ran."
    return {
        "status": ending.status,
        "reason": ending.reason,
        "states": tuple(states),
        "failed_cell": None if at is None else _failed(notebook.cells[at], at, ending),
        "warnings": (warning,) if ending.early else (),
    }


def _marked(cell: Any) -> bool:
    return bool(cell.metadata.papermill.get("exception"))


def _mark(cell: Any, state: str) -> None:
    mark = cell.metadata.papermill
    mark["status"] = PAPERMILL.get(state, "failed")
    mark["exception"] = state not in PAPERMILL
    if state == "never ran":
        mark["start_time"] = mark["end_time"] = mark["duration"] = None
    if not cell.metadata.get("tags"):
        cell.metadata.pop("tags", None)
    if cell.cell_type == "code":
        cell.outputs = _joined(cell.outputs)


def _failed(cell: Any, index: int, ending: Ending) -> Mapping[str, Any]:
    name = ending.error or NAMES.get(ending.status, "Failed")
    if not ending.error and cell.cell_type == "code":
        text = {"ename": name, "evalue": ending.reason, "traceback": [f"{name}: {ending.reason}"]}
        cell.outputs.append(nbformat.v4.new_output("error", **text))
    message = re.sub(r"\x1b\[[0-9;]*m", "", ending.reason)  # some kernels colour it
    return {
        "index": index,
        "number": index + 1,
        "id": cell.get("id"),
        "error": name,
        "message": message,
    }


def _joined(outputs: list[Any]) -> list[Any]:
    """Neighbouring pieces of one stream as one output, as a front end shows them."""
    joined: list[Any] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if (
            last is not None
            and output.output_type == last.output_type == "stream"
            and output.name == last.name
        ):
            last.text += output.text
        else:
            joined.append(output)
    return joined
