"""Name → plugin, by entry point, imported only when it is asked for.

The built-ins register in ``pyproject.toml`` like anyone else's and have no privilege.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from mlops_magics.errors import MlopsError, UnknownName


@cache
def _found(kind: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=f"mlops_magics.{kind}s")}


def names(kind: str) -> list[str]:
    """Those of a kind: ``target``, ``metric``, ``flavor``, ``engine``, ``scheduler``, ``alert``."""
    return sorted(_found(kind))


def load(kind: str, name: str) -> Any:
    """Import and return the plugin of that kind and name.

    Raises
    ------
    UnknownName
        If nothing is registered under that name; lists the nearest.
    MlopsError
        If the plugin's module can't be imported; says which and why.
    """
    found = _found(kind)
    if name not in found:
        raise UnknownName(kind, name, found)
    try:
        return found[name].load()
    except (ImportError, AttributeError) as error:
        raise MlopsError(
            f"The {kind} {name!r} ({found[name].value}) can't be loaded: {error}.",
            "Install what it needs, or remove the package that registers it.",
        ) from error
