"""What changed in the code of two trainings, cell by cell."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Cells of which this share is the same are versions of one cell.
_ALIKE = 0.5
_CONTEXT = 3

Cell = Mapping[str, Any]


@dataclass(frozen=True)
class CellChanges:
    """Cells that differ, in the order in which they run, and how many do not.

    Attributes
    ----------
    found : tuple of dict
        ``change`` (``changed``, ``added`` or ``removed``), ``number`` (``[before, after]``,
        ``None`` where there is none) and ``diff`` (unified, without file names).
    """

    found: tuple[dict[str, Any], ...]
    unchanged: int


def compare(before: Sequence[Cell], after: Sequence[Cell]) -> CellChanges:
    """Match the cells of two slices and tell what differs.

    A cell is the same cell if it has the same source, else if the notebook gave it the same id,
    else if it is the last one, which trains, else if it is like no other cell more.

    Parameters
    ----------
    before, after : sequence of mapping
        Cells with ``number``, ``id`` (or ``None``) and ``source``.
    """
    pairs = _match(before, after)
    found: list[dict[str, Any]] = []
    unchanged = 0
    partner = {new: old for old, new in pairs}
    matched = {old for old, _ in pairs}
    # In the order of the newer run; what is gone stands where it was.
    gone = [i for i in range(len(before)) if i not in matched]
    for at, cell in enumerate(after):
        if at not in partner:
            found.append(_change("added", None, cell))
            continue
        while gone and gone[0] < partner[at]:
            found.append(_change("removed", before[gone.pop(0)], None))
        old = before[partner[at]]
        if old["source"] == cell["source"]:
            unchanged += 1
        else:
            found.append(_change("changed", old, cell))
    found += [_change("removed", before[i], None) for i in gone]
    return CellChanges(tuple(found), unchanged)


def _match(before: Sequence[Cell], after: Sequence[Cell]) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    old, new = list(range(len(before))), list(range(len(after)))

    def take(i: int, j: int) -> None:
        pairs.append((i, j))
        old.remove(i)
        new.remove(j)

    for key in ("source", "id"):
        for j in list(new):
            wanted = after[j].get(key)
            same = next((i for i in old if wanted and before[i].get(key) == wanted), None)
            if same is not None:
                take(same, j)
    if old and new and old[-1] == len(before) - 1 and new[-1] == len(after) - 1:
        take(old[-1], new[-1])
    alike = [
        (likeness, i, j)
        for i in old
        for j in new
        if (likeness := _likeness(str(before[i]["source"]), str(after[j]["source"]))) >= _ALIKE
    ]
    for _, i, j in sorted(alike, key=lambda found: (-found[0], found[1], found[2])):
        if i in old and j in new:
            take(i, j)
    return pairs


def _likeness(one: str, other: str) -> float:
    """The share of lines, and within one-line cells of words, that both have."""
    split = str.split if "\n" not in one.strip() + other.strip() else str.splitlines
    matcher = difflib.SequenceMatcher(None, split(one), split(other), autojunk=False)
    return matcher.ratio() if matcher.quick_ratio() >= _ALIKE else 0.0


def _change(change: str, before: Cell | None, after: Cell | None) -> dict[str, Any]:
    lines = difflib.unified_diff(
        str(before["source"]).splitlines() if before else [],
        str(after["source"]).splitlines() if after else [],
        lineterm="",
        n=_CONTEXT,
    )
    return {
        "change": change,
        "number": [cell.get("number") if cell else None for cell in (before, after)],
        "diff": "\n".join(list(lines)[2:]),
    }
