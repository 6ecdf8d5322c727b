"""Whether a state that was kept fits a notebook, and laying its cells into it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import nbformat

from mlops_magics.errors import MlopsError
from mlops_magics.evidence import cells, installed, names
from mlops_magics.notebooks import parameters

if TYPE_CHECKING:
    from mlops_magics.notebooks.cards import Card
    from mlops_magics.notebooks.running import Plan

#: Where a cell's metadata names the run that it is kept from.
KEPT = "mlops_kept_from"
_RESULTS = re.compile(r"_{1,3}|_\d+|Out")
_MAGICS = re.compile(r"^\s*[%!].*$", re.MULTILINE)


def code_cells(notebook: nbformat.NotebookNode) -> list[int]:
    """The places of the code cells."""
    return [number for number, cell in enumerate(notebook.cells) if cell.cell_type == "code"]


def digest(cell: Mapping[str, Any]) -> str:
    """What a cell is known by; the injected parameters are compared as values, not as text."""
    injected = parameters.INJECTED in cell["metadata"].get("tags", ())
    return parameters.INJECTED if injected else cells.digest(cell["source"])


def reads_results(notebook: nbformat.NotebookNode) -> bool:
    """Whether a cell reads ``_``, ``_12`` or ``Out``, where IPython has the results of cells."""
    sources = [_MAGICS.sub("", notebook.cells[place].source) for place in code_cells(notebook)]
    return any(_RESULTS.fullmatch(name) for s in sources for name in names.analyse(s).reads)


def check(
    card: Card, plan: Plan, notebook: nbformat.NotebookNode, packages: Mapping[str, str]
) -> None:
    """Refuse a state which is not what the notebook as it stands would have come to.

    Raises
    ------
    MlopsError
        With the reason, to follow on "because".
    """
    kept = card.checkpoint
    if kept is None:
        raise MlopsError(card.lost or "it ended before a cell had run whose state could be kept")
    places = code_cells(notebook)
    if len(places) < len(kept["cells"]):
        raise MlopsError("cells which it had run are no longer in the notebook")
    for place, then in zip(places, kept["cells"], strict=False):
        if digest(notebook.cells[place]) != then:
            raise MlopsError(f"cell {place + 1} is not the one that it had run")
    if reads_results(notebook) and not kept["results"]:
        raise MlopsError("a cell now reads results (`_`, `Out`), which were not kept")
    if list(kept["kernel"]) != [plan.kernel.name, plan.kernel.program]:
        raise MlopsError(f"it ran in another kernel ({kept['kernel'][0]})")
    if changed := _changed(kept, plan, packages):
        raise MlopsError(f"{changed} since")
    for file, then in kept["files"].items():
        if _file(file) != then:
            raise MlopsError(f"{file}, which its cells had imported, has been changed since")


def _changed(kept: Mapping[str, Any], plan: Plan, packages: Mapping[str, str]) -> str:
    """The packages that were imported and are others now."""
    before = kept["packages"]
    changed = [name for name, version in before.items() if packages.get(name) != version]
    if changed and plan.kernel.ours:
        imported, there = set(kept["modules"]), installed.distributions()
        changed = [
            name
            for name in changed
            if name not in there or installed.details(there[name]).modules & imported
        ]
    told = [f"{name} {before[name]} → {packages.get(name, 'gone')}" for name in changed[:3]]
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return f"packages have changed ({', '.join(told)}{more})" if changed else ""


def _file(path: str) -> str:
    import hashlib

    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def lay(cell: Any, line: Mapping[str, Any]) -> None:
    """Give a cell what is kept of it."""
    cell.outputs = nbformat.from_dict(line["outputs"])
    cell.execution_count = line["execution_count"]
    cell.metadata.papermill = nbformat.from_dict(line["papermill"])
    cell.metadata[KEPT] = line["event"]
    cell["id"] = line["id"]  # of injected parameters it would be a new one
