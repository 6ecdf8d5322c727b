"""A grid of parameters: every combination of the values that are given for each."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from mlops_magics.errors import WrongUsage
from mlops_magics.verbs.options import pair

EXAMPLE = "For example --grid depth=2,4,8 --grid rate=0.1,0.3."


def combinations(
    grid: Sequence[str] | Mapping[str, Sequence[Any]], params: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Every combination, the last parameter changing fastest; one empty one without a grid.

    Parameters
    ----------
    grid : sequence of str, or mapping
        ``K=a,b,c`` each, or ``K=["a,b", "c"]`` where a value holds a comma; or name → values.
    params : mapping
        Parameters that are given otherwise, which can't vary too.

    Raises
    ------
    WrongUsage
        If a parameter has no values, or is given twice.
    """
    found: dict[str, list[Any]] = {}
    for name, values in _read(grid):
        if name in found:
            raise WrongUsage(f"The grid names {name!r} twice.", "Put all its values in one place.")
        if name in params:
            raise WrongUsage(
                f"{name!r} is a parameter with one value and in the grid too.", "Leave one of them."
            )
        if not values:
            raise WrongUsage(f"The grid gives {name!r} no values.", EXAMPLE)
        # The same value twice would be the same run twice.
        found[name] = [v for i, v in enumerate(values) if v not in values[:i]]
    return [dict(zip(found, chosen, strict=True)) for chosen in itertools.product(*found.values())]


def _read(grid: Sequence[str] | Mapping[str, Sequence[Any]]) -> list[tuple[str, list[Any]]]:
    if isinstance(grid, Mapping):
        for name, values in grid.items():
            if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__iter__"):
                raise WrongUsage(
                    f"The grid's {name!r} is {values!r}, and has to be a list of values.",
                    f"For example grid={{{name!r}: [{values!r}]}}.",
                )
        return [(str(name), list(values)) for name, values in grid.items()]
    return [_read_word(word) for word in ([grid] if isinstance(grid, str) else grid)]


def _read_word(word: str) -> tuple[str, list[Any]]:
    try:
        name, text = pair(word)
    except WrongUsage as error:
        raise WrongUsage(error.message, EXAMPLE) from None
    if text.lstrip().startswith("["):
        try:
            return name, list(json.loads(text))
        except ValueError as error:
            raise WrongUsage(f"The grid's {name!r} is no JSON list: {error}.", EXAMPLE) from None
    return name, [part.strip() for part in text.split(",")] if text.strip() else []
