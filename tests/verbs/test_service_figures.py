"""How a service did: over hours, days and weeks, with quiet ones, and why inputs were refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlops_magics.verbs import service


def requests(days: float, count: int = 600, quiet: tuple[float, float] = (2, 2)) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    at = np.sort(rng.random(count)) * days
    at = at[(at < quiet[0]) | (at > quiet[1])]
    status = np.where(np.arange(len(at)) % 10 == 0, 400, 200)
    status[5] = 500
    refused = [f"Column 'Age' needs a number and row {i} has 'old{i}'." for i in range(len(at))]
    return pd.DataFrame(
        {
            "time": pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(at, unit="D"),
            "status": status,
            "latency_ms": rng.gamma(2, 3, len(at)),
            "rows": np.where(status == 200, 2, 0),
            "error": np.where(status == 200, "", refused),
        }
    )


@pytest.mark.parametrize(("days", "hours"), [(2.5, 1), (40, 24), (200, 168)])
def test_buckets_are_those_of_pandas(days: float, hours: int) -> None:
    frame = requests(days, quiet=(days / 4, days / 2))
    found = service.over_time(frame)
    assert {b["hours"] for b in found} == {hours}
    assert sum(b["requests"] for b in found) == len(frame)
    starts = pd.to_datetime([b["start"] for b in found])
    assert set(np.diff(starts)) == {np.timedelta64(hours, "h")}  # quiet ones are there too
    quiet = [b for b in found if not b["requests"]]
    assert quiet
    assert all(b["p50"] is None and b["errors"] == 0 for b in quiet)
    if hours == 168:
        assert {start.day_name() for start in starts} == {"Monday"}
    for bucket, start in zip(found, starts, strict=True):
        inside = (frame["time"] >= start) & (frame["time"] < start + pd.Timedelta(hours=hours))
        part = frame[inside]
        assert bucket["requests"] == len(part)
        assert bucket["errors"] == (part["status"] >= 400).sum()
        assert bucket["refused"] == (part["status"] == 400).sum()
        answered = part.loc[part["status"] < 400, "latency_ms"]
        if len(answered):
            assert bucket["p95"] == pytest.approx(answered.quantile(0.95))


def test_refusals_are_counted_by_their_reason() -> None:
    frame = requests(1.0)
    found = service.figures(frame)
    assert found["refused"] == {
        "400 Column 'Age' needs a number and row … has ….": int((frame["status"] == 400).sum())
    }
    assert found["server_errors"] == 1
    texts = [f"The type {letter} is not read." for letter in "abcdefghij" * 60]
    many = frame.assign(status=415, error=texts)
    counted = service.figures(many)["refused"]
    assert len(counted) == service.MESSAGES + 1
    assert counted["other reasons"] == 300
    assert sum(counted.values()) == 600


def test_of_nothing_and_of_one() -> None:
    assert service.over_time(requests(1.0).head(0)) == []
    (one,) = service.over_time(requests(1.0).head(1))
    assert (one["requests"], one["refused"], one["p50"]) == (1, 1, None)
