"""A notebook that is to be run, with everything about it checked before a kernel starts."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics.errors import WrongUsage
from mlops_magics.evidence import secrets
from mlops_magics.records import Execution

if TYPE_CHECKING:
    from mlops_magics.notebooks.kernels import Kernel
    from mlops_magics.notebooks.slices import Notebook

#: The longest name of an executed notebook's file, in characters.
LONGEST = 120


@dataclass(frozen=True, kw_only=True)
class Job:
    """One notebook and one set of parameters.

    Attributes
    ----------
    varied : mapping
        The parameters that tell it from the others of a grid.
    arguments : mapping
        What the verb was called with, for the record.
    event : str
        The id of this execution: the same whichever worker does it, and however often.
    """

    source: Path
    notebook: Notebook
    kernel: Kernel
    params: Mapping[str, Any]
    target: Path
    arguments: Mapping[str, Any]
    varied: Mapping[str, Any] = field(default_factory=dict)
    timeout: float | None = None
    cell_timeout: float | None = None
    event: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def told(self) -> dict[str, Any]:
        """What varies as it may be shown: secrets masked."""
        return secrets.mask(self.varied)

    @property
    def label(self) -> str:
        """How a line of progress names it."""
        told = ", ".join(f"{name}={value}" for name, value in self.told.items())
        return f"{self.source.name} {told}".strip()

    def without_result(self, status: str, reason: str) -> Execution:
        """The record of a run of which nothing came back."""
        return Execution(
            notebook=str(self.source),
            output="",
            status=status,
            params=secrets.mask(self.params),
            varied=self.told,
            reason=reason,
        )


@dataclass(frozen=True)
class Attempt:
    """Which attempt at a job this was, and where; `earlier` ones were lost with their workers."""

    number: int = 1
    place: str = ""
    earlier: tuple[Mapping[str, Any], ...] = ()


#: The usual one.
FIRST = Attempt()


def folder_of(sources: Sequence[Path], output: str, notebooks: Path) -> Path:
    """Where the executed notebooks of several runs go together.

    Raises
    ------
    WrongUsage
        If `output` is a notebook, which can't hold several.
    """
    if not output:
        names = {source.stem for source in sources}
        return notebooks / f"{names.pop() if len(names) == 1 else 'notebooks'}-{stamp()}"
    if output.endswith(".ipynb"):
        raise WrongUsage(
            f"{output} is one notebook, and {len(sources)} are to be run.", "Name a folder."
        )
    return Path(output).expanduser().resolve()


def name_of(number: int, count: int, job: Job) -> str:
    """``07-train-depth=4.ipynb``: in order, and each tells what it is of."""
    told = "-".join(f"{name}={value}" for name, value in job.told.items())
    words = re.sub(r"[^\w.=+-]+", "_", f"{job.source.stem}-{told}" if told else job.source.stem)
    return f"{number:0{len(str(count))}d}-{words[:LONGEST]}.ipynb"


def stamp() -> str:
    """The time as a part of a file's name."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"
