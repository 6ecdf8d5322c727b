"""Where executed notebooks go: on this machine, or by way of it to a place that fsspec knows."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_magics.errors import WrongUsage
from mlops_magics.verbs.jobs import Job, stamp

if TYPE_CHECKING:
    from mlops_magics.notebooks.places import Remote

#: The longest name of an executed notebook's file, in characters.
LONGEST = 120


def of_one(job: Job, output: str, folder: Path) -> Job:
    """The job with where its notebook is written here, and where it goes from there in the end.

    Parameters
    ----------
    folder : Path
        Where executed notebooks go that are not told where to.

    Raises
    ------
    WrongUsage
        If `output` is the notebook that is run, or no place.
    """
    from mlops_magics.notebooks import places

    place = places.find(output, job.source.name)
    if isinstance(place, places.Remote):
        return _at(job, stamped(folder, Path(place.name).stem), place)
    slash = "/" if output.endswith(("/", os.sep)) else ""
    return _at(job, target_of(f"{place}{slash}" if output else "", job.source, folder))


def target_of(output: str, source: Path, folder: Path) -> Path:
    """Where the executed notebook goes on this machine; never over the notebook that is run."""
    if not output:
        return stamped(folder, source.stem)
    path = Path(output).expanduser()
    if output.endswith(("/", os.sep)) or path.is_dir():
        path = path / source.name
    path = path.resolve()
    if path == source:
        raise WrongUsage(
            f"{output} is the notebook that is run; its result can't take its place.",
            "Choose another path, or none: it then goes to `executed/`.",
        )
    return path if path.suffix == ".ipynb" else path.with_name(f"{path.name}.ipynb")


def stamped(folder: Path, stem: str) -> Path:
    """A notebook's name with the time in it, which no other has."""
    return folder / f"{stem}-{stamp()}.ipynb"


def of_several(todo: Sequence[Job], output: str, notebooks: Path) -> tuple[list[Job], str]:
    """The jobs with where each of their notebooks goes, and the folder in which they all are.

    Raises
    ------
    WrongUsage
        If `output` is a notebook, which can't hold several, or no place.
    """
    from mlops_magics.notebooks import places

    if output.endswith(".ipynb"):
        raise WrongUsage(
            f"{output} is one notebook, and {len(todo)} are to be run.", "Name a folder."
        )
    stems = {job.source.stem for job in todo}
    own = notebooks / f"{stems.pop() if len(stems) == 1 else 'notebooks'}-{stamp()}"
    names = [_name(number, len(todo), job) for number, job in enumerate(todo, 1)]
    if "://" not in output:
        folder = Path(output).expanduser().resolve() if output else own
        return [_at(job, folder / name) for job, name in zip(todo, names, strict=True)], str(folder)
    first = places.find(_as_folder(output), names[0])
    if isinstance(first, Path):
        return of_several(todo, str(first.parent), notebooks)
    remotes = [first.sibling(name) for name in names]
    named = [_at(job, own / r.name, r) for job, r in zip(todo, remotes, strict=True)]
    return named, first.folder


def _at(job: Job, target: Path, remote: Remote | None = None) -> Job:
    return replace(job, target=target, remote=remote)


def _as_folder(output: str) -> str:
    """A URI with the slash that says it is a folder; of a chain, the first is the file's."""
    first, *within = output.split("::")
    return "::".join([first if first.endswith("/") else f"{first}/", *within])


def _name(number: int, count: int, job: Job) -> str:
    """``07-train-depth=4.ipynb``: in order, and each tells what it is of."""
    told = "-".join(f"{name}={value}" for name, value in job.told.items())
    words = re.sub(r"[^\w.=+-]+", "_", f"{job.source.stem}-{told}" if told else job.source.stem)
    return f"{number:0{len(str(count))}d}-{words[:LONGEST]}.ipynb"
