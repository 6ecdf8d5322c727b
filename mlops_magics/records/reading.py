"""A record as its JSON has it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def read(kind: type[T], body: Mapping[str, Any], **nested: type[Any]) -> T:
    """A record from its JSON; what its type does not know is left out.

    Parameters
    ----------
    nested
        Field → the type of each of its entries.

    Raises
    ------
    ValueError
        If it is no such record.
    """
    if not isinstance(body, Mapping):
        raise ValueError(f"it is no {kind.__name__}")
    known = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in body.items() if k in known}
    for name, entry in nested.items():
        values[name] = tuple(read(entry, each) for each in values.get(name, ()))
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"it is no {kind.__name__}: {error}") from error
