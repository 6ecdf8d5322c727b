"""Views of performance that was estimated: never without that word, nor without what it assumes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops_magics.doors.views.card import Status, Table, show


def words(performance: Mapping[str, Any]) -> list[str]:
    """How it was estimated and what that assumes, or why it was not."""
    estimated = performance.get("estimated") or {}
    if not estimated:
        return []
    if "metrics" not in estimated:
        return [f"Performance was not estimated: {estimated.get('reason', '')}."]
    calibrated = estimated.get("calibrated")
    fitted = "" if calibrated is None else ", calibrated" if calibrated else ", already calibrated"
    return [
        f"Estimated, not measured: {estimated['method']}{fitted}, from "
        f"{show(estimated['reference_rows'])} rows held out ({estimated['reference_source']}). "
        f"{estimated['assumption']}"
    ]


def tables(performance: Mapping[str, Any]) -> list[Table]:
    """Each metric estimated, with its interval; and beside what was measured by now."""
    estimated = performance.get("estimated") or {}
    figures = estimated.get("metrics") or {}
    before = estimated.get("reference") or {}
    found = [
        Table(
            ("estimated", "value", "95 % interval", "measured on rows held out"),
            [
                (_name(name), e["value"], _range(e["interval"]), before.get(name))
                for name, e in figures.items()
            ],
            f"Estimated performance of {show(estimated.get('rows'))} rows",
        )
    ]
    labelled = estimated.get("labelled")
    if labelled:
        found.append(
            Table(
                ("", "metric", "measured", "estimated", "95 % interval", "difference"),
                [
                    (
                        _agreement(e),
                        _name(name),
                        e["measured"],
                        e["estimated"],
                        _range(e["interval"]),
                        e["difference"],
                    )
                    for name, e in labelled["metrics"].items()
                ],
                f"Measured and estimated of the {show(labelled['rows'])} rows with a label",
            )
        )
    return found


def warnings(performance: Mapping[str, Any]) -> list[str]:
    """What to mind about the estimates."""
    return [str(w) for w in (performance.get("estimated") or {}).get("warnings", ())]


def _agreement(found: Mapping[str, Any]) -> Status:
    low, high = found["interval"]
    if found["far"]:
        return Status("disagrees", "bad")
    if low <= found["measured"] <= high:
        return Status("agrees", "good")
    return Status("just outside", "warn")


def _name(name: str) -> str:
    return name.replace("_", " ")


def _range(interval: Any) -> str:
    low, high = interval
    return f"{show(float(low))} to {show(float(high))}"
