"""Judging: thresholds, comparisons, groups and facts, with their reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from mlops_magics.goals import bench, grammar, judging, latency, metrics
from mlops_magics.goals.metrics import OfArrays
from mlops_magics.goals.samples import Sample, sample
from mlops_magics.goals.subject import Subject
from mlops_magics.records import GoalResult

ROWS = 600
AUC = metrics.find("roc_auc")
TRUTH = np.where(np.random.default_rng(0).random(ROWS) < 0.3, "bad", "good")
FEATURES = pd.DataFrame(
    {
        "Home": np.random.default_rng(1).choice(
            ["own", "rent", "parents"], ROWS, p=[0.5, 0.3, 0.2]
        ),
        "Income": np.random.default_rng(2).normal(100, 20, ROWS),
    }
)


def answers(seed: int, skill: float = 1.6) -> Sample:
    noise = np.random.default_rng(seed).normal(size=ROWS)
    scores = 1 / (1 + np.exp(-(skill * (TRUTH == "bad") - 0.8 + noise)))
    said = np.where(scores > 0.5, "bad", "good")
    return sample("classification", TRUTH, said, scores, ["good", "bad"], "bad")


def subject(seed: int = 1, skill: float = 1.6, **more: Any) -> Subject:
    given: dict[str, Any] = {
        "name": "credit/3",
        "sample": answers(seed, skill),
        "features": FEATURES,
    }
    return Subject(**{**given, **more})


def judge(text: str, of: Subject | None = None, **options: Any) -> GoalResult:
    (result,) = judging.judge(grammar.parse(text), of or subject(), resamples=200, **options)
    return result


def auc(of: Sample) -> float:
    return float(sk.roc_auc_score(of.y_true == "bad", of.scores))


def test_a_threshold_is_judged_on_the_value_and_shows_its_interval() -> None:
    value = auc(answers(1))
    result = judge("roc_auc >= 0.5")
    assert result.passed
    assert result.value == pytest.approx(value)
    assert result.interval is not None
    assert result.interval[0] < value < result.interval[1]
    assert result.reason == f"{value:.4g} is at least 0.5."
    failed = judge("roc_auc >= 0.99")
    assert not failed.passed
    assert failed.reason == f"{value:.4g} is below 0.99."
    assert failed.interval == result.interval


def test_percent_goals_answer_in_percent() -> None:
    result = judge("roc_auc >= 50%")
    assert result.value == pytest.approx(100 * auc(answers(1)))
    assert "%" in result.reason


def test_with_a_confidence_the_bound_of_the_interval_decides() -> None:
    found = bench.measured(AUC, answers(1), resamples=200)
    lower = found.bound(0.95, lower=True)
    between = (lower + found.value) / 2
    assert judge(f"roc_auc >= {between:.6f}").passed
    assert not judge(f"roc_auc >= {between:.6f} with 95%").passed
    assert judge(f"roc_auc >= {lower - 1e-4:.6f} with 95%").passed
    upper = found.bound(0.95, lower=False)
    assert judge(f"roc_auc <= {upper + 1e-4:.6f} with 95%").passed
    assert not judge(f"roc_auc <= {found.value + 1e-4:.6f} with 95%").passed


def test_not_worse_than_the_champion_is_a_paired_test() -> None:
    champion = subject(2, name="credit/2")
    found = bench.measured(AUC, answers(1), answers(2), resamples=200)
    bound = found.bound(0.95, lower=True)
    wide = judge(f"roc_auc >= champion - {-(bound - 0.001):.6f}", champion=champion)
    assert wide.passed
    assert wide.value == pytest.approx(auc(answers(1)))
    assert wide.interval == pytest.approx(found.interval())
    assert "the champion credit/2" in wide.reason
    assert "paired bootstrap" in wide.reason
    narrow = judge(f"roc_auc >= champion - {max(0.0, -(bound + 0.001)):.6f}", champion=champion)
    assert not narrow.passed


def test_a_clearly_worse_model_fails_and_a_clearly_better_one_passes() -> None:
    good, poor = subject(1, 2.5), subject(2, 0.3, name="credit/2")
    assert judge("roc_auc >= champion", good, champion=poor).passed
    worse = judge("roc_auc >= champion - 0.01", poor, champion=good)
    assert not worse.passed
    assert "too few" not in worse.reason


def test_the_same_model_is_not_worse_than_itself() -> None:
    assert judge("roc_auc >= champion", champion=subject()).passed
    assert judge("log_loss <= champion", champion=subject()).passed
    assert not judge("roc_auc > champion", champion=subject()).passed


def test_when_the_rows_are_too_few_to_tell_it_says_so() -> None:
    better, other = subject(1, 1.62), subject(1, 1.6, name="credit/2")
    noisy = replace(other, sample=answers(5, 1.5))
    result = judge("roc_auc >= champion", better, champion=noisy)
    if auc(better.sample) > auc(noisy.sample):  # type: ignore[arg-type]
        assert not result.passed
        assert "too few to tell" in result.reason


def test_without_a_champion_there_is_nothing_to_be_worse_than() -> None:
    result = judge("roc_auc >= champion - 0.005")
    assert result.passed
    assert result.value == pytest.approx(auc(answers(1)))
    assert result.reason == "There is no champion yet to compare with."
    # But what can't be measured has not passed.
    broken = judge("roc_auc >= champion", subject(problem="the model raised ValueError: no"))
    assert not broken.passed
    assert "the model raised ValueError" in broken.reason


def test_a_champion_that_cannot_be_measured_fails_the_goal() -> None:
    champion = Subject(name="credit/2", problem="the data lacks its columns Rent, Age")
    result = judge("roc_auc >= champion", champion=champion)
    assert not result.passed
    assert "credit/2 can't be compared with: the data lacks its columns" in result.reason


def test_a_baseline_is_compared_like_a_champion() -> None:
    assert not judge("roc_auc >= baseline + 0.1").passed
    nothing = replace(answers(1), scores=np.full(ROWS, 0.3), predictions=np.full(ROWS, "good"))
    given = Subject(name="that knows nothing", sample=nothing)
    assert judge("roc_auc >= baseline + 0.1", baseline=given).passed
    assert not judge("roc_auc >= baseline + 0.49", baseline=given).passed


def test_every_group_is_judged_and_the_worst_named() -> None:
    mine = answers(1)
    each = {
        home: sk.recall_score(TRUTH[rows], mine.predictions[rows], pos_label="bad")
        for home, rows in FEATURES.groupby("Home").indices.items()
    }
    worst = min(each, key=each.__getitem__)
    result = judge(f"recall >= {each[worst] - 0.01:.4f} by Home")
    assert result.passed
    assert result.value == pytest.approx(each[worst])
    assert f"Home = {worst}" in result.reason
    failing = judge(f"recall >= {each[worst] + 0.0001:.4f} by Home")
    assert not failing.passed
    assert f"the worst is Home = {worst}" in failing.reason


def test_the_gap_between_groups_is_that_of_highest_and_lowest() -> None:
    mine = answers(1)
    each = {
        home: sk.recall_score(TRUTH[rows], mine.predictions[rows], pos_label="bad")
        for home, rows in FEATURES.groupby("Home").indices.items()
    }
    gap = max(each.values()) - min(each.values())
    result = judge(f"recall gap <= {gap + 0.001:.6f} by Home")
    assert result.passed
    assert result.value == pytest.approx(gap)
    assert f"Highest in Home = {max(each, key=each.__getitem__)}" in result.reason
    assert not judge(f"recall gap <= {gap - 0.001:.6f} by Home").passed
    # Beside a champion the gaps are compared on the same resamples.
    assert judge("recall gap <= champion by Home", champion=subject()).passed


def test_a_small_group_is_not_measured_unless_it_is_allowed() -> None:
    homes = FEATURES["Home"].to_numpy(dtype=object).copy()
    homes[:3] = "boat"
    few = subject(features=FEATURES.assign(Home=homes))
    result = judge("accuracy >= 0 by Home", few)
    assert not result.passed
    assert "Home = boat (3 rows, too small (under 30))" in result.reason
    assert judge("accuracy >= 0 by Home", few, allow_small=True).passed
    # What stays undefined there stays unmeasured: it has no positive row.
    homes[:] = FEATURES["Home"]
    homes[np.flatnonzero(TRUTH == "good")[:3]] = "boat"
    undefined = judge(
        "recall >= 0 by Home", subject(features=FEATURES.assign(Home=homes)), allow_small=True
    )
    assert not undefined.passed
    assert "no row of class 'bad'" in undefined.reason


def test_a_missing_value_is_a_group_of_its_own() -> None:
    homes = FEATURES["Home"].to_numpy(dtype=object).copy()
    homes[:100] = None
    gaps = subject(features=FEATURES.assign(Home=homes))
    rows = slice(0, 100)
    value = sk.accuracy_score(TRUTH[rows], answers(1).predictions[rows])
    result = judge("accuracy gap <= 1 by Home", gaps)
    others = [
        sk.accuracy_score(TRUTH[r], answers(1).predictions[r])
        for r in (np.flatnonzero(homes == h) for h in ("own", "rent", "parents"))
    ]
    assert result.value == pytest.approx(max(*others, value) - min(*others, value))


def test_an_empty_group_is_not_measured_or_left_out() -> None:
    homes = pd.Categorical(FEATURES["Home"], categories=["own", "rent", "parents", "boat"])
    given = subject(features=FEATURES.assign(Home=homes))
    result = judge("accuracy >= 0 by Home", given)
    assert not result.passed
    assert "Home = boat (no rows)" in result.reason
    allowed = judge("accuracy >= 0 by Home", given, allow_small=True)
    assert allowed.passed
    assert "Left out, being empty: Home = boat" in allowed.reason


@pytest.mark.parametrize(
    ("goal", "says"),
    [
        ("recall >= 0.1 by Hom", "Did you mean 'Home'?"),
        ("recall >= 0.1 by Income", "600 different values"),
        ("rmse <= 3", "belongs to a regression"),
        ("recall(positive=goud) >= 0", "no class 'goud'"),
        ("profit(tp=1, positive=neither) >= 0", "no class 'neither'"),
        ("drift(Income) <= 0.2", "drift(Income) is not known"),
        ("drift(*) <= 0.2", "drift of no column is known"),
        ("error_rate <= 1%", "error_rate is not known"),
        ("p95_latency <= 5 ms", "there is no model to ask"),
        ("model_size <= 5 MB", "model_size is not known"),
    ],
)
def test_what_cannot_be_measured_has_failed_and_says_why(goal: str, says: str) -> None:
    result = judge(goal)
    assert not result.passed
    assert result.value is None
    assert result.reason.startswith("Not measured: ")
    assert says in result.reason


def test_problems_of_the_answers_fail_with_their_reason() -> None:
    gaps = answers(1).predictions.copy()
    gaps[:3] = None
    result = judge("accuracy >= 0", subject(sample=replace(answers(1), predictions=gaps)))
    assert "3 of 600 predictions are missing (NaN)" in result.reason
    labels = replace(answers(1), scores=None)
    assert "needs probabilities" in judge("roc_auc >= 0", subject(sample=labels)).reason
    truth = TRUTH.copy().astype(object)
    truth[:2] = "ugly"
    result = judge("accuracy >= 0", subject(sample=replace(answers(1), y_true=truth)))
    assert "the class 'ugly', which credit/3 does not know" in result.reason
    numbers = replace(answers(1), y_true=(TRUTH == "bad").astype(int))
    assert (
        "the classes 0, 1, which credit/3 does not know: it knows 'good', 'bad'"
        in judge("accuracy >= 0", subject(sample=numbers)).reason
    )
    one = answers(1).take(TRUTH == "good")
    lone = subject(sample=one, features=FEATURES[TRUTH == "good"])
    assert "only one class ('good')" in judge("roc_auc >= 0", lone).reason
    assert "there are no rows" in judge("accuracy >= 0", subject(sample=one.take([]))).reason  # type: ignore[arg-type]


def test_latency_is_measured_on_single_rows() -> None:
    seen: list[int] = []

    def predict(frame: pd.DataFrame) -> np.ndarray:
        seen.append(len(frame))
        return frame["Income"].to_numpy()

    given = subject(predict=predict)
    goals = grammar.parse("p50_latency <= 1 s\np95_latency <= 1 s\np99_latency <= 1 s")
    results = judging.judge(goals, given)
    assert all(r.passed for r in results)
    values = [r.value for r in results if r.value is not None]
    assert values == sorted(values)
    assert set(seen) == {1}
    # One measurement serves all three.
    assert len(seen) == latency.WARM_UP + latency.REPEATS
    assert f"{latency.REPEATS} single-row answers" in results[0].reason
    assert not judge("p50_latency <= 0.000001 us", given).passed


def test_a_model_that_raises_on_a_row_has_no_latency() -> None:
    def predict(frame: pd.DataFrame) -> np.ndarray:
        raise RuntimeError("no such row")

    result = judge("p95_latency <= 20 ms", subject(predict=predict))
    assert not result.passed
    assert "the model raised RuntimeError on a single row: no such row" in result.reason


def test_facts_are_judged_in_the_goals_unit() -> None:
    known = subject(facts={"model_size": 3.2e6, "drift(a)": 0.05, "drift(b)": 0.31, "rows": 40})
    size = judge("model_size <= 50 MB", known)
    assert (size.value, size.passed) == (pytest.approx(3.2), True)
    worst = judge("drift(*) <= 0.2", known)
    assert (worst.value, worst.passed) == (0.31, False)
    assert "the worst is b" in worst.reason
    assert judge("drift(*) <= 0.4", known).passed
    assert judge("drift(a) <= 0.1", known).passed
    assert judge("rows >= 40", known).passed
    champion = Subject(name="credit/2", facts={"model_size": 3e6})
    assert judge("model_size <= champion + 1 MB", known, champion=champion).passed
    larger = judge("model_size <= champion", known, champion=champion)
    assert not larger.passed
    assert larger.value == pytest.approx(3.2)


def test_an_unknown_fact_says_why_and_fails_every_column() -> None:
    known = Subject(facts={"drift(a)": 0.0}, unknown={"drift(b)": "3 rows are too few to judge"})
    result = judge("drift(*) <= 0.2", known)
    assert not result.passed
    assert "the worst is b: Not measured: 3 rows are too few to judge." in result.reason


def test_metrics_measured_before_serve_as_facts() -> None:
    # What `retrain` asks of a monitoring record: a condition, in the same language.
    record = Subject(facts={"roc_auc": 0.71}, problem="only roc_auc were measured")
    assert judge("roc_auc < 0.75", record).passed
    assert "only roc_auc were measured" in judge("f1 >= 0.5", record).reason


def test_the_same_seed_gives_the_same_verdict() -> None:
    text = "roc_auc >= champion - 0.01\nrecall >= 0.5 by Home\nrecall gap <= 0.2 by Home"
    goals = grammar.parse(text)
    runs = [judging.judge(goals, subject(1), subject(2), resamples=50, seed=s) for s in (4, 4, 5)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


class Raising(OfArrays):
    """Someone's metric with a mistake in it."""

    name = "raising"

    def __call__(self, y_true: Any, y_pred: Any, *args: Any, **params: Any) -> float:
        raise ZeroDivisionError("division by zero")


