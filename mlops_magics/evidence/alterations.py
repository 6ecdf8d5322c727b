"""What differs between two manifests of a notebook, in sentences that name cell and field."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from mlops_magics.evidence.manifests import canonical

#: Part of a cell → what is said when it differs.
PARTS = {
    "type": "its type was changed",
    "source": "the source was changed",
    "outputs": "the outputs were changed",
    "count": "the execution count was changed",
    "rest": "its metadata was changed",
}


def compare(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """One sentence for each thing that is not as it was; none if nothing differs.

    Parameters
    ----------
    was, now : mapping
        As `mlops_magics.evidence.manifests.manifest` makes them.
    """
    return [
        *_cells(was["cells"], now["cells"]),
        *_fields("record field", was["record"], now["record"]),
        *_fields("metadata field", was["metadata"], now["metadata"]),
        *_fields("file field", was["format"], now["format"]),
    ]


def _fields(kind: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    said = []
    for name in sorted(was.keys() | now.keys()):
        if name not in now:
            said.append(f"The {kind} {name!r} was removed.")
        elif name not in was:
            said.append(f"The {kind} {name!r} was added.")
        elif not _same(was[name], now[name]):
            said.append(f"The {kind} {name!r} was changed.")
    return said


def _cells(was: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> list[str]:
    old, new = _keyed(was), _keyed(now)
    said = [
        f"{_name(number, old[key])} was removed."
        for number, key in enumerate(old, 1)
        if key not in new
    ]
    for number, key in enumerate(new, 1):
        cell = new[key]
        if key not in old:
            said.append(f"{_name(number, cell)} was added.")
            continue
        changed = [words for part, words in PARTS.items() if not _same(old[key][part], cell[part])]
        if changed:
            said.append(f"{_name(number, cell)}: {_listed(changed)}.")
    return said + _moved(list(old), list(new), new)


def _moved(old: list[str], new: list[str], cells: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Which cells left their place, as few as explain the new order."""
    common = set(old) & set(new)
    before = [key for key in old if key in common]
    after = [key for key in new if key in common]
    if before == after:
        return []
    blocks = difflib.SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
    stayed = {key for block in blocks for key in before[block.a : block.a + block.size]}
    return [
        f"{_name(old.index(key) + 1, cells[key])} was moved: it now stands at {new.index(key) + 1}."
        for key in before
        if key not in stayed
    ]


def _keyed(cells: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Cells by id; those without one (before notebook format 4.5) by position."""
    found: dict[str, Mapping[str, Any]] = {}
    for position, cell in enumerate(cells):
        key = cell["id"] if isinstance(cell["id"], str) else f"#{position}"
        while key in found:
            key += f"#{position}"
        found[key] = cell
    return found


def _name(number: int, cell: Mapping[str, Any]) -> str:
    return f"Cell {number} ({cell['id']!r})" if cell["id"] is not None else f"Cell {number}"


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _same(one: Any, other: Any) -> bool:
    # By canonical bytes: in Python True equals 1, in a notebook it does not.
    return canonical(one) == canonical(other)
