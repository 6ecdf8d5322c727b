"""Data quality in sentences, and the facts that goals are judged on."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mlops_magics.drift import facts, quality, report
from mlops_magics.evidence.profile import profile
from mlops_magics.goals import grammar, judging


def reference(credit: pd.DataFrame) -> dict[str, dict[str, object]]:
    return profile(shuffled(credit).head(3000))


def shuffled(credit: pd.DataFrame) -> pd.DataFrame:
    return credit.iloc[np.random.default_rng(0).permutation(len(credit))]


def test_untouched_data_has_nothing_to_say(credit: pd.DataFrame) -> None:
    test = shuffled(credit).tail(1400)
    assert quality.find(reference(credit), test) == []
    assert quality.find(reference(credit), test.head(0)) == []
    assert quality.find(reference(credit), test.head(3)) == []


def test_each_kind_of_damage_is_said_in_a_sentence(credit: pd.DataFrame) -> None:
    test = shuffled(credit).tail(1400)
    rng = np.random.default_rng(0)
    damaged = test.assign(
        Income=test["Income"].where(rng.random(len(test)) > 0.4),
        Home=np.where(rng.random(len(test)) < 0.1, "houseboat", test["Home"].astype(object)),
        Marital=test["Marital"].replace({"single": "married"}),
        Age=test["Age"] + 200,
        Time=test["Time"].astype(str),
        Job="high",
        Price=1000,
        Expenses=None,
        Postcode=1,
    ).drop(columns="Debt")
    found = " ".join(quality.find(reference(credit), damaged, exclude=("Status",)))
    assert "Income is missing in 4" in found
    assert "Home has new category 'houseboat' in 11.8% of rows" in found
    assert "Marital no longer has the category 'single'" in found
    assert "Age is outside" in found
    assert "the range in training, in 1400 of 1400 rows" in found
    assert "Time holds text, and held whole numbers in training" in found
    assert "Job has new category 'high'" in found
    assert "Price is 1000.0 in every one of 1400 rows" in found
    assert "Expenses has no value in 1400 rows" in found
    assert "Debt is missing from the data" in found
    assert "Not seen in training: column Postcode." in found


def test_copies_infinities_and_late_values_are_said() -> None:
    frame = pd.DataFrame({"x": np.arange(100.0), "late": [None] * 100})
    assert quality.find(profile(frame), frame) == []
    copies = pd.DataFrame({"x": [1.0] * 30 + list(np.arange(30.0)), "late": [1.0] * 60})
    found = " ".join(quality.find(profile(frame), copies))
    assert "exact copies" in found
    assert "late had no value in training and has 60 now" in found
    infinite = pd.DataFrame({"x": [np.inf] * 5 + [1.0] * 55, "late": [None] * 60})
    assert "x is infinite in 5 of 60 rows" in " ".join(quality.find(profile(frame), infinite))


def test_a_few_values_just_outside_are_no_finding() -> None:
    rng = np.random.default_rng(0)
    for seed in range(20):
        sample = np.random.default_rng(seed).normal(size=500)
        frame = profile(pd.DataFrame({"x": rng.normal(size=1000)}))
        assert quality.find(frame, pd.DataFrame({"x": sample})) == []


def test_unhashable_columns_do_not_crash() -> None:
    frame = pd.DataFrame({"x": [[i] for i in range(200)]})
    assert quality.find(profile(frame), frame) == []


def test_rows_of_a_few_categories_are_alike_by_nature() -> None:
    frame = pd.DataFrame({"x": ["a", "b"] * 30})
    assert quality.find(profile(frame), frame) == []


def test_facts_carry_units_and_reasons(credit: pd.DataFrame) -> None:
    features = report.compare(reference(credit), shuffled(credit).tail(1000), exclude=("Status",))
    known = facts.subject(
        name="credit",
        features=features,
        service={"requests": 1000, "error_rate": 0.02, "latency_ms": {"p95": 12.0, "p50": None}},
        performance={"metrics": {"roc_auc": 0.8}},
        rows=1000,
    )
    goals = grammar.parse(
        "p95_latency <= 20 ms\np50_latency <= 1 s\nerror_rate <= 1%\nrequests >= 10\n"
        "drift(Income) <= 0.2\ndrift(*) <= 0.2\nmissing(Income) <= 50%\nroc_auc >= 0.75\n"
        "f1 >= 0.1\nprediction_drift <= 0.2\ndrift(Nothing) <= 1"
    )
    results = {r.text: r for r in judging.judge(goals, known)}
    assert results["p95_latency <= 20 ms"].value == 12.0
    assert results["p95_latency <= 20 ms"].passed
    assert not results["error_rate <= 1%"].passed
    assert results["requests >= 10"].passed
    assert results["drift(*) <= 0.2"].passed
    assert results["missing(Income) <= 50%"].passed
    assert results["roc_auc >= 0.75"].value == 0.8
    assert "only roc_auc were measured" in results["f1 >= 0.1"].reason
    assert "no request came" in results["p50_latency <= 1 s"].reason
    assert "no earlier predictions" in results["prediction_drift <= 0.2"].reason
    assert "not part of the training data" in results["drift(Nothing) <= 1"].reason


def test_without_traffic_goals_fail_with_the_reason(credit: pd.DataFrame) -> None:
    nothing = credit.head(0)
    known = facts.subject(
        name="credit",
        features=report.compare(reference(credit), nothing),
        service={"requests": 0, "error_rate": None, "latency_ms": {}},
        performance={},
        rows=0,
    )
    goals = grammar.parse("drift(*) <= 0.2\nerror_rate <= 1%\nroc_auc >= 0.5")
    results = judging.judge(goals, known)
    assert not any(r.passed for r in results)
    assert "There are no rows" in results[0].reason
    assert "no request came" in results[1].reason
    assert "no labels were given" in results[2].reason
