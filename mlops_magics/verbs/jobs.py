"""A notebook that is to be run, with everything about it checked before a kernel starts."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics.records import Execution

if TYPE_CHECKING:
    from mlops_magics.notebooks.kernels import Kernel
    from mlops_magics.notebooks.places import Remote
    from mlops_magics.notebooks.slices import Notebook


@dataclass(frozen=True, kw_only=True)
class Job:
    """One notebook and one set of parameters.

    Attributes
    ----------
    params, references : mapping
        The parameters with their values, and of those that came by reference, which.
    target : Path
        Where the executed notebook is written on this machine, and `remote` where it goes from
        there in the end.
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
    references: Mapping[str, str] = field(default_factory=dict)
    varied: Mapping[str, Any] = field(default_factory=dict)
    remote: Remote | None = None
    timeout: float | None = None
    cell_timeout: float | None = None
    event: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def written(self) -> dict[str, Any]:
        """The parameters as they may be written."""
        from mlops_magics.notebooks import references

        return references.written(self.params, self.references)

    @property
    def told(self) -> dict[str, Any]:
        """What varies as it may be shown: secrets masked, references as they were given."""
        written = self.written
        return {name: written[name] for name in self.varied}

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
            params=self.written,
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


def stamp() -> str:
    """The time as a part of a file's name."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"
