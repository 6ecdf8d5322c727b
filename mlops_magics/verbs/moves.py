"""How the aliases of a model were moved, as the history has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlops_magics import store

#: The files in which steps tell how they moved an alias.
PROMOTION, ROLLBACK = "promotion.json", "rollback.json"
#: Who trains moves this one; it says no more than "the newest".
NOT_GUARDED = "candidate"


@dataclass(frozen=True)
class Move:
    """One alias that was moved from `previous` to `version`; `back` by a rollback.

    Attributes
    ----------
    surely : bool
        Whether the step got to its end; one that was killed may or may not have moved it.
    """

    alias: str
    version: str
    previous: str | None
    run_id: str
    at: str = ""
    actor: str = ""
    back: bool = False
    surely: bool = True


def of(name: str) -> list[Move]:
    """Every move that is recorded, oldest first."""
    found = []
    for run in store.ledger.steps(name, "promote", "rollback"):
        verb, status = run.data.tags["mlops.verb"], run.data.tags.get("mlops.status", "")
        if status == "failed":
            continue
        told = store.ledger.read(run, PROMOTION if verb == "promote" else ROLLBACK)
        if not isinstance(told, Mapping) or told.get("status", "promoted") != "promoted":
            continue
        found.append(
            Move(
                alias=str(told["alias"]),
                version=str(told["version"]),
                previous=told.get("previous"),
                run_id=str(run.info.run_id),
                at=str(told.get("at", "")),
                actor=str(told.get("actor", "")),
                back=verb == "rollback",
                surely=status == "finished",
            )
        )
    return sorted(found, key=lambda move: move.at)


def standing(name: str, alias: str) -> list[str]:
    """The versions that the alias stood on, the present one last; what was rolled back is gone."""
    stack: list[str] = []
    for move in of(name):
        if move.alias != alias or not move.surely:
            continue
        if move.back and move.version in stack:
            del stack[stack.index(move.version) + 1 :]
            continue
        if not move.back and move.previous and stack[-1:] != [move.previous]:
            stack.append(move.previous)  # it was moved there before this history began, or by hand
        if stack[-1:] != [move.version]:
            stack.append(move.version)
    return stack


def misplaced(name: str) -> list[str]:
    """Aliases that are not where the history has them, one sentence each."""
    versions = store.versions.of(name)
    now = {alias: v.ref for v in versions for alias in v.aliases if alias != NOT_GUARDED}
    last: dict[str, list[Move]] = {}
    for move in of(name):
        last.setdefault(move.alias, []).append(move)
    problems = []
    for alias in sorted({*now, *last}):
        moved = last.get(alias, [])
        here = now.get(alias)
        if not moved:
            problems.append(
                f"The alias {alias} names {here}, and no step of the history has moved it there."
            )
            continue
        expected = [m.version for m in moved if m.surely][-1:]
        # A step that was killed may have moved it or not.
        expected += [m.version for m in moved if not m.surely][-1:]
        if here not in expected:
            where = f"names {here}" if here else "is gone"
            problems.append(
                f"The alias {alias} {where}, and by the history it names {expected[0]}: it was "
                "moved by other means."
            )
    return problems
