"""How an argument is spelled, where that differs from the parameter's own name."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_magics.errors import WrongUsage


@dataclass(frozen=True)
class Option:
    """Stands in ``Annotated[...]``; the doors translate it for their parser.

    Attributes
    ----------
    names : tuple of str
        All spellings, for example ``("-m", "--message")``.
    """

    names: tuple[str, ...]


def pair(text: str) -> tuple[str, str]:
    """The key and the value of a ``KEY=VALUE`` word.

    Raises
    ------
    WrongUsage
        If it is none.
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise WrongUsage(f"{text!r} is no KEY=VALUE pair.", "For example team=risk.")
    return key, value
