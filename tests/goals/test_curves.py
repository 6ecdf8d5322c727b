"""Curves: scikit-learn's where nothing is left out, and the same picture where something is."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import auc, precision_recall_curve, roc_auc_score, roc_curve

from mlops_magics.goals.curves import POINTS, RESIDUALS, curves


def answers(rows: int, seed: int = 0, levels: int = 0) -> tuple[Any, Any]:
    """Truth as 0 and 1, and calibrated probabilities, rounded to `levels` values."""
    random = np.random.default_rng(seed)
    scores = random.beta(1.2, 2, rows)
    if levels:
        scores = np.round(scores * levels) / levels
    return (random.random(rows) < scores).astype(int), scores


def two_columns(scores: Any) -> Any:
    return np.column_stack([1 - scores, scores])


def of(truth: Any, scores: Any) -> dict[str, Any]:
    return curves("classification", truth, scores > 0.5, two_columns(scores), [0, 1], 1)


@pytest.mark.parametrize("levels", [0, 20])
def test_few_points_are_those_of_scikit_learn(levels: int) -> None:
    truth, scores = answers(150 if not levels else 5000, levels=levels)
    found = of(truth, scores)
    fpr, tpr, _ = roc_curve(truth, scores, drop_intermediate=False)
    np.testing.assert_allclose(found["roc"], np.column_stack([fpr, tpr]), atol=1e-6)
    precision, recall, _ = precision_recall_curve(truth, scores)
    expected = np.column_stack([recall, precision])[::-1]
    np.testing.assert_allclose(found["precision_recall"], expected, atol=1e-6)


@pytest.mark.parametrize("levels", [0, 20])
def test_calibration_is_that_of_scikit_learn_with_its_counts(levels: int) -> None:
    truth, scores = answers(5000, levels=levels)
    found = np.array(of(truth, scores)["calibration"])
    observed, predicted = calibration_curve(truth, scores, n_bins=10, strategy="quantile")
    np.testing.assert_allclose(found[:, 0], predicted, rtol=1e-5)
    np.testing.assert_allclose(found[:, 1], observed, rtol=1e-5)
    assert found[:, 2].sum() == 5000


def test_many_points_are_thinned_without_changing_the_picture() -> None:
    truth, scores = answers(20_000)
    found = of(truth, scores)
    roc, pr = np.array(found["roc"]), np.array(found["precision_recall"])
    assert len(roc) <= POINTS
    assert len(pr) <= POINTS
    assert auc(*roc.T) == pytest.approx(roc_auc_score(truth, scores), abs=5e-4)
    fpr, tpr, _ = roc_curve(truth, scores)
    assert np.abs(np.interp(fpr, *roc.T) - tpr).max() < 0.01
    precision, recall, _ = precision_recall_curve(truth, scores)
    late = recall > 0.05  # before that the full curve leaps at every row
    off = np.abs(np.interp(recall[late], *pr.T) - precision[late])
    assert off.max() < 0.02
    every = np.column_stack(roc_curve(truth, scores, drop_intermediate=False)[:2])
    assert max(np.abs(every - point).sum(axis=1).min() for point in roc) < 1e-5


def test_a_long_step_keeps_both_ends() -> None:
    """Half of the rows share one score: one straight line through the middle of the picture."""
    truth, scores = answers(10_000)
    scores[::2] = 0.4
    roc = np.array(of(truth, scores)["roc"])
    fpr, tpr, _ = roc_curve(truth, scores)
    at = np.argmax(np.diff(fpr) + np.diff(tpr))
    for corner in ((fpr[at], tpr[at]), (fpr[at + 1], tpr[at + 1])):
        assert np.abs(roc - corner).sum(axis=1).min() < 1e-5


def test_what_is_not_defined_is_left_out() -> None:
    truth, scores = answers(100)
    assert "roc" not in of(np.zeros(100, int), scores)
    assert "precision_recall" not in of(np.zeros(100, int), scores)
    assert "calibration" in of(np.zeros(100, int), scores)
    assert curves("classification", truth, truth, None, [0, 1]) == {"rows": 100}
    margins = curves("classification", truth, truth, scores * 9 - 4, [0, 1], 1)
    assert "calibration" not in margins
    assert margins["roc"] == of(truth, scores)["roc"]
    assert curves("classification", [], [], None, [0, 1]) == {"rows": 0}
    scores[3] = np.nan
    assert of(truth, scores) == {"rows": 100}


def test_rows_without_truth_are_left_out() -> None:
    truth, scores = answers(200)
    holes = truth.astype(object)
    holes[::4] = None
    kept = np.arange(200) % 4 != 0
    found = of(holes, scores)
    assert found == of(truth[kept], scores[kept])
    assert found["rows"] == 150


def test_the_other_class_may_be_the_positive_one() -> None:
    truth, scores = answers(100)
    words = np.where(truth == 1, "good", "bad")
    found = curves("classification", words, words, two_columns(scores), ["bad", "good"], "bad")
    fpr, tpr, _ = roc_curve(words == "bad", 1 - scores, drop_intermediate=False)
    np.testing.assert_allclose(found["roc"], np.column_stack([fpr, tpr]), atol=1e-6)


def test_more_than_two_classes_are_averaged() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 2000)
    scores = random.dirichlet([1, 1, 1], 2000) * 0.6 + 0.4 * np.eye(3)[truth]
    found = curves("classification", truth, scores.argmax(1), scores, [0, 1, 2])
    expected = roc_auc_score(truth, scores, multi_class="ovr", average="macro")
    assert auc(*np.array(found["roc"]).T) == pytest.approx(expected, abs=2e-3)
    right = sum(share * n for _, share, n in found["calibration"]) / 2000
    assert right == pytest.approx((scores.argmax(1) == truth).mean(), abs=1e-5)
    assert "precision_recall" not in found


def test_residuals_are_spread_over_the_predictions_by_a_fixed_rule() -> None:
    random = np.random.default_rng(0)
    predicted = random.normal(10, 3, 5000)
    truth = predicted + random.normal(0, 1, 5000)
    found = curves("regression", truth, predicted)
    assert found == curves("regression", truth, predicted)
    sample = np.array(found["residuals"]["sample"])
    assert len(sample) == RESIDUALS
    assert sample[0, 0] == pytest.approx(predicted.min(), rel=1e-5)
    assert sample[-1, 0] == pytest.approx(predicted.max(), rel=1e-5)
    quantiles = dict(found["residuals"]["quantiles"])
    assert quantiles[0.5] == pytest.approx(np.median(truth - predicted), rel=1e-4)
    few = curves("regression", truth[:7], predicted[:7])
    assert len(few["residuals"]["sample"]) == 7


def test_it_is_json() -> None:
    truth, scores = answers(300)
    for found in (of(truth, scores), curves("regression", truth, scores)):
        assert json.loads(json.dumps(found, allow_nan=False)) == found
