"""How an argument is spelled, where that differs from the parameter's own name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """Stands in ``Annotated[...]``; the doors translate it for their parser.

    Attributes
    ----------
    names : tuple of str
        All spellings, for example ``("-m", "--message")``.
    """

    names: tuple[str, ...]
