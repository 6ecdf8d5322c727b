"""The cells of a recorded training as a notebook that takes parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics.errors import UnknownName, WrongUsage
from mlops_magics.records import Written
from mlops_magics.verbs.originals import Original

if TYPE_CHECKING:
    from mlops_magics.notebooks.slices import Notebook

#: What a cell prepares: its first word, where that is no option.
_PREPARED = re.compile(
    r"^(\s*(?:\w+\s*=\s*)?%prepare\s+)(\"[^\"]+\"|'[^']+'|[^\s-]\S*)", re.MULTILINE
)
_PREPARES = re.compile(r"%prepare\b|\bprepare\(")
_OPENING = re.compile(r"^%%(train|tune)\b(?!.*\s--data\b).*$", re.MULTILINE)


def notebook(original: Original) -> Notebook:
    """The cells in an order that runs, their literals lifted into a parameters cell."""
    from mlops_magics.notebooks import slices

    cells, before = original.cells()
    head = (
        f"# {original.name}: the recorded cells of {original.ref}\n\n"
        f"Run {original.run_id}, {original.record.get('started', '')}. These cells, and only "
        "these, made the model; they stand in an order that runs."
    )
    return slices.notebook(cells, head=head, before=before)


def check(original: Original, made: Notebook | None, params: Mapping[str, Any]) -> dict[str, Any]:
    """The given parameters as the types of the literals that they replace.

    Raises
    ------
    UnknownName
        If the cells assign no such literal; with the nearest.
    WrongUsage
        If a value has another type, or there is no literal to replace.
    """
    from mlops_magics.notebooks import parameters

    if not params:
        return {}
    if made is None or not parameters.declared(made):
        raise WrongUsage(
            f"The cells of {original.ref} have no parameter, but was given {', '.join(params)}.",
            "A parameter is a name that they set once, to a literal, before it is read.",
        )
    known = parameters.declared(made)
    for name in params:
        if name not in known:
            raise UnknownName(f"parameter in the cells of {original.ref}", name, known)
    return parameters.check(made, params)


def write(original: Original, path: Path, params: Mapping[str, Any]) -> Written:
    """Write the cells as a template for `execute`.

    Raises
    ------
    WrongUsage
        If no cells are recorded, parameters are given, or a file is in the way.
    """
    from mlops_magics.notebooks import files, parameters

    path = path if path.suffix == ".ipynb" else path.with_name(f"{path.name}.ipynb")
    if not original.slice.get("cells"):
        raise WrongUsage(f"No cells are recorded with {original.ref}.", "Train it in a cell.")
    if params:
        name, value = next(iter(params.items()))
        raise WrongUsage(
            "A template is written with the recorded values of its parameters.",
            f"Give others when it runs: mlops execute {path} -p {name} {value}",
        )
    if path.exists():
        raise WrongUsage(f"{path} is there already.", "Choose another path, or move it away.")
    made = notebook(original)
    names = list(parameters.declared(made))
    example = f" -p {names[0]} …" if names else ""
    made.cells[0].source = (
        f"# Train {original.name}\n\n"
        f"Made from the cells of {original.ref} (run {original.run_id}, "
        f"{original.record.get('started', '')}).\n\n"
        f"    mlops execute {path}{example}\n"
    )
    name_the_data(original, made)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, files.text_of(made).encode("utf-8", "backslashreplace"))
    unset = () if names else ("No literal could be lifted, so it has no parameters.",)
    return Written(path=str(path), warnings=unset)


def name_the_data(original: Original, made: Notebook) -> None:
    """Name the dataset that was at hand in the session, where no cell prepares one."""
    dataset = original.dataset
    if dataset is None or any(_PREPARES.search(cell.source) for cell in made.cells):
        return
    last = made.cells[-1]
    last.source = _OPENING.sub(rf"\g<0> --data {dataset.name}", last.source, count=1)


def take_data(original: Original, made: Notebook) -> None:
    """Let the notebook take the file that one of its cells prepares as the parameter ``data``."""
    from mlops_magics.notebooks import parameters, slices

    dataset = original.dataset
    if dataset is None or "data" in parameters.declared(made):
        return
    cells = [cell for cell in made.cells if _PREPARED.search(cell.source)]
    if len(cells) != 1:
        return
    (cell,) = cells
    found = _PREPARED.findall(cell.source)
    word = found[0][1].strip("\"'")
    # A variable of that name, or a file that is not what was recorded, stays as it is.
    if len(found) != 1 or Path(dataset.source).name != Path(word).name:
        return
    cell.source = _PREPARED.sub(r'\g<1>"{data}"', cell.source)
    slices.add_parameter(made, "data", word)
