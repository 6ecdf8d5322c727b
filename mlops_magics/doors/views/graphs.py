"""What was measured of a package's ONNX graph: before and after, and how close its answers are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops_magics.doors.views.card import Table, show, size


def facts(measured: Mapping[str, Any]) -> dict[str, Any]:
    """How the answers compare, in a line each; nothing for a package without a graph."""
    found = {}
    if parity := measured.get("parity"):
        found["parity"] = _parity(parity)
    if parity := measured.get("int8"):
        found["int8"] = _parity(parity)
    return found


def tables(measured: Mapping[str, Any]) -> tuple[Table, ...]:
    """Size and latency before and after."""
    if "size" not in measured:
        return ()
    rows = [("size", *(size(measured["size"][when]) for when in ("before", "after")))]
    latency = measured.get("latency", {})
    for key, name in (("p50_ms", "one row, median"), ("p95_ms", "one row, 95th percentile")):
        if latency:
            times = (f"{latency[when][key]:.3g} ms" for when in ("before", "after"))
            rows.append((name, *times))
    return (Table(("", "model", "graph"), rows),)


def _parity(found: Mapping[str, Any]) -> str:
    rows, equal, largest = found["rows"], found["labels_equal"], found["largest"]
    same = round(rows * equal) if equal is not None else None
    labels = f"{same:,} of {rows:,} labels equal" if same is not None else f"{rows:,} rows"
    return f"{labels}, differences {show(found['mean'])} on average, {largest:.2g} at most"
