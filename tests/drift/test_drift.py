"""Drift: figures equal scipy's, noise does not alarm, shifts do, odd columns do not crash."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.spatial import distance

from mlops_magics.drift import numeric, report, shares, tallies
from mlops_magics.evidence.profile import profile

CLOSE = {"rel": 1e-12, "abs": 1e-12}


def counted(one: np.ndarray, other: np.ndarray) -> tallies.Numbers:
    tally = tallies.Numbers(numeric.knots(profile(pd.DataFrame({"x": one}))["x"]))
    tally.add(other)
    return tally


def sides(seed: int = 0, shift: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, 700), rng.normal(shift, 1.2, 500)


@pytest.mark.parametrize("digits", [1, 12])  # with ties and without
def test_exact_figures_equal_scipy(digits: int) -> None:
    one, other = (side.round(digits) for side in sides())
    theirs = stats.ks_2samp(one, other, method="asymp")
    assert numeric.kolmogorov_smirnov(one, other) == pytest.approx(
        (theirs.statistic, theirs.pvalue), **CLOSE
    )
    assert numeric.wasserstein(one, other) == pytest.approx(
        stats.wasserstein_distance(one, other), **CLOSE
    )


def test_figures_over_bins_equal_scipy() -> None:
    before, now = np.array([50, 30, 15, 5, 0]), np.array([20, 40, 15, 0, 9])
    assert shares.jensen_shannon(before, now) == pytest.approx(
        distance.jensenshannon(before, now, base=2), **CLOSE
    )
    found = shares.chi_square(before, now)
    theirs = stats.chi2_contingency(np.array([before, now]), correction=False)
    assert (found.statistic, found.p) == pytest.approx((theirs.statistic, theirs.pvalue), **CLOSE)
    assert found.cramers_v == pytest.approx(
        stats.contingency.association(np.array([before, now]), method="cramer"), **CLOSE
    )
    p = [0.01, 0.04, 0.03, 0.5]
    assert shares.correct(p) == pytest.approx(stats.false_discovery_control(p), **CLOSE)
    assert shares.correct([]) == []


def test_psi_is_the_symmetric_divergence() -> None:
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.3, 0.3, 0.4])
    assert shares.population_stability(p, q) == pytest.approx(
        stats.entropy(p, q) + stats.entropy(q, p), **CLOSE
    )
    assert shares.population_stability(p, p) == 0


def test_rare_bins_are_counted_together() -> None:
    before = np.array([500, 480, 1, 2, 1, 1])
    now = np.array([50, 45, 0, 0, 1, 0])
    pooled = shares.chi_square(before, now, fewest=5)
    theirs = stats.chi2_contingency([[500, 480, 5], [50, 45, 1]], correction=False)
    assert pooled.p == pytest.approx(theirs.pvalue)


def test_the_share_missing_is_tested_exactly_where_few_are_expected() -> None:
    few = stats.fisher_exact([[1, 99], [4, 36]])[1]
    assert shares.missing_p((1, 100), (4, 40)) == pytest.approx(few)
    assert shares.missing_p((0, 100), (0, 40)) == 1
    assert shares.missing_p((100, 100), (40, 40)) == 1


@pytest.mark.parametrize("bins", [4, 10])
@pytest.mark.parametrize("rows", [50, 200])
def test_chance_is_what_psi_stays_under_in_95_of_100_samples(rows: int, bins: int) -> None:
    rng = np.random.default_rng(0)
    p = np.full(bins, 1 / bins)
    under = 0
    for _ in range(400):
        found = shares.stability(rng.multinomial(2000, p), rng.multinomial(rows, p))
        under += found.psi <= found.chance
    assert 0.92 <= under / 400 <= 1.0


def test_profile_mode_is_close_to_exact_on_every_column(credit: pd.DataFrame) -> None:
    order = np.random.default_rng(3).permutation(len(credit))
    train, test = credit.iloc[order[:3000]], credit.iloc[order[3000:]]
    # A shift as well, so that the largest distance lies elsewhere.
    for current in (test, test.assign(**{c: test[c] * 1.3 for c in ("Income", "Age", "Price")})):
        found = {f["name"]: f for f in report.compare(profile(train), current)}
        for name, feature in found.items():
            if feature["type"] != "integer" and feature["type"] != "number":
                continue
            exact = stats.ks_2samp(train[name].dropna(), current[name].dropna(), method="asymp")
            assert feature["ks"] == pytest.approx(exact.statistic, abs=0.002), name


def test_exact_mode_is_scipys_on_every_column(credit: pd.DataFrame) -> None:
    order = np.random.default_rng(3).permutation(len(credit))
    train, test = credit.iloc[order[:3000]], credit.iloc[order[3000:]]
    current = test.assign(Income=test["Income"] * 1.3, Home=test["Home"].replace("rent", "boat"))
    found = report.compare(profile(train), current, exclude=("Status",), exact=(train, current))
    for feature in found:
        name = feature["name"]
        one, other = train[name].dropna(), current[name].dropna()
        assert feature["exact"] is True
        if feature["type"] in ("integer", "number"):
            theirs = stats.ks_2samp(one, other, method="asymp")
            figures = (feature["ks"], feature["ks_p"], feature["wasserstein"])
            moved = stats.wasserstein_distance(one, other)
            assert figures == pytest.approx((theirs.statistic, theirs.pvalue, moved), **CLOSE)
            continue
        table = pd.crosstab(
            np.r_[np.zeros(len(one)), np.ones(len(other))],
            np.r_[one.astype(str), other.astype(str)],
        ).to_numpy()
        assert feature["jensen_shannon"] == pytest.approx(
            distance.jensenshannon(table[0], table[1], base=2), **CLOSE
        )
        if (stats.contingency.expected_freq(table) >= 5).all():
            exact = stats.chi2_contingency(table, correction=False)
            assert (feature["chi2"], feature["chi2_p"]) == pytest.approx(
                (exact.statistic, exact.pvalue), **CLOSE
            )
    drifted = {f["name"] for f in found if f["drifted"]}
    assert drifted == {
        f["name"] for f in report.compare(profile(train), current, exclude=("Status",))
        if f["drifted"]
    }  # fmt: skip


def test_exact_mode_sees_gaps_of_words_too(credit: pd.DataFrame) -> None:
    order = np.random.default_rng(3).permutation(len(credit))
    train, test = credit.iloc[order[:3000]], credit.iloc[order[3000:]]
    gaps = np.random.default_rng(0).random(len(test)) < 0.4
    for name in ("Job", "Debt"):
        current = test.assign(**{name: test[name].where(~gaps)})
        found = report.compare(profile(train), current, exact=(train, current))
        assert [f["name"] for f in found if f["drifted"]] == [name]
        assert {f["exact"] for f in found} == {True}


def test_exact_mode_leaves_alone_what_it_can_not_read() -> None:
    before = pd.DataFrame({"x": np.arange(100.0), "y": [None] * 100, "z": ["a", "b"] * 50})
    now = pd.DataFrame({"x": ["high"] * 60, "y": [1.0] * 60})
    found = report.compare(profile(before), now, exact=(before, now))
    assert not any("exact" in feature for feature in found)
    assert [f["level"] for f in found] == ["changed", "not judged", "changed"]


def test_profile_mode_is_exact_at_the_quantiles_of_continuous_data() -> None:
    one, other = sides(shift=0.5)
    found = numeric.compare(profile(pd.DataFrame({"x": one}))["x"], counted(one, other))
    exact = stats.ks_2samp(one, other, method="asymp")
    assert found["ks"] == pytest.approx(exact.statistic, abs=0.004)
    assert found["wasserstein"] == pytest.approx(stats.wasserstein_distance(one, other), rel=0.03)
    before = np.bincount(np.searchsorted(found["bins"]["edges"], one), minlength=10)
    assert numeric.Reference(profile(pd.DataFrame({"x": one}))["x"]).counts(
        found["bins"]["edges"]
    ) == pytest.approx(before, abs=2)


def test_the_same_population_does_not_alarm(credit: pd.DataFrame) -> None:
    order = np.random.default_rng(0).permutation(len(credit))
    reference = profile(credit.iloc[order[:3000]])
    rest = credit.iloc[order[3000:]]
    alarms = 0
    for rows in (30, 60, 200, 1000):
        for seed in range(25):
            found = report.compare(reference, rest.sample(rows, random_state=seed))
            alarms += sum(f["drifted"] for f in found)
            # Nor would a goal that is held against the figure itself.
            assert sum(f["drift"] > 0.2 for f in found) <= 1
    assert alarms == 0


def test_a_million_rows_do_not_make_a_small_difference_drift() -> None:
    rng = np.random.default_rng(0)
    reference = profile(pd.DataFrame({"x": rng.normal(0, 1, 200_000)}))
    (found,) = report.compare(reference, pd.DataFrame({"x": rng.normal(0.1, 1, 200_000)}))
    assert found["p_corrected"] < 1e-50
    assert not found["drifted"]
    assert found["level"] == "none"


@pytest.mark.parametrize(("shift", "level"), [(0.0, "none"), (0.4, "moderate"), (1.0, "large")])
def test_levels_of_a_shift(shift: float, level: str) -> None:
    rng = np.random.default_rng(0)
    reference = profile(pd.DataFrame({"x": rng.normal(0, 1, 5000)}))
    (found,) = report.compare(reference, pd.DataFrame({"x": rng.normal(shift, 1, 5000)}))
    assert (found["level"], found["drifted"]) == (level, level == "large")
    assert f"PSI {found['psi']:.3f}" in found["reason"]


def test_shifts_of_the_credit_data_are_found(credit: pd.DataFrame) -> None:
    rng = np.random.default_rng(0)
    order = rng.permutation(len(credit))
    reference = profile(credit.iloc[order[:3000]])
    test = credit.iloc[order[3000:]]
    current = test.assign(
        Income=test["Income"] * 1.6,
        Home=np.where(rng.random(len(test)) < 0.3, "houseboat", test["Home"].astype(object)),
        Debt=test["Debt"].where(rng.random(len(test)) > 0.3),
        Price=1000,
        Job=None,
    )
    found = {f["name"]: f for f in report.compare(reference, current, exclude=("Status",))}
    assert {n for n, f in found.items() if f["drifted"]} == {
        "Income",
        "Home",
        "Debt",
        "Price",
        "Job",
    }
    assert "The mean is" in found["Income"]["reason"]
    assert "'not in training'" in found["Home"]["reason"]
    assert "Missing in" in found["Debt"]["reason"]
    assert "Missing in 100.0% of rows" in found["Job"]["reason"]
    assert "Status" not in found


def test_figures_come_with_what_makes_them_comparable(credit: pd.DataFrame) -> None:
    found = {f["name"]: f for f in report.compare(profile(credit), credit.head(500))}
    assert found["Income"]["bins"]["epsilon"] == shares.EPSILON
    assert len(found["Income"]["bins"]["edges"]) >= 9
    assert found["Home"]["bins"]["categories"][-1] == "missing"
    for name in ("Income", "Home"):
        histogram = found[name]["histogram"]
        assert sum(histogram["reference"]) == pytest.approx(1, abs=1e-6)
        assert sum(histogram["current"]) == pytest.approx(1, abs=1e-6)
    income = found["Income"]["histogram"]
    assert len(income["edges"]) == len(income["current"]) + 1 == len(income["reference"]) + 1
    assert len(found["Home"]["histogram"]["labels"]) == len(found["Home"]["histogram"]["current"])


def test_pictures_agree_with_the_data(credit: pd.DataFrame) -> None:
    found = {f["name"]: f for f in report.compare(profile(credit), credit)}
    income = found["Income"]["histogram"]
    assert income["reference"] == pytest.approx(income["current"], abs=0.012)


ODD: dict[str, tuple[pd.Series, pd.Series]] = {
    "constant": (pd.Series([5.0] * 100), pd.Series([5.0] * 60)),
    "constant that moved down": (pd.Series([5.0] * 100), pd.Series([4.0] * 60)),
    "became constant": (pd.Series(np.arange(100.0)), pd.Series([5.0] * 60)),
    "all missing before": (pd.Series([None] * 100, dtype=float), pd.Series(np.arange(60.0))),
    "all missing now": (pd.Series(np.arange(100.0)), pd.Series([None] * 60, dtype=float)),
    "all missing now, untyped": (pd.Series(np.arange(100.0)), pd.Series([None] * 60)),
    "all missing in both": (pd.Series([None] * 100), pd.Series([None] * 60)),
    "no category before": (pd.Series([None] * 100, dtype="string"), pd.Series(["a"] * 60)),
    "one value": (pd.Series([1.0]), pd.Series([2.0])),
    "infinite": (pd.Series([*range(100), np.inf]), pd.Series([np.inf, -np.inf] * 30)),
    "only infinite before": (pd.Series([np.inf] * 50), pd.Series(np.arange(60.0))),
    "huge": (pd.Series([1e308, -1e308] * 50), pd.Series([1e308] * 60)),
    "booleans": (pd.Series([True, False] * 50), pd.Series([True] * 60)),
    "booleans as numbers": (pd.Series([True, False] * 50), pd.Series([1, 0] * 30)),
    "numbers as text": (pd.Series(np.arange(100.0)), pd.Series([str(v) for v in range(60)])),
    "numbers became words": (pd.Series(np.arange(100.0)), pd.Series(["high"] * 60)),
    "words became numbers": (pd.Series(["a", "b"] * 50), pd.Series(np.arange(60))),
    "nullable": (
        pd.Series([1, None] * 50, dtype="Int64"),
        pd.Series([1, None] * 30, dtype="Int64"),
    ),
    "categories": (
        pd.Series(pd.Categorical(["a", "b"] * 50, categories=["a", "b", "c"])),
        pd.Series(["a", "b"] * 30),
    ),
    "dates": (
        pd.Series(pd.date_range("2024-01-01", periods=100)),
        pd.Series(pd.date_range("2025-01-01", periods=60)),
    ),
    "dates as text": (
        pd.Series(pd.date_range("2024-01-01", periods=100)),
        pd.Series(["2024-02-01"] * 60),
    ),
    "lists": (pd.Series([[1], [2]] * 50), pd.Series([[1]] * 60)),
    "mixed": (pd.Series([1, "a"] * 50, dtype=object), pd.Series([1, "a"] * 30, dtype=object)),
    "many categories": (
        pd.Series([f"c{i}" for i in range(20_000)]),
        pd.Series([f"c{i}" for i in range(5_000)]),
    ),
}


@pytest.mark.parametrize("rows", [0, 1, 3, 60])
@pytest.mark.parametrize("name", ODD)
def test_odd_columns_do_not_crash(name: str, rows: int) -> None:
    before, now = ODD[name]
    found = report.compare(
        profile(pd.DataFrame({"x": before})), pd.DataFrame({"x": now.head(rows)})
    )
    assert len(found) == 1
    assert found[0]["reason"]
    if rows < 30:
        changed = found[0]["level"] == "changed"
        assert found[0]["level"] in ("not judged", "changed")
        assert found[0]["drifted"] == changed


@pytest.mark.parametrize(
    ("name", "drifted"),
    [
        ("constant", False),
        ("constant that moved down", True),
        ("became constant", True),
        ("all missing before", False),
        ("all missing now", True),
        ("all missing now, untyped", True),
        ("all missing in both", False),
        ("infinite", True),
        ("booleans", True),
        ("booleans as numbers", False),
        ("numbers became words", True),
        ("words became numbers", True),
        ("nullable", False),
        ("categories", False),
        ("dates", False),
        ("many categories", False),
    ],
)
def test_odd_columns_are_judged_rightly(name: str, drifted: bool) -> None:
    before, now = ODD[name]
    (found,) = report.compare(profile(pd.DataFrame({"x": before})), pd.DataFrame({"x": now}))
    assert found["drifted"] == drifted, found["reason"]


def test_a_column_that_is_not_there_has_changed(credit: pd.DataFrame) -> None:
    found = {f["name"]: f for f in report.compare(profile(credit), credit.drop(columns="Income"))}
    assert found["Income"]["drifted"]
    assert found["Income"]["level"] == "changed"


def test_three_rows_are_said_to_be_too_few(credit: pd.DataFrame) -> None:
    found = report.compare(profile(credit), credit.head(3))
    assert not any(f["drifted"] for f in found)
    assert all("3 rows are too few" in f["reason"] for f in found)


def test_a_profile_that_went_through_json_serves_as_well(credit: pd.DataFrame) -> None:
    import json

    stored: Any = json.loads(json.dumps(profile(credit)))
    assert report.compare(stored, credit.tail(200)) == report.compare(
        profile(credit), credit.tail(200)
    )


def test_categories_are_counted_by_their_text() -> None:
    values = pd.Series(pd.Categorical(["a", "b", "a", None], categories=["a", "b", "c"]))
    tally = tallies.Categories()
    tally.add(values)
    assert (tally.counts, tally.missing) == ({"a": 2, "b": 1}, 1)
