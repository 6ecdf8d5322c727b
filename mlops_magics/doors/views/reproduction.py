"""The view of a training that was run again."""

from __future__ import annotations

from typing import Any

from mlops_magics.doors.views.card import Card, Status, Table, seconds, short, show
from mlops_magics.records import Reproduction

_TONES: dict[str, Any] = {"reproduced": "good", "differs": "warn", "can't run": "bad"}


def reproduction(record: Reproduction) -> Card:
    """The verdict, what was compared, and each difference with its size."""
    where = {"lock": "a fresh environment made from the recorded lock"}
    compared = {k: v for k, v in record.compared.items() if k != "environment"}
    facts = {
        **({"compared": compared, "tolerance": f"{record.tolerance:g}"} if compared else {}),
        **({"parameters": dict(record.params)} if record.params else {}),
        "ran in": where.get(record.environment, "this environment"),
        "took": seconds(record.duration),
        **({"notebook": record.notebook} if record.notebook else {}),
    }
    rows = [
        (
            str(one.get("what", "")),
            _value(one.get("recorded")),
            _value(one.get("found")),
            _size(one.get("difference")),
        )
        for one in record.differences
    ]
    return Card(
        "Reproduction",
        record.ref,
        Status(record.outcome, _TONES.get(record.outcome, "plain")),
        record.reason,
        facts,
        (Table(("what", "recorded", "found", "difference"), rows, "Differences"),) if rows else (),
        record.warnings,
        f"run {record.run_id}" if record.run_id else "",
    )


def _value(value: Any) -> str:
    """A figure with all its digits, where they are what differs."""
    if isinstance(value, float):
        return repr(value)
    return short(value) if isinstance(value, str) else show(value)


def _size(value: Any) -> str:
    return f"{value:+.3g}" if isinstance(value, float) else show(value)
