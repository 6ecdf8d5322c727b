"""A function of the user's as a metric: what it may take, and what is said when it can't be one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from mlops_magics.errors import BadGoal
from mlops_magics.goals import bench, grammar, judging, metrics
from mlops_magics.goals.samples import sample
from mlops_magics.goals.subject import Subject
from mlops_magics.records import GoalResult

ROWS = 200
_RNG = np.random.default_rng(0)
TRUTH = np.where(_RNG.random(ROWS) < 0.4, "bad", "good")
SCORES = np.clip(_RNG.normal(0.35 + 0.3 * (TRUTH == "bad"), 0.2), 0, 1)
SAID = np.where(SCORES > 0.5, "bad", "good")
FEATURES = pd.DataFrame(
    {"Amount": _RNG.integers(100, 5000, ROWS), "Home": _RNG.choice(["own", "rent"], ROWS)},
    index=np.arange(ROWS) * 2 + 1000,
)
SUBJECT = Subject(
    sample=sample("classification", TRUTH, SAID, SCORES, ["good", "bad"], "bad"),
    features=FEATURES,
)


def judge(text: str, of: Subject = SUBJECT, resamples: int = 40, **functions: Any) -> GoalResult:
    with metrics.using(functions, "the notebook credit.ipynb"):
        (result,) = judging.judge(grammar.parse(text), of, resamples=resamples)
    return result


def test_its_first_two_arguments_are_truth_and_predictions_whatever_their_names() -> None:
    def agreed(a: Any, b: Any) -> Any:
        return (a == b).mean()

    result = judge("agreed >= 0.5", agreed=agreed)
    assert result.passed
    assert result.value == pytest.approx((TRUTH == SAID).mean())
    assert result.interval is not None
    assert result.interval[0] < (result.value or 0) < result.interval[1]
    by = judge("agreed >= 0 by Home", agreed=agreed)
    for group, home in zip(by.groups, ("own", "rent"), strict=True):
        rows = FEATURES["Home"].eq(home).to_numpy()
        assert group["value"] == pytest.approx((TRUTH == SAID)[rows].mean())
    assert "40 resamples" not in result.reason  # as many as were asked for


def test_others_are_filled_in_by_their_names() -> None:
    def lost(y_true: Any, y_pred: Any, X: Any, scores: Any, classes: Any, positive: Any) -> Any:
        assert list(classes) == ["good", "bad"]
        assert list(X.index) == list(range(len(y_true)))
        return (X["Amount"] * scores)[(y_true == positive) & (y_pred != positive)].sum()

    missed = (TRUTH == "bad") & (SAID == "good")
    expected = (FEATURES["Amount"].to_numpy() * SCORES)[missed].sum()
    result = judge("lost <= 1e9", lost=lost)
    assert result.passed, result.reason
    assert result.value == pytest.approx(expected)
    # Less of what is lost is better, as its name says; of another name more is.
    with metrics.using({"lost": lost, "agreed": lost}, "here"):
        assert not metrics.find("lost").greater_is_better
        assert metrics.find("agreed").greater_is_better


@pytest.mark.parametrize("goal", ["lost(share=0.5) <= 1e9", "lost(share=2) <= 1e9", "lost <= 1e9"])
@pytest.mark.parametrize("default", [1.0, 1])  # 1 does not mean that it must be whole
def test_what_is_left_is_a_parameter_of_the_goal(goal: str, default: float) -> None:
    def lost(y_true: Any, y_pred: Any, share: Any = default) -> Any:
        return share * (y_true != y_pred).sum()

    share = {"lost(share=0.5)": 0.5, "lost(share=2)": 2}.get(goal.split()[0], 1)
    assert judge(goal, lost=lost).value == pytest.approx(share * (TRUTH != SAID).sum())


def test_whole_numbers_arrive_whole_and_words_as_words() -> None:
    def best(y_true: Any, y_pred: Any, scores: Any, k: int, order: str = "high") -> Any:
        chosen = np.argsort(scores)[:: -1 if order == "high" else 1][:k]
        return (y_true[chosen] == "bad").mean()

    ranked = TRUTH[np.argsort(SCORES)]
    high, low = (ranked[-20:] == "bad").mean(), (ranked[:20] == "bad").mean()
    assert judge("best(k=20) >= 0", best=best).value == pytest.approx(high)
    assert judge("best(k=20, order=low) >= 0", best=best).value == pytest.approx(low)


@pytest.mark.parametrize(
    ("goal", "column", "says"),
    [
        ("best >= 1", 5, r"best needs k: best\(k=…\)"),
        ("best(kk=3) >= 1", 6, "best has no parameter 'kk'. Did you mean 'k'"),
        ("best(k=high) >= 1", 6, "k of best is a number, not 'high'"),
        ("best(k=2.5) >= 1", 6, "k of best is a whole number, not 2.5"),
        ("best(k=1, order=3) >= 1", 11, "order of best is a word, not 3.0"),
        ("best(k=1) >= 1 ms", 16, "best is not measured in ms: it takes a plain number"),
        ("alone >= 1", 1, "function 'alone' of here is no metric: it takes 1 argument"),
        ("nothing >= 1", 1, "is no metric: it takes 0 arguments"),
        ("accuracy >= 1", 1, "'accuracy' has the name of a metric that there is already"),
        ("f1_macro >= 1", 1, "'f1_macro' has the name of a metric that there is already"),
        ("bset(k=1) >= 1", 1, "Did you mean 'best'"),
    ],
)
def test_what_is_no_metric_is_said_where_it_stands(goal: str, column: int, says: str) -> None:
    def best(y_true: Any, y_pred: Any, k: int, order: str = "high") -> float:
        return 0.0

    functions: dict[str, Callable[..., Any]] = {
        "best": best,
        "alone": lambda y_true: 0.0,
        "nothing": lambda *rest, **more: 0.0,
        "accuracy": lambda y_true, y_pred: 0.0,
        "f1_macro": lambda y_true, y_pred: 0.0,
    }
    with metrics.using(functions, "here"), pytest.raises(BadGoal, match=says) as caught:
        grammar.parse(goal)
    assert f"line 1, column {column}: " in str(caught.value)


def test_a_function_that_no_goal_asks_for_may_be_anything() -> None:
    # Its name is that of a column here, and a word of the comment.
    others = {"Home": lambda: None, "enough": lambda one: one, "accuracy": lambda a, b: 0.0}
    result = judge("recall >= 0 by Home  # enough accuracy", **others)
    assert result.passed


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda y, p: np.array([1.0, 2.0]), r"gave an array of shape \(2,\), and a metric is a n"),
        (lambda y, p: None, "gave None, and a metric is a number"),
        (lambda y, p: float("nan"), "gave nan"),
        (lambda y, p: float("inf"), "gave inf"),
        (lambda y, p: 1 / 0, r"the notebook credit.ipynb, line \d+\) raised ZeroDivisionError"),
    ],
)
def test_an_answer_that_is_no_number_counts_as_failed(
    function: Callable[..., Any], says: str
) -> None:
    result = judge("odd >= 0", odd=function)
    assert not result.passed
    assert result.value is None
    assert re.search(says, result.reason), result.reason


def test_a_number_of_any_kind_is_one() -> None:
    for one in (1, True, np.float32(1), np.int64(1), np.array(1.0)):
        assert judge("one >= 1", one=lambda y, p, one=one: one).value == 1


def test_one_that_takes_weights_is_resampled_by_them_to_the_same_figures() -> None:
    def weighted(y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return f1_score(y_true == "bad", y_pred == "bad", sample_weight=sample_weight)

    def repeated(y_true: Any, y_pred: Any) -> Any:
        return f1_score(y_true == "bad", y_pred == "bad")

    with metrics.using({"weighted": weighted, "repeated": repeated}, "here"):
        one, other = (
            bench.measured(metrics.find(name), SUBJECT.answers(), resamples=15)
            for name in ("weighted", "repeated")
        )
    assert one.value == pytest.approx(other.value)
    assert one.drawn == pytest.approx(other.drawn)


def test_what_it_needs_and_is_not_there_is_said() -> None:
    labels = Subject(sample=sample("classification", TRUTH, SAID, None, ["good", "bad"], "bad"))

    def of_scores(y_true: Any, y_pred: Any, y_proba: Any) -> float:
        return float(y_proba.mean())

    def of_features(y_true: Any, y_pred: Any, features: Any) -> float:
        return float(features["Amount"].mean())

    said = judge("of_scores >= 0", labels, of_scores=of_scores).reason
    assert "it needs probabilities, and this model gives none" in said
    said = judge("of_features >= 0", labels, of_features=of_features).reason
    assert "of_features looks at the features, which are not known here" in said


def test_a_function_is_known_only_while_it_is_lent() -> None:
    with metrics.using({"mine": lambda y, p: 1.0}, "here"):
        grammar.parse("mine >= 0")
        with metrics.using({"other": lambda y, p: 1.0}, "there"):
            assert len(grammar.parse("mine >= 0\nother >= 0")) == 2
        with pytest.raises(BadGoal, match="no metric 'other'"):
            grammar.parse("other >= 0")
    with pytest.raises(BadGoal, match="no metric 'mine'"):
        grammar.parse("mine >= 0")
