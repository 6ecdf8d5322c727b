"""Many tests and many groups at once: adjusted p, joint intervals, and what is said of them."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from mlops_magics.goals import bench, figures, grammar, judging, metrics
from mlops_magics.goals.samples import Sample, sample
from mlops_magics.goals.subject import Subject

ROWS = 400
TRUTH = np.where(np.random.default_rng(0).random(ROWS) < 0.4, "bad", "good")
HOMES = np.random.default_rng(1).choice(["own", "rent", "parents"], ROWS)
FEATURES = pd.DataFrame({"Home": HOMES})


def answers(seed: int, skill: float) -> Sample:
    noise = np.random.default_rng(seed).normal(size=ROWS)
    scores = 1 / (1 + np.exp(-(skill * (TRUTH == "bad") - 0.8 + noise)))
    said = np.where(scores > 0.5, "bad", "good")
    return sample("classification", TRUTH, said, scores, ["good", "bad"], "bad")


MINE = Subject(name="credit/3", sample=answers(1, 1.6), features=FEATURES)
CHAMPION = Subject(name="credit/2", sample=answers(2, 1.5), features=FEATURES)


def theirs(ps: list[float]) -> Any:
    with patch("gc.collect"):  # which it calls each time: half a second beside all that tests load
        return multipletests(ps, method="holm")[1]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_adjusted_p_values_equal_statsmodels(ps: list[float]) -> None:
    assert figures.holm(ps) == pytest.approx(theirs(ps), abs=1e-12)


def test_there_is_nothing_to_adjust_without_a_test() -> None:
    assert figures.holm([]) == []


def judged(*goals: str, champion: Subject | None = CHAMPION, **options: Any) -> Any:
    return judging.judge(grammar.parse("\n".join(goals)), MINE, champion, **options)


def test_every_test_of_a_verdict_is_adjusted_for_the_others_and_nothing_else_is() -> None:
    results = judged(
        "roc_auc >= champion - 0.01",
        "accuracy >= 0.5",  # no test: the value decides
        "f1 >= champion",
        "recall >= 0.3 with 95%",
        "recall >= champion - 0.2 by Home",
        "rows >= 10",
        "log_loss <= champion by Nothing",  # not measured
    )
    ps = [r.p for r in results]
    assert [p is None for p in ps] == [False, True, False, False, False, True, True]
    expected = theirs([p for p in ps if p is not None])
    adjusted = [r.adjusted_p for r in results if r.adjusted_p is not None]
    assert adjusted == pytest.approx(expected)
    assert [r.adjusted_p is None for r in results] == [p is None for p in ps]
    assert judging.multiplicity(results) == (
        "4 goals were judged by a test. The verdict passes only if all hold, so its own risk of "
        "passing wrongly is that of one test and needs no correction; for a claim about a single "
        "one of them read its adjusted p (Holm, 4 tests). With up to 3 groups the worst one looks "
        "worse than it is: the joint intervals (Bonferroni) hold for all groups at once."
    )


def test_of_one_test_or_none_nothing_is_corrected() -> None:
    (alone,) = judged("roc_auc >= champion - 0.01")
    assert alone.adjusted_p == alone.p
    assert judging.multiplicity([alone]) == "One goal was judged by a test."
    assert judging.multiplicity(judged("accuracy >= 0.5", "rows >= 3")) == ""


@pytest.mark.parametrize("goal", ["accuracy >= 0 by Home", "accuracy gap <= 1 by Home"])
def test_joint_intervals_are_bonferronis(goal: str) -> None:
    (result,) = judged(goal, champion=None, seed=3)
    assert len(result.groups) == 3
    shared = bench.Bench(seed=3)
    for group in result.groups:
        label = str(group["group"])
        rows = MINE.answers().take(label.removeprefix("Home = ") == HOMES)
        figure = shared.figure(metrics.find("accuracy"), {}, "", rows, label)
        assert group["interval"] == pytest.approx(figure.interval())
        assert group["joint_interval"] == pytest.approx(figure.interval(1 - 0.05 / 3))
        low, high = group["interval"]
        wide = group["joint_interval"]
        assert wide[0] < low < group["value"] < high < wide[1]


def test_beside_a_champion_the_intervals_of_groups_are_of_the_difference() -> None:
    (result,) = judged("accuracy >= champion - 0.2 by Home", seed=3)
    shared = bench.Bench(seed=3)
    for group in result.groups:
        label = str(group["group"])
        rows = label.removeprefix("Home = ") == HOMES
        one, other = (
            shared.figure(metrics.find("accuracy"), {}, s.name, s.answers().take(rows), label)
            for s in (MINE, CHAMPION)
        )
        assert group["joint_interval"] == pytest.approx((one - other).interval(1 - 0.05 / 3))


def test_that_every_group_holds_is_as_doubtful_as_the_most_doubtful() -> None:
    (result,) = judged("recall >= champion - 0.1 by Home", seed=3)
    shared, recall = bench.Bench(seed=3), metrics.find("recall")
    ps = []
    for home in sorted(set(HOMES)):
        one, other = (
            shared.figure(recall, {}, s.name, s.answers().take(home == HOMES), f"Home = {home}")
            for s in (MINE, CHAMPION)
        )
        ps.append((one - other).p(-0.1, at_least=True))
    assert result.p == pytest.approx(max(ps))


def normal(seed: int = 0, size: int = 1000) -> figures.Figure:
    """A figure of which all is known: the mean of normal rows."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(0.3, 1, 100)
    drawn = rng.choice(rows, (size, 100)).mean(axis=1)
    left_out = (rows.sum() - rows) / 99
    return figures.Figure(float(rows.mean()), drawn, left_out, 100, 100)


@pytest.mark.parametrize("at_least", [True, False])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_p_and_bound_say_the_same(at_least: bool, level: float) -> None:
    for seed in range(5):
        figure = normal(seed)
        bound = figure.bound(level, lower=at_least)
        assert figure.p(bound, at_least=at_least) == pytest.approx(1 - level, abs=0.004)
        further = -0.02 if at_least else 0.02
        assert figure.p(bound + further, at_least=at_least) < 1 - level
        assert figure.p(bound - further, at_least=at_least) > 1 - level


def test_an_interval_of_a_mean_is_about_students() -> None:
    from scipy.stats import t

    rng = np.random.default_rng(0)
    rows = rng.normal(0.3, 1, 100)
    low, high = normal(0, 20_000).interval()
    half = t.ppf(0.975, 99) * rows.std(ddof=1) / 10
    assert (low, high) == pytest.approx((rows.mean() - half, rows.mean() + half), abs=0.015)


def test_bounds_are_one_sided_and_intervals_two_sided() -> None:
    figure = normal()
    low, high = figure.interval(0.90)
    assert low == pytest.approx(figure.bound(0.95, lower=True))
    assert high == pytest.approx(figure.bound(0.95, lower=False))


def test_what_no_resample_defines_has_neither_interval_nor_p() -> None:
    none = figures.Figure(0.4, np.full(20, np.nan))
    assert np.isnan(none.interval()).all()
    assert np.isnan(none.p(0.1, at_least=True))
    some = figures.Figure(0.4, np.r_[np.full(5, np.nan), np.linspace(0.2, 0.6, 200)], rows=50)
    assert np.isfinite(some.interval()).all()
