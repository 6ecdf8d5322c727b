"""Profit and cost: what decisions earn, written out row by row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_magics.errors import BadGoal
from mlops_magics.goals import bench, grammar, judging, metrics, resampling
from mlops_magics.goals.samples import sample
from mlops_magics.goals.subject import Subject
from mlops_magics.records import GoalResult

ROWS = 240
_RNG = np.random.default_rng(0)
TRUTH = np.where(_RNG.random(ROWS) < 0.4, "bad", "good")
SCORES = np.clip(_RNG.normal(0.35 + 0.3 * (TRUTH == "bad"), 0.2), 0, 1).round(2)
FEATURES = pd.DataFrame(
    {
        "Amount": _RNG.integers(100, 5000, ROWS),
        "Fee": _RNG.normal(20, 5, ROWS),
        "Home": _RNG.choice(["own", "rent"], ROWS),
        "Words": ["many"] * ROWS,
    },
    index=np.arange(ROWS) + 500,
)


def answers(scores: Any = SCORES, positive: str = "bad") -> Any:
    both = np.column_stack([scores, 1 - scores])
    said = np.where(scores >= 0.5, "bad", "good")
    return sample("classification", TRUTH, said, both, ["bad", "good"], positive)


def subject(scores: Any = SCORES, **more: Any) -> Subject:
    return Subject(**{"sample": answers(scores), "features": FEATURES, **more})


def judge(text: str, of: Subject | None = None, **options: Any) -> GoalResult:
    (result,) = judging.judge(grammar.parse(text), of or subject(), resamples=100, **options)
    return result


def by_hand(said: Any, rows: Any = slice(None), positive: str = "bad", **amounts: Any) -> float:
    """One row after the other."""
    total = 0.0
    for i in np.arange(ROWS)[rows]:
        hit, called = TRUTH[i] == positive, said[i] == positive
        cell = {(1, 1): "tp", (0, 1): "fp", (1, 0): "fn", (0, 0): "tn"}[int(hit), int(called)]
        amount = amounts.get(cell, 0.0)
        total += FEATURES[amount].iloc[i] if isinstance(amount, str) else amount
    return float(total)


PLAIN = np.where(SCORES >= 0.5, "bad", "good")


@pytest.mark.parametrize(
    ("goal", "amounts"),
    [
        ("profit(tp=100, fp=-20)", {"tp": 100, "fp": -20}),
        ("profit(tp=1, fp=2, tn=3, fn=4)", {"tp": 1, "fp": 2, "tn": 3, "fn": 4}),
        ("cost(fn=500, fp=20.5)", {"fn": 500, "fp": 20.5}),
        ("cost(fn=Amount)", {"fn": "Amount"}),
        ("cost(fn=Amount, fp=Fee, tp=3)", {"fn": "Amount", "fp": "Fee", "tp": 3}),
        ('profit(tn="Fee")', {"tn": "Fee"}),
    ],
)
def test_it_is_the_sum_over_the_rows(goal: str, amounts: dict[str, Any]) -> None:
    assert judge(f"{goal} >= 0").value == pytest.approx(by_hand(PLAIN, **amounts))
    for home in ("own", "rent"):
        (group,) = (
            g for g in judge(f"{goal} >= 0 by Home").groups if g["group"] == f"Home = {home}"
        )
        rows = FEATURES["Home"].eq(home).to_numpy()
        assert group["value"] == pytest.approx(by_hand(PLAIN, rows, **amounts))


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.61, 1.0])
def test_a_threshold_decides_anew(threshold: float) -> None:
    said = np.where(threshold <= SCORES, "bad", "good")
    text = f"profit(tp=100, fp=-20, threshold={threshold}) >= 0"
    assert judge(text).value == pytest.approx(by_hand(said, tp=100, fp=-20))
    text = f"cost(fn=Amount, fp=Fee, threshold={threshold}) >= 0"
    assert judge(text).value == pytest.approx(by_hand(said, fn="Amount", fp="Fee"))


def test_a_threshold_is_of_the_probability_of_the_class_that_is_named() -> None:
    said = np.where(1 - SCORES >= 0.7, "good", "bad")
    text = "profit(tp=10, fp=-3, threshold=0.7, positive=good) >= 0"
    assert judge(text).value == pytest.approx(by_hand(said, positive="good", tp=10, fp=-3))
    other = subject(sample=answers(positive="good"))
    same = judge("profit(tp=10, fp=-3, threshold=0.7) >= 0", other)
    assert same.value == judge(text).value


def test_of_several_classes_one_is_named() -> None:
    rng = np.random.default_rng(1)
    names = np.array(["a", "b", "c"])
    truth, scores = names[rng.integers(0, 3, 90)], rng.dirichlet([1, 1, 1], 90)
    of = Subject(sample=sample("classification", truth, names[scores.argmax(1)], scores, names))
    said = scores[:, 1] >= 0.4
    expected = 5 * ((truth == "b") & said).sum() - 2 * ((truth != "b") & said).sum()
    result = judge("profit(tp=5, fp=-2, positive=b, threshold=0.4) >= -1000", of)
    assert result.value == pytest.approx(expected)
    assert "say which, as in profit(positive=NAME)" in judge("profit(tp=5) >= 0", of).reason
    # Rows that are not called by the threshold go to the likeliest of the others.
    recall = judge("recall(positive=b, threshold=0.4) >= 0", of)
    assert recall.value == pytest.approx((said & (truth == "b")).sum() / (truth == "b").sum())


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("profit", {"tp": 100.0, "fp": -20.0, "threshold": 0.3}),
        ("cost", {"fn": "Amount", "fp": 20.0}),
    ],
)
def test_resamples_equal_a_loop_over_the_repeated_rows(name: str, params: dict[str, Any]) -> None:
    metric = metrics.find(name)
    rows = replace(answers(), features=FEATURES)
    found = bench.measured(metric, rows, params=params, resamples=10, seed=2)
    said = np.where(params.get("threshold", 0.5) <= SCORES, "bad", "good")
    loop = []
    for block in resampling.counts(ROWS, TRUTH, resamples=10, seed=2):
        for counted in block:
            drawn = np.repeat(np.arange(ROWS), counted.astype(int))
            loop.append(by_hand(said, drawn, **params))
    assert found.drawn == pytest.approx(loop)
    low, high = bench.measured(metric, rows, params=params).interval()
    assert low < by_hand(said, **params) < high


def test_a_better_threshold_beats_the_champion_by_what_it_earns() -> None:
    worse = subject(np.clip(SCORES - 0.3, 0, 1), name="credit/2")
    mine, its = (judge("cost(fn=Amount) >= 0", s).value for s in (subject(), worse))
    result = judge("cost(fn=Amount) < champion", champion=worse)
    assert result.passed
    assert (result.value, result.champion) == (pytest.approx(mine), pytest.approx(its))
    assert "difference is at most -" in result.reason
    assert not judge("cost(fn=Amount) < champion", champion=subject()).passed


@pytest.mark.parametrize(
    ("goal", "says"),
    [
        ("cost(fn=Amont) <= 3", "there is no column 'Amont'. Did you mean 'Amount'?"),
        ("cost(fn=Words) <= 3", "Words has no number in 240 of 240 rows, so it is no amount"),
        ("profit(tp=1, positive=bed) >= 3", "there is no class 'bed'. Did you mean 'bad'?"),
    ],
)
def test_what_is_no_amount_is_said(goal: str, says: str) -> None:
    result = judge(goal)
    assert not result.passed
    assert says in result.reason


def test_without_what_it_needs_it_has_no_value() -> None:
    gaps = FEATURES.assign(Amount=FEATURES["Amount"].astype(float))
    gaps.iloc[:7, 0] = np.nan
    result = judge("cost(fn=Amount) <= 1e9", subject(features=gaps))
    assert "Amount has no number in 7 of 240 rows" in result.reason
    assert "are not known here" in judge("cost(fn=Amount) <= 1", subject(features=None)).reason
    labels = sample("classification", TRUTH, PLAIN, None, ["bad", "good"], "bad")
    said = judge("profit(tp=1, threshold=0.4) >= 0", subject(sample=labels)).reason
    assert "a threshold needs probabilities, and this model gives none" in said
    with pytest.raises(BadGoal, match="threshold of cost is a probability from 0 to 1"):
        grammar.parse("cost(fn=1, threshold=1.5) <= 3")
