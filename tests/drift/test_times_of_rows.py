"""Times of any writing become instants in UTC; what is odd about them is said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlops_magics.drift import times
from mlops_magics.errors import BadData


def test_two_zones_out_of_order_missing_and_no_time() -> None:
    given = pd.Series(
        [
            "2026-06-02T01:00:00+02:00",
            "2026-06-01T22:30:00Z",
            "2026-06-01 08:00",
            "soon",
            None,
            "June 3, 2026",
        ]
    )
    read = times.read(given, "at")
    assert list(read.values[:3]) == [
        pd.Timestamp("2026-06-01T23:00Z"),
        pd.Timestamp("2026-06-01T22:30Z"),
        pd.Timestamp("2026-06-01T08:00Z"),
    ]
    assert read.values[3:5].isna().all()
    assert read.values[5] == pd.Timestamp("2026-06-03", tz="UTC")
    said = " ".join(read.notes)
    assert "1 row of at is no time, 'soon' for one, and stands in no window." in said
    assert "at is missing in 1 row, which stands in no window." in said
    assert "in 2 zones (+00:00, +02:00); all count as UTC" in said
    assert "2 rows of at name no zone and are taken to be in UTC." in said
    assert "not in order" in said


@pytest.mark.parametrize(
    "given",
    [
        pd.Series(pd.to_datetime(["2026-06-01", "2026-06-02"])),
        pd.Series(pd.to_datetime(["2026-06-01", "2026-06-02"]).tz_localize("UTC")),
        pd.Series(["2026-06-01", "2026-06-02"], dtype="category"),
        pd.Series([pd.Timestamp("2026-06-01").date(), pd.Timestamp("2026-06-02").date()]),
    ],
)
def test_what_is_in_order_needs_no_words(given: pd.Series) -> None:
    read = times.read(given, "at")
    assert list(read.values) == list(pd.to_datetime(["2026-06-01", "2026-06-02"], utc=True))
    assert read.notes == ()


def test_another_zone_is_another_instant() -> None:
    given = pd.Series(pd.to_datetime(["2026-06-01T00:30"]).tz_localize("Europe/Berlin"))
    assert times.read(given, "at").values[0] == pd.Timestamp("2026-05-31T22:30Z")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([1.7e9, 1.8e9], "at holds numbers"),
        ([True, False], "at holds numbers"),
        (["soon", "later"], "at holds no time, 'soon' for one"),
        ([None, None], "at holds no value"),
    ],
)
def test_what_is_no_time_is_refused(given: list[object], says: str) -> None:
    with pytest.raises(BadData, match=says):
        times.read(pd.Series(given), "at")


def test_windows_begin_where_a_calendar_has_them() -> None:
    when = pd.Series(
        pd.to_datetime(["2026-06-10T23:59", None, "2026-06-08T00:00", "2026-06-15T00:00"], utc=True)
    )
    week, first, last = times.of_parts(when, 7 * 86_400)
    assert list(week) == [0, -1, 0, 1]
    assert last - first == 1
    assert times.MONDAY + pd.Timedelta(weeks=first) == pd.Timestamp("2026-06-08", tz="UTC")
    hours, _, _ = times.of_parts(when, 3600)
    assert list(hours) == [71, -1, 0, 168]
    nothing = pd.Series([pd.NaT], dtype="datetime64[ns, UTC]")
    found, first, last = times.of_parts(nothing, 60)
    assert (list(found), last - first) == ([-1], -1)
    assert found.dtype == np.int64
