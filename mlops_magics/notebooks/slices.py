"""Cells that were recorded → a notebook that runs by itself, its parameters in one tagged cell."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mlops_magics.notebooks import lifting, parameters
from mlops_magics.notebooks.lifting import Lifted

#: A notebook as this room hands it out.
Notebook: TypeAlias = nbformat.NotebookNode

EXTENSION = "%load_ext mlops_magics"
_LOADED = re.compile(r"^\s*%(re)?load_ext\s+mlops_magics\b", re.MULTILINE)


def notebook(cells: Sequence[Mapping[str, Any]], *, head: str, before: str = "") -> Notebook:
    """A notebook of recorded cells, ready to be executed.

    Parameters
    ----------
    cells : sequence of mapping
        Each with ``source`` as typed and ``number``, in an order that runs.
    head : str
        Markdown that says what it was made from.
    before : str
        Code that the cells need to stand before them, such as the folder of a script.

    Returns
    -------
    Notebook
        Each code cell that was recorded has its number as ``metadata.mlops.cell``.
    """
    sources = [str(cell["source"]).strip("\n") for cell in cells]
    found, rest = lifting.lift(sources)
    numbers = [cell.get("number") for cell in cells]
    loads = any(_LOADED.search(source) for source in sources)
    opening = "\n".join(filter(None, ["" if loads else EXTENSION, before]))
    made = [new_markdown_cell(head)]
    if opening:
        made.append(new_code_cell(opening))
    if found:
        lines = [_line(one, numbers[one.cell]) for one in found]
        made.append(new_code_cell("\n".join(lines), metadata={"tags": [parameters.TAG]}))
    made += [
        new_code_cell(source, metadata={"mlops": {"cell": number}})
        for source, number in zip(rest, numbers, strict=True)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    done: Notebook = new_notebook(cells=made, metadata={"kernelspec": kernel})
    return done


def _line(one: Lifted, number: Any) -> str:
    annotation = f": {one.annotation}" if one.annotation else ""
    return f"{one.name}{annotation} = {one.value!r}  # cell {number}"


def add_parameter(notebook: Notebook, name: str, value: str) -> None:
    """One more text for the parameters cell, which is made if there is none."""
    line = f"{name}: str = {value!r}"
    for cell in notebook.cells:
        if parameters.TAG in cell.metadata.get("tags", ()):
            cell.source = f"{cell.source}\n{line}"
            return
    made = new_code_cell(line, metadata={"tags": [parameters.TAG]})
    notebook.cells.insert(1, made)  # after the heading


def number_of(notebook: Mapping[str, Any], index: int) -> Any:
    """The recorded number of the cell at `index`; ``None`` for a cell that was added."""
    return notebook["cells"][index].get("metadata", {}).get("mlops", {}).get("cell")
