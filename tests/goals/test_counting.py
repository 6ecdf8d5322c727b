"""Counts, and metrics with a parameter of their own, beside scikit-learn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from mlops_magics.errors import BadGoal
from mlops_magics.goals import grammar, judging, metrics
from mlops_magics.goals.samples import Undefined, sample
from mlops_magics.goals.subject import Subject
from mlops_magics.records import GoalResult

ROWS = 300
_RNG = np.random.default_rng(0)
TRUTH = np.where(_RNG.random(ROWS) < 0.3, "bad", "good")
SCORES = np.clip(_RNG.normal(0.35 + 0.25 * (TRUTH == "bad"), 0.2), 0.01, 0.99)
HOMES = np.where(np.arange(ROWS) < 4, "boat", np.where(np.arange(ROWS) % 3 == 0, "own", "rent"))
SUBJECT = Subject(
    sample=sample(
        "classification",
        TRUTH,
        np.where(SCORES > 0.5, "bad", "good"),
        SCORES,
        ["good", "bad"],
        "bad",
    ),
    features=pd.DataFrame({"Home": HOMES}),
)


def judge(text: str, of: Subject = SUBJECT, **options: Any) -> GoalResult:
    (result,) = judging.judge(grammar.parse(text), of, resamples=30, **options)
    return result


def test_rows_and_positives_are_counted() -> None:
    positives = int((TRUTH == "bad").sum())
    for goal, count in (("rows", ROWS), ("positives", positives)):
        assert judge(f"{goal} >= {count}").passed
        failed = judge(f"{goal} > {count}")
        assert not failed.passed
        assert failed.value == count
        assert failed.interval is None  # a count is what it is


def test_they_are_counted_in_every_group_however_small() -> None:
    for goal, mask in (("rows", np.ones(ROWS, bool)), ("positives", TRUTH == "bad")):
        result = judge(f"{goal} >= 10 by Home")
        counts = {f"Home = {home}": float((mask & (home == HOMES)).sum()) for home in set(HOMES)}
        assert {g["group"]: g["value"] for g in result.groups} == counts
        assert not result.passed
        assert "1 of 3 groups fail; the worst is Home = boat (4 rows)" in result.reason
        assert "too small" not in result.reason


def test_an_empty_group_has_no_rows_to_count() -> None:
    homes = pd.Categorical(HOMES, categories=["own", "rent", "boat", "castle"])
    given = replace(SUBJECT, features=pd.DataFrame({"Home": homes}))
    result = judge("rows >= 1 by Home", given)
    assert not result.passed
    assert "Home = castle" in result.reason


def test_positives_belong_to_two_classes() -> None:
    several = Subject(sample=sample("classification", ["a", "b", "c"], ["a", "b", "c"]))
    assert "there is no positive class" in judge("positives >= 1", several).reason
    numbers = Subject(sample=sample("regression", [1.0, 2.0], [1.0, 2.0]))
    assert "there is no positive class" in judge("positives >= 1", numbers).reason
    assert judge("rows >= 2", numbers).passed


@pytest.mark.parametrize(
    ("goal", "says"),
    [
        ("rows >= 30 with 95%", "rows has no interval"),
        ("rows >= champion", "can't be compared with a champion"),
        ("rows gap <= 3 by Home", "rows has no gap"),
        ("positives >= 3 under noise 10%", "does not depend on the answers"),
    ],
)
def test_a_count_takes_no_statistics(goal: str, says: str) -> None:
    with pytest.raises(BadGoal, match=says):
        grammar.parse(goal)


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0, 3.7])
def test_fbeta_equals_scikit_learn(beta: float) -> None:
    rows = SUBJECT.answers()
    theirs = sk.fbeta_score(rows.y_true, rows.predictions, beta=beta, pos_label="bad")
    assert judge(f"fbeta(beta={beta}) >= 0").value == pytest.approx(theirs)
    assert judge(f"fbeta(beta={beta}, threshold=0.3) >= 0").value == pytest.approx(
        sk.fbeta_score(TRUTH == "bad", SCORES >= 0.3, beta=beta)
    )
    names = np.array(["a", "b", "c"])
    truth, said = (names[np.random.default_rng(s).integers(0, 3, 80)] for s in (1, 2))
    for average in ("macro", "weighted", "micro"):
        found = metrics.find("fbeta").value(
            sample("classification", truth, said), beta=beta, average=average
        )
        assert found == pytest.approx(sk.fbeta_score(truth, said, beta=beta, average=average))


@pytest.mark.parametrize("digits", [1, 2, 15])
@pytest.mark.parametrize("least", [0.2, 0.5, 0.8, 0.95, 1.0])
def test_recall_at_is_the_highest_on_scikit_learns_curve(least: float, digits: int) -> None:
    scores = SCORES.round(digits)
    precision, recall, _ = sk.precision_recall_curve(TRUTH == "bad", scores)
    theirs = recall[precision >= least].max()
    given = replace(SUBJECT, sample=replace(SUBJECT.answers(), scores=scores))
    assert judge(f"recall_at(precision={least}) >= 0", given).value == pytest.approx(theirs)


@pytest.mark.parametrize(
    ("goal", "says"),
    [
        ("fbeta >= 0.5", "fbeta needs beta"),
        ("fbeta(beta=0) >= 0.5", "beta of fbeta is above 0"),
        ("recall_at >= 0.5", "recall_at needs precision"),
        ("recall_at(precision=90) >= 0.5", "is a share above 0, at most 1"),
    ],
)
def test_their_parameters_are_asked_for(goal: str, says: str) -> None:
    with pytest.raises(BadGoal, match=says):
        grammar.parse(goal)


@pytest.mark.parametrize("name", ["roc_auc", "average_precision", "recall_at"])
def test_equal_scores_all_over_tell_nothing(name: str) -> None:
    params = {"precision": 0.2} if name == "recall_at" else {}
    rows = replace(SUBJECT.answers(), scores=np.full(ROWS, 0.4))
    share = float((TRUTH == "bad").mean())
    expected = {"roc_auc": 0.5, "average_precision": share, "recall_at": 1.0}[name]
    assert metrics.find(name).value(rows, **params) == pytest.approx(expected)
    if name == "recall_at":
        assert metrics.find(name).value(rows, precision=share + 0.01) == 0
        return
    given = replace(SUBJECT, sample=rows)
    result = judge(f"{name} >= {expected - 1e-9} with 95%", given)
    assert result.passed
    assert result.interval == pytest.approx((expected, expected))
    assert judge(f"{name} >= champion", given, champion=given).passed
    assert not judge(f"{name} > champion", given, champion=given).passed


def test_a_metric_that_looks_at_order_needs_rows_of_both_kinds() -> None:
    good = SUBJECT.answers().take(TRUTH == "good")
    with pytest.raises(Undefined, match="the data has only one class"):
        metrics.find("recall_at").value(good, precision=0.5)
    with pytest.raises(Undefined, match="the data has no row of class 'bad'"):
        metrics.find("fbeta").value(good, beta=2.0)