class ShareOfLongNames(OfArrays):
    """Someone's metric without any help for the bootstrap."""

    name = "long_names"

    def __call__(self, y_true: Any, y_pred: Sequence[str], *args: Any, **params: Any) -> float:
        return float(np.mean([len(v) > 3 for v in y_pred]))


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = metrics.find
    mine = {"raising": Raising(), "long_names": ShareOfLongNames()}
    monkeypatch.setattr(metrics, "find", lambda name: mine.get(name) or plain(name))


def test_a_users_metric_has_intervals_groups_and_comparisons(registered: None) -> None:
    result = judge("long_names >= 0.1")
    assert result.passed
    assert result.value == pytest.approx(np.mean(answers(1).predictions == "good"))
    assert result.interval is not None
    assert result.interval[0] < (result.value or 0) < result.interval[1]
    assert judge("long_names >= 0.1 by Home").passed
    assert judge("long_names >= champion", champion=subject()).passed


def test_a_metric_that_raises_counts_as_failed(registered: None) -> None:
    result = judge("raising >= 0")
    assert not result.passed
    assert "raising raised ZeroDivisionError: division by zero" in result.reason


def test_regression_goals() -> None:
    truth = np.random.default_rng(0).normal(10, 2, ROWS)
    said = truth + np.random.default_rng(1).normal(0, 1, ROWS)
    mine = Subject(sample=sample("regression", truth, said), features=FEATURES)
    worse = Subject(name="price/1", sample=sample("regression", truth, said + 1.0))
    assert judge("rmse <= champion", mine, champion=worse).passed
    assert not judge("rmse <= champion", worse, champion=mine).passed
    assert judge("mae <= 1.5 by Home", mine).passed
    assert judge("r2 >= 0.5 with 99%", mine).passed
    assert "belongs to a classification" in judge("f1 >= 0", mine).reason
