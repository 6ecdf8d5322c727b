"""Which names stand for objects that share something, so that a change of one is felt by others."""

from __future__ import annotations

from collections.abc import Iterable

from mlops_magics.evidence import mutations
from mlops_magics.evidence.mutations import State

#: Marks what a cell itself has bound to a name, beside what the name was before.
_FRESH = "<new "


def fresh(name: str) -> str:
    """The node for the object that the present cell has bound to a name."""
    return f"{_FRESH}{name}>"


def node(name: str, *, bound: bool) -> str:
    """The node that a name stands for, where the cell has `bound` it before or has not."""
    return fresh(name) if bound else name


class Graph:
    """Names as nodes, and how a change of one object reaches those of other names."""

    def __init__(self) -> None:
        self._around: dict[str, list[tuple[str, str]]] = {}

    def tie(self, name: str, other: str, how: str) -> None:
        """Note that `name` shares something with `other`, as `how` of `sharing` says."""
        if not how:
            return
        self._around.setdefault(name, []).append((other, how))
        if how != "holds data":
            up = {"part": "whole", "holds": "held", "contains data": "held"}.get(how, how)
            self._around.setdefault(other, []).append((name, up))

    def reached(self, touched: Iterable[str], deep: Iterable[str]) -> set[str]:
        """The names whose object, as it was before the cell, is changed with those `touched`.

        What a container holds is changed with it only where the change is known to go so `deep`.
        """
        found = dict.fromkeys(touched, False) | dict.fromkeys(deep, True)
        waiting = list(found)
        while waiting:
            name = waiting.pop()
            for other, how in self._around.get(name, ()):
                if how.endswith("data") and not found[name]:
                    continue
                goes_deep = how == "part" or (how == "same" and found[name])
                if other not in found or (goes_deep and not found[other]):
                    found[other] = goes_deep
                    waiting.append(other)
        return {name for name in found if not name.startswith(_FRESH)}


def sharing(one: State, other: State, how: str) -> str:
    """How a change of `other` is one of `one`, by what both were seen to be; empty: it is none."""
    fixed = ("plain", "code", "module")
    if one.kind in fixed or other.kind in fixed or mutations.is_module(other):
        return ""
    if how == "same":
        return "same"
    if how == "part":
        return "part" if other.kind != "frame" else ""  # what is taken out of a frame is a copy
    if one.kind in ("frame", "array"):
        return ""
    if other.kind in ("frame", "array"):
        # A list of frames shows what becomes of them; a model keeps what it has learned.
        return "contains data" if one.kind == "container" else "holds data"
    return "holds"
