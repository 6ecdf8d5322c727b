"""Metrics equal scikit-learn's; what has no value says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.dummy import DummyClassifier, DummyRegressor

from mlops_magics import plugins
from mlops_magics.errors import MlopsError, UnknownName
from mlops_magics.goals import baselines, metrics, samples

CLOSE = {"rel": 1e-12, "abs": 1e-12}


def two_classes(rows: int = 400, seed: int = 0, digits: int = 2) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    truth = np.where(rng.random(rows) < 0.3, "bad", "good")
    scores = np.clip(rng.normal(0.35 + 0.25 * (truth == "bad"), 0.2), 0.01, 0.99).round(digits)
    return {"y": truth, "p": np.where(scores > 0.5, "bad", "good"), "s": scores}


BINARY: dict[str, Callable[..., float]] = {
    "accuracy": lambda y, p, s, w: sk.accuracy_score(y, p, sample_weight=w),
    "balanced_accuracy": lambda y, p, s, w: sk.balanced_accuracy_score(y, p, sample_weight=w),
    "precision": lambda y, p, s, w: sk.precision_score(y, p, pos_label="bad", sample_weight=w),
    "recall": lambda y, p, s, w: sk.recall_score(y, p, pos_label="bad", sample_weight=w),
    "f1": lambda y, p, s, w: sk.f1_score(y, p, pos_label="bad", sample_weight=w),
    "specificity": lambda y, p, s, w: sk.recall_score(y, p, pos_label="good", sample_weight=w),
    "false_positive_rate": lambda y, p, s, w: (
        1 - sk.recall_score(y, p, pos_label="good", sample_weight=w)
    ),
    "false_negative_rate": lambda y, p, s, w: (
        1 - sk.recall_score(y, p, pos_label="bad", sample_weight=w)
    ),
    "selection_rate": lambda y, p, s, w: np.average(p == "bad", weights=w),
    "roc_auc": lambda y, p, s, w: sk.roc_auc_score(y == "bad", s, sample_weight=w),
    "average_precision": lambda y, p, s, w: sk.average_precision_score(
        y == "bad", s, sample_weight=w
    ),
    "log_loss": lambda y, p, s, w: sk.log_loss(y == "bad", s, sample_weight=w),
    "brier": lambda y, p, s, w: sk.brier_score_loss(y == "bad", s, sample_weight=w),
}


@pytest.mark.parametrize("digits", [1, 2, 15])  # with many ties, some, and none
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", BINARY)
def test_binary_metrics_equal_scikit_learn(name: str, weighted: bool, digits: int) -> None:
    data = two_classes(digits=digits)
    weights = np.random.default_rng(1).integers(0, 4, 400) if weighted else None
    metric = metrics.find(name)
    given = data["s"] if metric.needs == "scores" else data["p"]
    ours = metric(data["y"], given, sample_weight=weights, positive="bad")
    assert ours == pytest.approx(BINARY[name](data["y"], data["p"], data["s"], weights), **CLOSE)


def three_classes(rows: int = 500, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    names = np.array(["a", "b", "c"])
    truth = names[rng.choice(3, rows, p=[0.6, 0.3, 0.1])]
    scores = rng.dirichlet([1, 1, 1], rows) + 0.8 * (truth[:, None] == names)
    scores = (scores / scores.sum(axis=1, keepdims=True)).round(3)
    scores[:, 2] = 1 - scores[:, 0] - scores[:, 1]
    return truth, names[scores.argmax(axis=1)], scores


@pytest.mark.parametrize("average", [None, "macro", "weighted", "micro"])
@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
def test_several_classes_are_averaged_as_scikit_learn_does(name: str, average: str | None) -> None:
    truth, said, _ = three_classes()
    options = {"average": average} if average else {}
    theirs = getattr(sk, f"{name}_score")(truth, said, average=average or "macro")
    assert metrics.find(name)(truth, said, **options) == pytest.approx(theirs, **CLOSE)
    one = metrics.find(name)(truth, said, positive="b")
    assert one == pytest.approx(
        getattr(sk, f"{name}_score")(truth == "b", said == "b", pos_label=True), **CLOSE
    )


def test_probabilities_of_several_classes_equal_scikit_learn() -> None:
    truth, said, scores = three_classes()
    found = metrics.measure(
        "classification",
        truth,
        said,
        scores,
        ["a", "b", "c"],
        names=["roc_auc", "average_precision", "log_loss", "brier", "roc_auc_ovo", "f1_weighted"],
    )
    assert found == pytest.approx(
        {
            "roc_auc": sk.roc_auc_score(truth, scores, multi_class="ovr"),
            "average_precision": sk.average_precision_score(
                (truth[:, None] == np.array(["a", "b", "c"])).astype(int), scores
            ),
            "log_loss": sk.log_loss(truth, scores),
            "brier": np.mean(
                ((scores - (truth[:, None] == np.array(["a", "b", "c"]))) ** 2).sum(axis=1)
            ),
            "roc_auc_ovo": sk.roc_auc_score(truth, scores, multi_class="ovo"),
            "f1_weighted": sk.f1_score(truth, said, average="weighted"),
        },
        **CLOSE,
    )


REGRESSION: dict[str, Callable[..., float]] = {
    "rmse": sk.root_mean_squared_error,
    "mse": sk.mean_squared_error,
    "mae": sk.mean_absolute_error,
    "r2": sk.r2_score,
    "mape": sk.mean_absolute_percentage_error,
    "median_absolute_error": sk.median_absolute_error,
}


@pytest.mark.parametrize("rows", [50, 51])
@pytest.mark.parametrize("name", REGRESSION)
def test_regression_metrics_equal_scikit_learn(name: str, rows: int) -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(1e4, 5, rows)
    said = truth + rng.normal(0, 2, rows)
    counts = rng.integers(0, 3, rows)
    metric = metrics.find(name)
    assert metric(truth, said) == pytest.approx(REGRESSION[name](truth, said), **CLOSE)
    repeated = np.repeat(truth, counts), np.repeat(said, counts)
    weighted = metric(truth, said, sample_weight=counts)
    assert weighted == pytest.approx(REGRESSION[name](*repeated), rel=1e-10, abs=1e-12)


def test_profit_counts_what_decisions_earn() -> None:
    truth = np.array([1, 1, 1, 0, 0, 0])
    said = np.array([1, 1, 0, 1, 0, 0])
    profit = metrics.find("profit")(truth, said, positive=1, tp=100, fp=-20, fn=-5, tn=1)
    assert profit == 2 * 100 - 20 - 5 + 2
    assert metrics.find("cost")(truth, said, positive=0, fn=7) == 7
    assert not metrics.find("cost").greater_is_better


@pytest.mark.parametrize(
    "name", ["matthews_corrcoef", "f1_macro", "jaccard", "neg_log_loss", "neg_brier_score"]
)
def test_scorers_equal_scikit_learn_with_text_classes(name: str) -> None:
    data = two_classes()
    found = metrics.measure(
        "classification",
        data["y"],
        data["p"],
        np.column_stack([data["s"], 1 - data["s"]]),
        ["bad", "good"],
        "bad",
        names=[name],
    )
    y, p = (data["y"] == "bad").astype(int), (data["p"] == "bad").astype(int)
    theirs = {
        "matthews_corrcoef": sk.matthews_corrcoef(y, p),
        "f1_macro": sk.f1_score(y, p, average="macro"),
        "jaccard": sk.jaccard_score(y, p),
        "neg_log_loss": -sk.log_loss(y, data["s"]),
        "neg_brier_score": -sk.brier_score_loss(y, data["s"]),
    }
    assert found == pytest.approx({name: theirs[name]}, **CLOSE)


def test_the_positive_class_decides() -> None:
    data = two_classes()
    scores = np.column_stack([data["s"], 1 - data["s"]])
    both = {
        positive: metrics.measure(
            "classification", data["y"], data["p"], scores, ["bad", "good"], positive
        )
        for positive in ("bad", "good")
    }
    assert both["bad"]["f1"] == pytest.approx(sk.f1_score(data["y"], data["p"], pos_label="bad"))
    assert both["good"]["f1"] == pytest.approx(sk.f1_score(data["y"], data["p"], pos_label="good"))
    assert both["bad"]["average_precision"] != both["good"]["average_precision"]
    assert both["bad"]["log_loss"] == pytest.approx(both["good"]["log_loss"])


def test_one_column_of_scores_is_of_the_last_class_whichever_is_positive() -> None:
    truth = ["a", "b", "b", "a", "b"]
    chances, margins = [0.2, 0.9, 0.6, 0.7, 0.8], [-2.0, 3.0, 0.5, 0.8, 1.0]
    for scores in (chances, margins):
        for positive in ("a", "b"):
            names = ["roc_auc", "average_precision", "log_loss", "roc_auc_ovr", "neg_log_loss"]
            found = metrics.measure(
                "classification", truth, truth, scores, ["a", "b"], positive, names
            )
            sign = 1 if positive == "b" else -1
            hits = np.array(truth) == positive
            assert found["roc_auc"] == pytest.approx(
                sk.roc_auc_score(hits, sign * np.array(scores))
            )
            assert found["average_precision"] == pytest.approx(
                sk.average_precision_score(hits, sign * np.array(scores))
            )
            if scores is chances:
                loss = sk.log_loss(np.array(truth) == "b", chances)
                assert found["log_loss"] == pytest.approx(loss)
                assert found["neg_log_loss"] == pytest.approx(-loss)
                assert found["roc_auc_ovr"] == pytest.approx(found["roc_auc"])
            else:
                assert "gives scores only" in found.undefined["log_loss"]
                assert "needs probabilities" in found.undefined["neg_log_loss"]


def test_one_class_in_the_test_set_is_said_in_words() -> None:
    found = metrics.measure(
        "classification",
        ["good"] * 5,
        ["good", "good", "bad", "good", "good"],
        [0.9, 0.8, 0.3, 0.7, 0.9],
        ["bad", "good"],
        "bad",
    )
    assert found.keys() == {"accuracy", "log_loss"}
    assert found["accuracy"] == 0.8
    assert found.undefined.keys() == {"balanced_accuracy", "f1", "roc_auc", "average_precision"}
    assert "only one class ('good')" in found.undefined["roc_auc"]
    assert "no row of class 'bad'" in found.undefined["f1"]


def test_what_cannot_be_measured_says_why() -> None:
    none = metrics.measure("classification", [], [], [], ["a", "b"], "b")
    assert not none
    assert set(none.undefined.values()) == {"there are no rows"}

    gaps = metrics.measure("regression", [1.0, 2.0], [1.0, np.nan])
    assert not gaps
    assert "1 of 2 predictions are missing" in gaps.undefined["rmse"]

    labels = metrics.measure("classification", ["a", "b"], ["a", "b"], None, ["a", "b"], "b")
    assert labels.undefined["roc_auc"] == "roc_auc needs probabilities, and this model gives none"
    assert labels["f1"] == 1.0

    flat = metrics.measure("regression", [3.0, 3.0], [3.0, 2.0])
    assert "no variance" in flat.undefined["r2"]

    other = metrics.measure("regression", [1.0, 2.0], [1.0, 2.0], names=["f1", "neg_log_loss"])
    assert "belongs to a classification" in other.undefined["f1"]
    assert other.undefined["neg_log_loss"]

    unseen = metrics.measure(
        "classification", ["a", "d"], ["a", "b"], [[1, 0, 0], [0, 1, 0]], ["a", "b", "c"]
    )
    assert "'d', which the model does not know" in unseen.undefined["log_loss"]


def test_default_metrics_exist() -> None:
    for task in ("classification", "regression"):
        assert all(metrics.find(name).name == name for name in metrics.default_metrics(task))


def test_a_metric_that_does_not_exist_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'roc_auc'"):
        metrics.find("roc_aux")


def test_what_is_registered_and_no_metric_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "names", lambda kind: ["odd"])
    monkeypatch.setattr(plugins, "load", lambda kind, name: dict)
    with pytest.raises(MlopsError, match="subclass"):
        metrics.find("odd")


def test_classes_are_matched_by_what_they_mean() -> None:
    known = np.array([0, 1])
    assert samples.same_value("1", known) == 1
    assert samples.same_value(1.0, known) == 1
    assert samples.same_value("yes", known) == "yes"
    assert samples.sample("classification", [0, 1], [0, 1]).positive == 1
    assert samples.sample("classification", ["b", "a", "c"], ["a", "b", "c"]).positive is None


def test_a_baseline_equals_scikit_learns_dummies() -> None:
    data = two_classes()
    rows = samples.sample("classification", data["y"], data["p"], data["s"], ["good", "bad"], "bad")
    seen = np.array(["bad"] * 3 + ["good"] * 7)
    ours = baselines.knowing_nothing(rows, seen)
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((10, 1)), seen)
    assert (ours.predictions == dummy.predict(np.zeros((400, 1)))).all()
    assert ours.scores == pytest.approx(dummy.predict_proba(np.zeros((400, 1)))[:, 0])

    numbers = samples.sample("regression", [1.0, 2.0], [1.0, 2.0])
    mean = baselines.knowing_nothing(numbers, [1.0, 5.0, np.nan])
    fitted = DummyRegressor().fit([[0], [0]], [1.0, 5.0])
    assert mean.predictions == pytest.approx(fitted.predict([[0], [0]]))
