"""Whether two trainings agree: data, hyperparameters, metrics, predictions, libraries.

Each comparison gives the differences that it found, as ``what``, ``recorded``, ``found`` and
``difference`` (by how much), and none where both are the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlops_magics.records import Dataset
from mlops_magics.verbs import tuned

if TYPE_CHECKING:
    from mlops_magics.verbs.answering import Answers

Difference = dict[str, Any]

#: Metrics that measure the machine: they differ in any two runs.
_TIMED = re.compile(r"(^|[_./ ])(seconds?|secs?|s|ms|minutes?|time|duration|latency)$|^system/")

#: Where an object lies in memory, in the text that stands for it.
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")

#: Figures this many times smaller than the tolerance count as nothing.
_NOTHING = 1e-3


def close(a: float, b: float, tolerance: float) -> bool:
    """Whether two figures are the same within a relative tolerance; NaN is the same as NaN."""
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance * _NOTHING)


def difference(what: str, recorded: Any, found: Any, size: Any = None) -> Difference:
    """One difference; `size` says by how much."""
    return {"what": what, "recorded": recorded, "found": found, "difference": size}


def metrics(
    recorded: Mapping[str, float], found: Mapping[str, float], tolerance: float
) -> list[Difference]:
    """Metrics that differ by more than `tolerance`, relatively, or that only one side has."""
    differences = []
    for name in comparable(recorded, found):
        a, b = recorded.get(name), found.get(name)
        if a is None or b is None:
            differences.append(difference(f"metric {name}", a, b))
        elif not close(a, b, tolerance):
            differences.append(difference(f"metric {name}", a, b, b - a))
    return differences


def comparable(*sides: Mapping[str, float]) -> list[str]:
    """The metrics of any side that are not times, sorted."""
    return sorted({name for side in sides for name in side if not _TIMED.search(name)})


def hyperparameters(recorded: Mapping[str, str], found: Mapping[str, str]) -> list[Difference]:
    """Hyperparameters that differ, as the store holds them: as text.

    What a search suggested (`tuned.SUGGESTED`) is part of the code, and so compared with it.
    """
    names = sorted(n for n in {*recorded, *found} if not n.startswith(tuned.SUGGESTED))
    return [
        difference(f"hyperparameter {name}", recorded.get(name), found.get(name))
        for name in names
        if _ADDRESS.sub("", recorded.get(name, "")) != _ADDRESS.sub("", found.get(name, ""))
    ]


def data(recorded: Dataset, found: Dataset | None) -> list[Difference]:
    """How the data differs: content, rows, columns, split."""
    if found is None:
        return [difference("data", recorded.digest, None, "the training used no prepared dataset")]
    differences = []
    if recorded.digest != found.digest:
        rows = (
            f"{recorded.rows:,} rows, as before"
            if recorded.rows == found.rows
            else f"{recorded.rows:,} → {found.rows:,} rows"
        )
        differences.append(difference("data fingerprint", recorded.digest, found.digest, rows))
        differences += _columns(recorded, found)
    elif recorded.split.get("test_digest") != found.split.get("test_digest"):
        differences.append(
            difference(
                "split",
                recorded.split.get("test_digest"),
                found.split.get("test_digest"),
                f"{recorded.split.get('test_rows')} → {found.split.get('test_rows')} test rows",
            )
        )
    return differences


def _columns(recorded: Dataset, found: Dataset) -> list[Difference]:
    before = {c.name: c for c in recorded.schema}
    after = {c.name: c for c in found.schema}
    differences = []
    for name in [*before, *(n for n in after if n not in before)]:
        was, now = (side[name].type if name in side else None for side in (before, after))
        if was != now:
            differences.append(difference(f"column {name}", was, now))
        elif recorded.profile.get(name) != found.profile.get(name):
            differences.append(difference(f"column {name}", was, now, "other values"))
    return differences


def predictions(recorded: Answers, found: Answers, tolerance: float) -> list[Difference]:
    """How many of the rows are predicted differently, and by how much at most."""
    import numpy as np

    one, other = recorded.predictions, found.predictions
    if one.shape != other.shape:
        return [difference("predictions", _shape(one), _shape(other), "of another shape")]
    differences = []
    rows = len(one)
    if np.issubdtype(one.dtype, np.number) and np.issubdtype(other.dtype, np.number):
        apart, largest = _apart(one, other, tolerance)
        differences += _rows("predictions", apart, rows, largest)
    else:
        differences += _rows("predictions", one.astype(str) != other.astype(str), rows, None)
    p, q = recorded.probabilities, found.probabilities
    if p is None or q is None:
        return differences
    if p.shape != q.shape:
        return [
            *differences,
            difference("probabilities", _shape(p), _shape(q), "of another shape"),
        ]
    apart, largest = _apart(p, q, tolerance)
    return differences + _rows("probabilities", apart, rows, largest)


def _shape(values: Any) -> str:
    return " × ".join(map(str, values.shape))


def _apart(one: Any, other: Any, tolerance: float) -> tuple[Any, float]:
    """Which values differ (see `close`), and the largest difference of any two."""
    import numpy as np

    one, other = one.astype(float), other.astype(float)
    with np.errstate(invalid="ignore"):  # differences of infinities
        distance = np.abs(one - other)
        allowed = tolerance * np.maximum(np.maximum(abs(one), abs(other)), _NOTHING)
        near = np.isfinite(distance) & (distance <= allowed)
    same = near | (one == other) | (np.isnan(one) & np.isnan(other))
    return ~same, float(np.nanmax(distance, initial=0.0))


def _rows(what: str, apart: Any, rows: int, largest: float | None) -> list[Difference]:
    count = int(apart.reshape(rows, -1).any(axis=1).sum())
    if not count:
        return []
    text = f"{count:,} of {rows:,} rows ({count / rows:.1%})"
    if largest is not None:
        text += f", by at most {largest:.3g}"
    return [difference(what, rows, rows - count, text)]


def environments(recorded: Mapping[str, Any], found: Mapping[str, Any]) -> list[Difference]:
    """Python, imported libraries and the project's own modules that are others now.

    Parameters
    ----------
    recorded, found : mapping
        The ``mlops/record.json`` of both runs.
    """
    before, after = recorded.get("packages", {}), found.get("packages", {})
    lock, again = recorded.get("lock", {}), found.get("lock", {})
    differences = []
    pythons = [side.get("environment", {}).get("python") for side in (recorded, found)]
    if pythons[0] != pythons[1]:
        differences.append(difference("Python", *pythons))
    for name in sorted({*lock.get("imported", before), *again.get("imported", ())}):
        a, b = before.get(name), after.get(name)
        if a != b:
            differences.append(difference(f"library {name}", a, b))
        elif _other_build(lock, again, name):
            differences.append(difference(f"library {name}", a, b, "another build"))
    mine = {m["name"]: m["digest"] for m in lock.get("modules", ())}
    now = {m["name"]: m["digest"] for m in again.get("modules", ())}
    differences += [
        difference(f"module {name}", mine[name], now[name], "its source was changed")
        for name in sorted(mine.keys() & now.keys())
        if mine[name] != now[name]
    ]
    return differences


def _other_build(lock: Mapping[str, Any], again: Mapping[str, Any], name: str) -> bool:
    a, b = (side.get("records", {}).get(name) for side in (lock, again))
    return bool(a and b and a != b)


def sentence(differences: Sequence[Difference]) -> str:
    """The differences in one clause: each kind, with figures where there are few."""

    def said(kind: str) -> list[str]:
        found = [d for d in differences if d["what"].startswith(kind)]
        shown = [_said(d) for d in found[:3]]
        return [*shown, *([f"{len(found) - 3} more"] if len(found) > 3 else [])]

    kinds = ("parameter", "data", "split", "hyperparameter", "metric", "predictions", "probab")
    return "; ".join(part for kind in kinds for part in said(kind))


def _said(one: Difference) -> str:
    what, how = one["what"], one["difference"]
    if what.startswith(("metric", "hyperparameter", "parameter")):
        return f"{what} {_short(one['recorded'])} → {_short(one['found'])}"
    return f"{what}: {how}" if how else what


def _short(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
