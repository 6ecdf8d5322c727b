"""What Tab offers after a magic: options, their values, models, aliases, deployments, variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops_magics import store
from mlops_magics.doors import parsing
from mlops_magics.errors import MlopsError


def candidates(line: str, namespace: Mapping[str, Any]) -> list[str]:
    """The completions of the last word of a magic's line."""
    words = line.lstrip("%").split()
    if not words:
        return []
    verb, typed = words[0], "" if line.endswith((" ", "\t")) else words[-1]
    earlier = words[1:] if not typed else words[1:-1]
    try:
        if typed.startswith("-"):
            offered = parsing.options(verb)
        elif earlier and earlier[-1].startswith("-"):
            offered = _values(verb, earlier[-1], namespace)
        else:
            offered = _positional(verb, len(earlier), namespace)
    except MlopsError:
        return []
    return sorted({o for o in offered if o.startswith(typed)})


def _values(verb: str, option: str, namespace: Mapping[str, Any]) -> list[str]:
    kind = parsing.references(verb).get(option.lstrip("-").replace("-", "_"), "")
    return parsing.choices(verb, option) or _of_kind(kind, namespace)


def _positional(verb: str, place: int, namespace: Mapping[str, Any]) -> list[str]:
    kinds = parsing.positional(verb)
    return _of_kind(kinds[min(place, len(kinds) - 1)], namespace) if kinds else []


def _of_kind(kind: str, namespace: Mapping[str, Any]) -> list[str]:
    if kind in ("model", "record"):
        return store.offered.models()
    if kind == "deployment":
        return store.offered.deployments()
    if kind == "data":
        tables = [n for n, v in namespace.items() if hasattr(v, "columns") and n[0] != "_"]
        return [*tables, *store.offered.datasets()]
    if kind == "name":
        return [m for m in store.offered.models() if "@" not in m and "/" not in m]
    return []
