"""Data as `prepare` recorded it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlops_magics.records.base import Record


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a dataset: its type and what was seen in it.

    Attributes
    ----------
    type : str
        ``integer``, ``number``, ``boolean``, ``string``, ``datetime`` or ``object``.
    missing, distinct : int
        Counts of rows.
    """

    name: str
    type: str
    missing: int = 0
    distinct: int = 0


@dataclass(frozen=True, kw_only=True)
class Dataset(Record):
    """A dataset as `prepare` recorded it.

    Attributes
    ----------
    digest : str
        ``sha256:…`` over every value of every column, in order.
    schema : tuple of Column
    task : str
        ``classification``, ``regression`` or ``none`` (no target).
    positive : str or None
        For two classes, the class counted as positive.
    split : mapping
        How the rows were split: method, seed, ``train_rows``, ``test_rows`` and their digests.
    profile : mapping
        Column name → the statistics that drift is later judged against (training rows only).
    """

    name: str
    digest: str
    rows: int
    target: str | None
    schema: tuple[Column, ...]
    run_id: str = ""
    task: str = "none"
    positive: Any = None
    source: str = ""
    split: Mapping[str, Any] = field(default_factory=dict)
    profile: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __getattr__(self, name: str) -> Any:
        """What a notebook gets as variables, Python gets as ``data.X_train`` and so on."""
        bound = self.__dict__.get("bindings", {})
        if name in bound:
            return bound[name]
        raise AttributeError(f"A Dataset has no {name!r}; bound here: {', '.join(bound) or 'none'}")
