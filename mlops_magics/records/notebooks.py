"""Notebooks that were run, and whether their records are whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlops_magics.errors import HeldForApproval, NotIntact, Refused
from mlops_magics.records.base import Record
from mlops_magics.records.promotions import Promotion
from mlops_magics.records.verdicts import Verdict


@dataclass(frozen=True, kw_only=True)
class NotebookParameter:
    """A parameter as its notebook declares it.

    Attributes
    ----------
    default : str
        As it is written in the notebook; empty if there is none, masked if it is a secret.
    help : str
        The comment beside it.
    """

    name: str
    type: str
    default: str = ""
    required: bool = False
    help: str = ""


@dataclass(frozen=True, kw_only=True)
class NotebookHelp(Record):
    """What a notebook takes; nothing was run.

    Attributes
    ----------
    title : str
        Its first heading.
    """

    notebook: str
    title: str = ""
    kernel: str = ""
    parameters: tuple[NotebookParameter, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Execution(Record):
    """A notebook run headlessly.

    Attributes
    ----------
    status : str
        ``finished``, ``failed``, ``interrupted``, ``killed`` or ``timed out``.
    failed_cell : mapping or None
        Index, id, error name and message of the cell at which it stopped.
    reason : str
        Why it did not finish.
    cells : mapping
        How many were run, failed and never reached; ``kept``, which is not among those that were
        run: how many are an earlier run's.
    output : str
        Where the executed notebook lies.
    unwritten : str
        Where it was to go instead, if it could not be written there.
    attempt, place : int, str
        Which attempt this is, from 1, and the worker that made it; `earlier` holds ``place`` and
        ``started`` of those that were lost with their workers.
    varied : mapping
        The parameters that tell it from the others of a grid.
    resumed : mapping or None
        Of a run with ``--resume``: ``event`` and ``output`` of the earlier run, ``from_cell`` at
        which it went on, ``kept`` and ``again`` (numbers of the cells that are that run's, and
        that ran a second time), ``why`` it ended there; without ``from_cell`` it ran from the top,
        as its warnings say.
    checkpoint : mapping or None
        Of a run that did not finish: the ``cell`` after which ``--resume`` goes on, 0 if there is
        none; ``why`` it is not a later one.

    The exit code is 0 when it finished and lies where it was to go, and 1 otherwise, but that of
    the error where a cell stopped because something was judged and found wanting (3), held for
    approval (4) or not intact (5).
    """

    notebook: str
    output: str
    status: str
    params: Mapping[str, Any] = field(default_factory=dict)
    failed_cell: Mapping[str, Any] | None = None
    cells: Mapping[str, int] = field(default_factory=dict)
    duration: float = 0.0
    html: str | None = None
    digest: str = ""
    steps: tuple[Mapping[str, Any], ...] = ()
    run_id: str = ""
    reason: str = ""
    attempt: int = 1
    place: str = ""
    earlier: tuple[Mapping[str, Any], ...] = ()
    varied: Mapping[str, Any] = field(default_factory=dict)
    unwritten: str = ""
    resumed: Mapping[str, Any] | None = None
    checkpoint: Mapping[str, Any] | None = None

    @property
    def exit_code(self) -> int:
        if self.status == "finished":
            return 1 if self.unwritten else 0
        # What a step inside found wanting, was found wanting.
        error = str((self.failed_cell or {}).get("error", ""))
        said = {kind.__name__: kind.exit_code for kind in (Refused, HeldForApproval, NotIntact)}
        return said.get(error, 1) if self.status == "failed" else 1


@dataclass(frozen=True, kw_only=True)
class Executions(Record):
    """Several notebooks, or one with several sets of parameters, run at the same time.

    Attributes
    ----------
    runs : tuple of Execution
        In the order in which they were asked for; the status of one that was not begun is
        ``never ran``.
    folder : str
        Where the executed notebooks are.
    engine : str
        What ran them, and `jobs` how many at a time.
    duration : float
        Seconds for all.

    The exit code is 1 if any of them failed; else the largest of theirs.
    """

    runs: tuple[Execution, ...]
    folder: str = ""
    engine: str = ""
    jobs: int = 1
    duration: float = 0.0

    @property
    def exit_code(self) -> int:
        codes = {run.exit_code for run in self.runs}
        return 1 if 1 in codes else max(codes, default=0)


@dataclass(frozen=True, kw_only=True)
class Retraining(Record):
    """Whether the condition held, and what followed.

    ``outcome``: ``not fired``, ``promoted``, ``held`` or ``not better``. With a `promotion` that
    waits for another person's approval it is held too.
    """

    name: str
    fired: bool
    outcome: str
    verdict: Verdict | None = None
    promotion: Promotion | None = None
    condition: str = ""
    reason: str = ""
    execution: Execution | None = None
    candidate: str | None = None
    champion: str | None = None
    run_id: str = ""

    @property
    def exit_code(self) -> int:
        if self.outcome == "not better":
            return 3
        return self.promotion.exit_code if self.promotion else 0


@dataclass(frozen=True, kw_only=True)
class Verification(Record):
    """Whether a record is as it was sealed, and if not, what was changed.

    Attributes
    ----------
    entries, head : int, str
        Of a model: the entries of its history, and the hash of the newest one, to be noted
        elsewhere.
    """

    path: str
    intact: bool
    problems: tuple[str, ...] = ()
    signer: str = ""
    sealed: str = ""
    cells: int = 0
    entries: int = 0
    head: str = ""

    @property
    def exit_code(self) -> int:
        return 0 if self.intact else 5
