"""What there is to tell of a model, to whoever has to decide about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mlops_magics.records.base import Record
from mlops_magics.records.data import Dataset
from mlops_magics.records.explanations import Explanation
from mlops_magics.records.verdicts import Verdict


@dataclass(frozen=True, kw_only=True)
class CardFact:
    """One field of a model card; without a value it is not recorded.

    Attributes
    ----------
    source : str
        Where it is recorded and, of a statement of people, by whom and when.
    said : bool
        Only people can know it, so its source is part of it.
    command : str
        What records it, where it is not recorded.
    trouble : str
        Why it can't be read, where it is recorded and can't be.
    form : str
        What the value is: text, ``bytes``, a ``moment``, a ``digest``, or what was ``used``.
    """

    name: str
    value: Any = None
    source: str = ""
    said: bool = False
    command: str = ""
    trouble: str = ""
    form: Literal["", "bytes", "moment", "digest", "used"] = ""

    @property
    def known(self) -> bool:
        """Whether there is a value."""
        return self.value not in (None, "") and not self.trouble


@dataclass(frozen=True, kw_only=True)
class CardTable:
    """A table of a model card; a `long` one unfolds at a click."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    source: str = ""
    long: bool = False


@dataclass(frozen=True, kw_only=True)
class CardSection:
    """A section of a model card; `notes` are sentences for whoever reads it."""

    name: str
    facts: tuple[CardFact, ...] = ()
    tables: tuple[CardTable, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ModelCard(Record):
    """What is on record of a version, in the fields of the usual templates.

    Attributes
    ----------
    at : str
        When the card was made, in UTC.
    standing : str
        ``passed``, ``failed``, ``stale``, ``not judged`` or ``can't be relied on``.
    lead : str
        The model in one sentence.
    intact : bool
        Whether files and history are as they were recorded.
    sections : tuple of CardSection
        In the order in which they are read.
    unsaid : tuple of str
        What only people can know and nobody has recorded.
    dataset, verdict, explanation : records or None
        What the sections of that name rest on; of the explanation all but its single rows.
    metadata : mapping
        What other tools read of a card: ``library``, ``task``, ``license``, ``dataset``,
        ``metrics``, ``estimator``, ``columns`` (whether the inputs are named columns).
    """

    model: str
    at: str = ""
    standing: str = "not judged"
    lead: str = ""
    intact: bool = True
    sections: tuple[CardSection, ...] = ()
    unsaid: tuple[str, ...] = ()
    dataset: Dataset | None = None
    verdict: Verdict | None = None
    explanation: Explanation | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        return 0 if self.intact else 5

    def section(self, name: str) -> CardSection:
        """The section of that name."""
        return next(s for s in self.sections if s.name == name)
