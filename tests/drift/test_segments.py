"""Segments: each beside the same one of training, the small and the new ones said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlops_magics.drift import report, segments
from mlops_magics.errors import WrongUsage
from mlops_magics.evidence.profile import profile


def rows(seed: int, count: int = 3000) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    home = rng.choice(["owner", "rent", "other"], count, p=[0.6, 0.39, 0.01])
    return pd.DataFrame(
        {
            "Home": home,
            "Income": rng.normal(100, 10, count) + 20 * (home == "owner"),
            "Age": rng.integers(18, 80, count),
            "Rooms": rng.integers(1, 4, count),
        }
    )


BEFORE = rows(0)
KNOWN = profile(BEFORE)


def test_what_happens_in_one_segment_alone_is_found() -> None:
    now = rows(1)
    now.loc[now["Home"] == "rent", "Income"] += 8
    now.loc[now.index[:200], "Home"] = "boat"
    found = {s["segment"]: s for s in segments.look(KNOWN, BEFORE, now, "Home")}
    assert list(found) == ["Home = other", "Home = owner", "Home = rent", "Home not in training"]
    rent = found["Home = rent"]
    assert rent["drifted"] == ["Income"]
    assert rent["why"]["Income"].startswith("Drifted: PSI")
    assert rent["drift"]["Income"] > 0.2 > rent["drift"]["Age"]
    assert "Home" not in rent["drift"]
    assert rent["reference_share"] == pytest.approx((BEFORE["Home"] == "rent").mean())
    assert rent["share"] == pytest.approx((now["Home"] == "rent").mean())
    assert found["Home = owner"]["drifted"] == []
    assert "rows now, too few to judge" in found["Home = other"]["reason"]
    assert found["Home not in training"]["reason"] == "Training had no such rows."
    assert found["Home not in training"]["rows"] == 200
    assert segments.drifted([*found.values()]) == ["Home = rent"]
    # All rows together hide it.
    assert not any(f["drifted"] for f in report.compare(KNOWN, now[["Income", "Age"]])[1:3])


def test_numbers_are_cut_at_the_quarters_of_training() -> None:
    now = rows(1)
    now.loc[now["Age"] > 64, "Income"] += 30
    now.loc[:99, "Age"] = np.nan
    found = segments.look(KNOWN, BEFORE, now, "Age")
    quarters = np.quantile(BEFORE["Age"], [0.25, 0.5, 0.75], method="inverted_cdf").astype(int)
    a, b, c = quarters
    assert [s["segment"] for s in found] == [
        f"Age = up to {a}", f"Age = {a} to {b}", f"Age = {b} to {c}", f"Age = over {c}",
        "Age not in training",
    ]  # fmt: skip
    assert found[0]["reference_rows"] == (BEFORE["Age"] <= a).sum()
    assert found[3]["rows"] == (now["Age"] > c).sum()
    assert segments.drifted(found) == [f"Age = over {c}"]
    assert found[4]["rows"] == 100
    few = segments.look(KNOWN, BEFORE, now, "Rooms")
    assert [s["segment"] for s in few] == ["Rooms = 1", "Rooms = 2", "Rooms = 3"]
    assert sum(s["rows"] for s in few) == len(now)


def test_close_numbers_are_told_apart() -> None:
    before = rows(0).assign(Key=lambda f: 1_000_000.0 + f.index)
    found = segments.look(profile(before), before, before, "Key")
    assert [s["rows"] for s in found] == [750] * 4
    assert segments.drifted(found) == []


def test_gaps_are_a_segment() -> None:
    before, now = (rows(seed).mask(lambda f: f["Home"] == "rent") for seed in (0, 1))
    found = segments.look(KNOWN, before, now, "Home")
    assert [s["segment"] for s in found] == ["Home = other", "Home = owner", "Home missing"]
    assert found[2]["rows"] == now["Home"].isna().sum()


def test_a_category_set_of_100_000() -> None:
    names = [f"c{i}" for i in range(100_000)]
    now = pd.DataFrame({"Home": names, "Income": 100.0})
    found = segments.look(KNOWN, BEFORE, now, "Home")
    assert [s["reason"] for s in found[:3]] == ["No such rows came."] * 3
    assert found[3]["rows"] == 100_000
    many = BEFORE.assign(Home=[f"c{i}" for i in range(len(BEFORE))])
    with pytest.raises(WrongUsage, match="Home has 3000 different values"):
        segments.look(profile(many), many, now, "Home")


def test_a_type_that_changed_is_said() -> None:
    now = rows(1).assign(Age="old")
    with pytest.raises(WrongUsage, match="Age can't name the segments: it holds text"):
        segments.look(KNOWN, BEFORE, now, "Age")
