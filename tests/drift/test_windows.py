"""Windows of time: each judged, and the one named in which a feature changed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mlops_magics.drift import changes, shares, windows
from mlops_magics.errors import WrongUsage
from mlops_magics.evidence.profile import profile

DAY = 86_400
BEGIN = pd.Timestamp("2026-06-01", tz="UTC")


def rows(seed: int, count: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "Income": rng.gamma(2.0, 50.0, count),
            "Age": rng.normal(40, 10, count),
            "Home": rng.choice(["owner", "rent", "other"], count),
            "Always": 1.0,
            "Never": np.nan,
        }
    )


def spread(count: int, days: float, seed: int = 0) -> pd.Series:
    """Instants in no order."""
    seconds = np.random.default_rng(seed).uniform(0, days * DAY, count)
    return pd.Series(BEGIN + pd.to_timedelta(seconds, unit="s"))


KNOWN = profile(rows(0, 4000))


def test_the_day_of_each_change_is_named() -> None:
    now, when = rows(1, 4000), spread(4000, 30)
    at = {"Income": 11, "Home": 20, "Age": 25}
    later = {name: when >= BEGIN + pd.Timedelta(days=day) for name, day in at.items()}
    now["Income"] = now["Income"].where(~later["Income"], now["Income"] * 2)
    now["Home"] = now["Home"].mask(later["Home"] & (now.index % 2 == 0), "boat")
    now["Age"] = now["Age"].mask(later["Age"] & (now.index % 3 == 0))
    found = windows.look(KNOWN, now, when, DAY)
    assert [(c["feature"], c["at"][:10]) for c in found.changes] == [
        ("Income", "2026-06-12"), ("Home", "2026-06-21"), ("Age", "2026-06-26"),
    ]  # fmt: skip
    income, home, age = found.changes
    assert income["before"]["mean"] == pytest.approx(
        now["Income"][when < BEGIN + pd.Timedelta(days=11)].mean()
    )
    assert income["before"]["rows"] + income["after"]["rows"] == 4000
    assert income["p"] < 0.001
    assert "Income changed on 2026-06-12: its mean was 97 and is 19" in income["reason"]
    assert home["after"]["category"] == "not in training"
    assert home["after"]["share"] == pytest.approx(0.5, abs=0.05)
    assert age["after"]["missing"] == pytest.approx(1 / 3, abs=0.05)
    assert "missing in 0.0% of rows before" in age["reason"]
    assert len(found.windows) == 30
    assert sum(w["rows"] for w in found.windows) == 4000
    assert found.windows[0]["begin"] == "2026-06-01T00:00:00+00:00"
    assert found.windows[0]["end"] == found.windows[1]["begin"]
    late = [w for w in found.windows if w["begin"] >= "2026-06-12"]
    assert sum("Income" in w["drifted"] for w in late) >= len(late) * 0.8
    assert not any(w["drifted"] for w in found.windows[:11])


def test_without_a_change_no_day_is_named() -> None:
    for seed in range(5):
        found = windows.look(KNOWN, rows(10 + seed, 2000), spread(2000, 20, seed), DAY)
        assert found.changes == ()
        assert not any(w["drifted"] for w in found.windows)
    # What has drifted all along did not change on any of the days.
    moved = rows(3, 2000).assign(Income=lambda f: f["Income"] * 2)
    found = windows.look(KNOWN, moved, spread(2000, 20), DAY)
    assert found.changes == ()
    assert all("Income" in w["drifted"] for w in found.windows)


def test_a_type_that_changed_on_a_day_is_a_change() -> None:
    now, when = rows(1, 1200), spread(1200, 12)
    now["Age"] = now["Age"].astype(object).mask(when >= BEGIN + pd.Timedelta(days=6), "old")
    (found,) = windows.look(KNOWN, now, when, DAY).changes
    assert (found["feature"], found["at"][:10]) == ("Age", "2026-06-07")
    assert "of another type in 100.0% of rows" in found["reason"]


def test_empty_windows_few_rows_and_a_single_one() -> None:
    now = rows(1, 203)
    when = pd.Series(BEGIN, index=now.index)
    when[100:200] += pd.Timedelta(days=3)
    when[200:] += pd.Timedelta(days=5)
    now.loc[100:, "Income"] *= 3
    found = windows.look(KNOWN, now, when, DAY)
    assert [w["rows"] for w in found.windows] == [100, 0, 0, 100, 0, 3]
    assert [w["reason"] for w in found.windows[3:]] == [
        "", "No rows.", "3 rows are too few to judge (30 are needed).",
    ]  # fmt: skip
    assert found.windows[5]["drifted"] == []
    # Nothing came for two days: it changed where rows came again.
    assert [(c["feature"], c["at"][:10]) for c in found.changes] == [("Income", "2026-06-04")]
    single = windows.look(KNOWN, now.head(100), when.head(100), DAY)
    assert (len(single.windows), single.changes) == (1, ())
    none = windows.look(KNOWN, now, when.where(when.isna()), DAY)
    assert (none.windows, none.changes) == ((), ())
    masked = windows.look(KNOWN, now, when, DAY, masked=["Income"])
    assert masked.changes == ()
    assert masked.windows[3]["drift"]["Income"] is None


def test_windows_without_end_are_refused() -> None:
    when = spread(50, 2)
    when[0] = pd.Timestamp("1970-01-01", tz="UTC")
    with pytest.raises(WrongUsage, match=r"From 1970-01-01T00:00\+00:00 to .* 20,6\d\d windows"):
        windows.look(KNOWN, rows(0, 50), when, DAY)


def test_the_scan_is_the_least_p_of_all_cuts() -> None:
    rng = np.random.default_rng(0)
    counts = np.array([rng.multinomial(200, [0.4, 0.3, 0.2, 0.1]) for _ in range(9)])
    counts[5:] = [rng.multinomial(200, [0.3, 0.3, 0.25, 0.15]) for _ in range(4)]
    each = [
        stats.chi2_contingency([counts[:k].sum(axis=0), counts[k:].sum(axis=0)], correction=False)
        for k in range(1, 9)
    ]
    found = changes.find(counts)
    assert found is not None
    assert found.at == int(np.argmin([e.pvalue for e in each])) + 1 == 5
    assert found.p == pytest.approx(min(1.0, 8 * min(e.pvalue for e in each)), rel=1e-6)
    moved = shares.stability(counts[:5].sum(axis=0), counts[5:].sum(axis=0))
    assert (found.psi, found.drift) == (moved.psi, moved.drift)


def test_the_scan_errs_as_seldom_as_it_says() -> None:
    rng = np.random.default_rng(1)
    ps = []
    for _ in range(300):
        sizes = rng.integers(0, 60, 20)
        counts = np.array([rng.multinomial(n, [0.1] * 9 + [0.07, 0.03]) for n in sizes])
        found = changes.find(counts)
        assert found is not None
        ps.append(found.p)
    assert np.mean(np.array(ps) <= 0.05) <= 0.08
    assert changes.find(np.full((4, 3), 3)) is None  # 36 rows: no cut leaves 30 on each side
    same = changes.find(np.full((4, 1), 100))
    assert same is not None
    assert same.p == 1.0
    assert changes.find(np.empty((0, 3))) is None
