"""The rows on which a graph must answer as its model does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Rows as the model takes them.

    Attributes
    ----------
    source : str
        What they are, in words.
    """

    data: Any
    source: str
