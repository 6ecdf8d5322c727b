"""What followed from verdicts: aliases that moved, and the history of it all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mlops_magics.records.base import Record


@dataclass(frozen=True, kw_only=True)
class Promotion(Record):
    """An alias that was moved, or is to be: from which version to which, by whom and why.

    Attributes
    ----------
    status : str
        ``promoted``, ``held`` until enough people have approved, or ``withdrawn``.
    objection : str
        What stood against it, where it was overridden.
    approvals : tuple of mapping
        Who has approved so far, whoever asked first among them: ``actor``, ``at``, ``reason``.
    needed : int
        How many people it takes.
    """

    model: str
    alias: str
    version: str
    previous: str | None
    actor: str
    at: str
    reason: str = ""
    verdict: str | None = None
    overridden: bool = False
    run_id: str = ""
    status: Literal["promoted", "held", "withdrawn"] = "promoted"
    approvals: tuple[Mapping[str, Any], ...] = ()
    needed: int = 1
    objection: str = ""
    model_digest: str = ""

    @property
    def exit_code(self) -> int:
        return 4 if self.status == "held" else 0


@dataclass(frozen=True, kw_only=True)
class Rollback(Record):
    """An alias, and what is deployed from it, put back to what it was before.

    Attributes
    ----------
    version, previous : str
        The version that the alias now names, and the one that it named until now.
    deployments : tuple of mapping
        ``name``, ``from``, ``to`` and ``url`` of each deployment that was moved with it.
    """

    name: str
    alias: str
    version: str
    previous: str
    actor: str
    at: str
    reason: str
    deployments: tuple[Mapping[str, Any], ...] = ()
    run_id: str = ""


@dataclass(frozen=True, kw_only=True)
class History(Record):
    """Who did what to a model, oldest first; each event as it was recorded.

    Attributes
    ----------
    intact : bool
        Whether the chain of entries is whole.
    problems : tuple of str
        What was altered or removed, one sentence each.
    head : str
        The digest of the newest entry, to be noted elsewhere.
    """

    name: str
    events: tuple[Mapping[str, Any], ...]
    intact: bool = True
    problems: tuple[str, ...] = ()
    head: str = ""
