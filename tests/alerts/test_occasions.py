"""When someone is told: of changes, once, and of what stays only after a while."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from mlops_magics.alerts import occasions

DAY = timedelta(days=1)
#: A look: what is broken, whether the sink can be reached, and what it is told.
Look = tuple[str, bool, str]


@pytest.mark.parametrize(
    ("remind", "looks"),
    [
        (None, [("", True, "")] * 3),
        (None, [("a", True, "breach"), *[("a", True, "")] * 40, ("", True, "recovered")]),
        (None, [("a", True, "breach"), ("ab", True, "breach"), ("a", True, "")]),
        (None, [("ab", True, "breach"), ("a", True, ""), ("ab", True, "breach")]),
        (None, [("ab", True, "breach"), ("a", True, ""), ("", True, "recovered"), ("", True, "")]),
        (None, [("a", False, "breach"), ("a", True, "breach"), ("a", True, "")]),
        (None, [("a", False, "breach"), ("", True, "")]),  # it never knew
        (None, [("a", True, "breach"), ("", False, "recovered"), ("", True, "recovered")]),
        (DAY, [("a", True, "breach"), *[("a", True, "")] * 23, ("a", True, "still")]),
        (DAY, [("a", True, "breach"), *[("a", True, "")] * 23, ("ab", True, "breach")]),
        (DAY, [("a", True, "breach"), *[("", True, "recovered"), ("a", True, "breach")]]),
    ],
)  # fmt: skip
def test_looks_an_hour_apart(remind: timedelta | None, looks: Sequence[Look]) -> None:
    known = None
    for hour, (broken, reached, expected) in enumerate(looks):
        now = f"2026-01-{1 + hour // 24:02d}T{hour % 24:02d}:00:00.000Z"
        told = occasions.due(known, broken, now, remind)
        assert told == expected, hour
        known = occasions.after(known, broken, now, told if reached else "")
