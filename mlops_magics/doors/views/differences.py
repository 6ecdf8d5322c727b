"""The view of what differs between two runs: metrics first, then all that may explain them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops_magics.doors.views.card import Card, Diff, Status, Table, short, show, size
from mlops_magics.doors.views.feature_drift import bars, level
from mlops_magics.records import Changes

#: How many lines of a diff, and rows of a table, are shown; the record has all.
_LINES, _ROWS = 150, 30


def changes(record: Changes) -> Card:
    """What differs in one sentence, then metrics, data, code, parameters and environment."""
    notes = list(record.warnings)
    tables = (
        _metrics(record),
        _model(record),
        _of_pairs("Parameters", "parameter", _both(record.params), notes),
        _of_pairs("Parameters that only one has", "parameter", _one(record.params), notes, rows=8),
        _columns(record),
        _distributions(record),
        _libraries(record, notes),
        _of_pairs("Where it ran", "environment", record.environment, notes),
    )
    return Card(
        "Changes",
        f"{record.b} → {record.a}",
        None,
        _lead(record),
        _facts(record),
        tables,
        notes,
        below=[_diff(cell) for cell in record.code],
    )


def _lead(record: Changes) -> str:
    """Counts of what differs, and where the main metric went."""
    both, one = _both(record.params), _one(record.params)
    differ = [
        *(["the data"] if record.data.get("same") is False else []),
        *(["the split"] if record.data.get("same") and record.data.get("split") else []),
        *(["the estimator"] if "estimator" in record.model else []),
        *_counted(len(both) + (0 if "estimator" in record.model else len(one)), "parameter"),
        *_counted(len(record.code), "cell"),
        *_counted(len(record.libraries), "library", "libraries"),
        *(["Python"] if "python" in record.environment else []),
    ]
    if not differ:
        lead = "Nothing that is recorded of data, code, parameters and libraries differs"
    else:
        lead = " and ".join(filter(None, (", ".join(differ[:-1]), differ[-1])))
        lead = f"{lead[:1].upper()}{lead[1:]} {'differ' if _many(differ) else 'differs'}"
    main = next(iter(record.metrics.items()), None)
    if main is None or not main[1].get("difference"):
        return f"{lead}."
    name, values = main
    better = values.get("better")
    word = "" if better is None else f" ({'better' if better else 'worse'})"
    return f"{lead}; {name} {show(values['before'])} → {show(values['after'])}{word}."


def _many(differ: list[str]) -> bool:
    return len(differ) > 1 or (differ[0][0].isdigit() and not differ[0].startswith("1 "))


def _counted(number: int, noun: str, plural: str = "") -> list[str]:
    return [f"{number} {noun if number == 1 else plural or noun + 's'}"] if number else []


def _both(pairs: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in pairs.items() if not _lacks(v)}


def _one(pairs: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in pairs.items() if _lacks(v)}


def _lacks(pair: Any) -> bool:
    return pair[0] is None or pair[1] is None


def _facts(record: Changes) -> dict[str, Any]:
    data, git = record.data, record.git
    split = "; ".join(
        f"{name.replace('_', ' ')} {_pair(pair)}"
        for name, pair in (data.get("split") or {}).items()
    )
    return {
        "data": _data(record),
        **({"split": split} if split else {}),
        **({"target": _pair(data["target"])} if data.get("target") else {}),
        "code": _code(record),
        **({"commit": _pair([_commit(c) for c in git["commit"]])} if git.get("commit") else {}),
        **({"uncommitted": _pair(git["uncommitted"])} if git.get("uncommitted") else {}),
    }


def _code(record: Changes) -> str:
    same = _counted(record.unchanged_cells, "cell")
    if not record.code:
        return f"the same: {same[0]}" if same else "not recorded"
    differ = _counted(len(record.code), "cell differs", "cells differ")
    alike = _counted(record.unchanged_cells, "is the same", "are the same")
    return ", ".join([*differ, *alike])


def _data(record: Changes) -> str:
    before, after = record.data.get("before"), record.data.get("after")
    if before and after:
        if record.data.get("same"):
            return f"the same: {_dataset(after)}"
        return f"other data: {_dataset(before)} → {_dataset(after)}"
    if after:
        return f"recorded for {record.a} only: {_dataset(after)}"
    return f"recorded for {record.b} only: {_dataset(before)}" if before else "not recorded"


def _dataset(data: Mapping[str, Any]) -> str:
    return f"{data['name']}, {show(data['rows'])} rows, {short(data['digest'])}"


def _commit(commit: Any) -> str:
    return str(commit)[:10] if commit else "none"


def _pair(pair: Any) -> str:
    return f"{_cut(pair[0])} → {_cut(pair[1])}"


def _cut(value: Any) -> str:
    text = short(value) if isinstance(value, str) else show(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _metrics(record: Changes) -> Table:
    rows = []
    for name, values in record.metrics.items():
        difference = values.get("difference")
        better = values.get("better")
        if better is None:
            word: Any = "same" if difference == 0 else ""
        else:
            word = Status("better", "good") if better else Status("worse", "bad")
        change = None if difference is None else f"{difference:+.4g}".replace("-", "−")
        rows.append((name, values.get("before"), values.get("after"), change or "–", word))
    return Table(("metric", record.b, record.a, "difference", ""), rows, "Metrics")


def _model(record: Changes) -> Table:
    rows = [
        (name, *(size(v) if name == "size" and v is not None else _cut(v) for v in pair))
        for name, pair in record.model.items()
    ]
    rows = [row for row in rows if row[1] != row[2]]  # a size may differ by bytes
    return Table(("model", "before", "after"), rows, "Model")


def _of_pairs(
    title: str, what: str, pairs: Mapping[str, Any], notes: list[str], rows: int = _ROWS
) -> Table:
    found = [(name, _cut(old), _cut(new)) for name, (old, new) in pairs.items()]
    if len(found) > rows:
        notes.append(f"{title}: {len(found) - rows} more are not shown; --json has all.")
    return Table((what, "before", "after"), found[:rows], title)


def _libraries(record: Changes, notes: list[str]) -> Table:
    """Those that the code had imported first, and said to be."""
    table = _of_pairs("Libraries", "library", record.libraries, notes)
    rows = [(*row, "yes" if row[0] in record.imported else "") for row in table.rows]
    return Table((*table.columns, "imported"), rows, table.title)


def _columns(record: Changes) -> Table:
    columns = record.data.get("columns") or {}
    rows = [
        *((Status("added", "plain"), n, "–", t) for n, t in columns.get("added", {}).items()),
        *((Status("removed", "warn"), n, t, "–") for n, t in columns.get("removed", {}).items()),
        *(
            (Status("retyped", "warn"), c["name"], c["before"], c["after"])
            for c in columns.get("retyped", ())
        ),
    ]
    return Table(("", "column", "before", "after"), rows, "Columns")


def _distributions(record: Changes) -> Table:
    """Those that moved most first; the columns that hardly did are left out."""
    found = record.data.get("distributions") or ()
    moved = [f for f in found if f.get("level") != "none"] or list(found)
    rows = [
        (level(f), f["name"], bars(f), f.get("psi"), f.get("reason", ""))
        for f in sorted(moved, key=lambda f: -(f.get("psi") or 0))
    ]
    source = record.data.get("compared", "")
    title = f"Distributions, from {source}" if source else "Distributions"
    heading = "before (line), after (bars)"
    return Table(("", "column", heading, "PSI", "why"), rows[:_ROWS], title)


def _diff(cell: Mapping[str, Any]) -> Diff:
    old, new = cell["number"]
    number = new if new is not None else old
    name = f"Cell {number}" if number is not None else "Code"
    moved = f" (was cell {old})" if None not in (old, new) and old != new else ""
    lines = str(cell["diff"]).splitlines()
    if len(lines) > _LINES:
        lines = [*lines[:_LINES], f"@@ {len(lines) - _LINES} more lines; --json has all @@"]
    return Diff(f"{name}{moved}: {cell['change']}", "\n".join(lines))
