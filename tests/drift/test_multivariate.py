"""A classifier between training and what came: what it sees, what it does not, and by what."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from mlops_magics.drift import facts, multivariate, report
from mlops_magics.evidence.profile import profile
from mlops_magics.goals import grammar, judging


def rows(seed: int, count: int = 1500, together: float = 0.0) -> pd.DataFrame:
    """Columns that look alike each for itself, whatever `together` is."""
    rng = np.random.default_rng(seed)
    one, other = rng.normal(size=(2, count))
    return pd.DataFrame(
        {
            "Income": one,
            "Debt": together * one + np.sqrt(1 - together**2) * other,
            "Age": np.where(rng.random(count) < 0.1, np.nan, rng.integers(18, 80, count)),
            "Home": rng.choice(["owner", "rent", None], count),
            "Since": pd.Timestamp("2026-01-01"),
        }
    )


def test_a_change_of_how_columns_go_together_is_seen() -> None:
    before, now = rows(0), rows(1, together=0.9)
    known = profile(before)
    assert not any(f["drifted"] for f in report.compare(known, now))
    found = multivariate.measure(known, before, now)
    assert found["drifted"]
    assert found["auc"] > 0.65
    assert found["interval"][0] > 0.62 < found["interval"][1]
    assert found["p"] < 1e-6
    assert [d["feature"] for d in found["drivers"][:2]] in (["Income", "Debt"], ["Debt", "Income"])
    assert sum(d["share"] for d in found["drivers"][:2]) > 0.9
    assert found["left_out"] == {"Since": "times move on by themselves"}
    assert "The rows are told from those of training: AUC 0." in found["reason"]
    assert multivariate.measure(known, before, now) == found  # the seed is the same
    assert multivariate.measure(known, before, now, seed=1) != found


def test_nothing_is_found_where_there_is_nothing() -> None:
    ps = []
    for seed in range(8):
        before, now = rows(10 + seed, 500), rows(50 + seed, 300)
        found = multivariate.measure(profile(before), before, now, seed=seed)
        assert found["auc"] == pytest.approx(0.5, abs=0.09)
        assert not found["drifted"]
        assert bool(found["drivers"]) == (found["p"] <= 0.05)
        ps.append(found["p"])
    assert sum(p <= 0.05 for p in ps) <= 2
    assert max(ps) > 0.3


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("Home", ["boat", "owner"]),
        ("Age", [np.nan]),
        ("Income", [np.inf]),
        ("Home", [f"new {i}" for i in range(100_000)]),
    ],
)
def test_new_categories_gaps_and_infinities(column: str, values: list[Any]) -> None:
    before = rows(0)
    now = rows(1).assign(**{column: np.resize(np.array(values, dtype=object), 1500)})
    found = multivariate.measure(profile(before), before, now)
    assert found["drifted"]
    assert found["drivers"][0]["feature"] == column
    assert found["drivers"][0]["share"] > 0.9


def test_what_cannot_be_told_is_said() -> None:
    before = rows(0)
    known = profile(before)
    assert "3 rows are too few" in multivariate.measure(known, before, rows(1, 3))["reason"]
    changed = rows(1).assign(Age="old", Debt=1.0).drop(columns="Home")
    found = multivariate.measure(known, before.assign(Debt=1.0), changed, masked=["Income"])
    assert found["reason"] == "No column is left that both sides have."
    assert found["left_out"] == {
        "Income": "its values are masked",
        "Age": "its type has changed",
        "Home": "it is missing from the data",
        "Since": "times move on by themselves",
    }


def test_area_and_errors_are_those_of_their_formulas() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(400) < 0.3
    scores = np.round(rng.normal(size=400) + truth, 1)  # with ties
    auc, error = multivariate._delong(scores, truth)
    assert auc == pytest.approx(roc_auc_score(truth, scores))
    drawn = []
    for _ in range(250):
        chosen = rng.integers(0, 400, 400)
        drawn.append(roc_auc_score(truth[chosen], scores[chosen]))
    assert error == pytest.approx(np.std(drawn), rel=0.15)
    shuffled = [roc_auc_score(rng.permutation(truth), scores) for _ in range(250)]
    assert multivariate._mann_whitney(scores, truth) == pytest.approx(np.std(shuffled), rel=0.15)


def test_a_goal_asks_for_it() -> None:
    def judged(found: dict[str, Any]) -> Any:
        known = facts.subject(
            name="m", features=(), service={}, performance={}, rows=9, multivariate=found
        )
        return judging.judge(grammar.parse("multivariate_drift <= 0.6"), known)[0]

    assert judged({"auc": 0.55}).passed
    assert judged({"auc": 0.7}).value == 0.7
    assert not judged({"auc": 0.7}).passed
    assert "too few" in judged({"reason": "3 rows are too few."}).reason
    assert "it was not asked for (--multivariate)" in judged({}).reason
