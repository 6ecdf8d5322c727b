"""The calibration error beside the same definition, written out row by row."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from mlops_magics.errors import BadGoal
from mlops_magics.goals import bench, grammar, metrics, resampling
from mlops_magics.goals.samples import Sample, Undefined, sample

ERROR = metrics.find("calibration_error")


def by_hand(said: Any, right: Any, bins: int = 10) -> float:
    """The definition: rows of one score share a middle rank, the rank's tenth is their bin."""
    rows = len(said)
    off: dict[int, float] = {}
    for p, hit in zip(said, right, strict=True):
        below = sum(other < p for other in said)
        middle = Fraction(2 * below + sum(other == p for other in said), 2)
        at = min(int(middle * bins / rows), bins - 1)
        off[at] = off.get(at, 0.0) + hit - p
    return sum(map(abs, off.values())) / rows


def answers(rows: int, seed: int = 0, digits: int = 12) -> Sample:
    """Two classes, of which the second is more likely than the model says."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(1.5, 2.5, rows).round(digits)
    truth = np.where(rng.random(rows) < scores**0.7, "bad", "good")
    said = np.where(scores > 0.5, "bad", "good")
    return sample("classification", truth, said, scores, ["good", "bad"], "bad")


def several(rows: int, seed: int = 0) -> Sample:
    rng = np.random.default_rng(seed)
    names = np.array(["a", "b", "c"])
    scores = rng.dirichlet([2, 1, 1], rows)
    truth = names[[rng.choice(3, p=p) for p in 0.7 * scores + 0.1]]
    return sample("classification", truth, names[scores.argmax(axis=1)], scores, names)


@pytest.mark.parametrize("digits", [0, 1, 2, 12])  # from two scores to none that is shared
@pytest.mark.parametrize("rows", [7, 10, 95, 300])
def test_it_equals_the_definition_written_out(rows: int, digits: int) -> None:
    given = answers(rows, digits=digits)
    expected = by_hand(given.scores, given.y_true == "bad")
    assert ERROR.value(given) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("bins", [2, 3, 15, 100])
def test_the_number_of_bins_may_be_given(bins: int) -> None:
    for rows in (50, 210):
        given = answers(rows)
        expected = by_hand(given.scores, given.y_true == "bad", bins)
        assert ERROR.value(given, bins=float(bins)) == pytest.approx(expected, abs=1e-12)
    assert ERROR.value(answers(210), bins=2.0) < ERROR.value(answers(210), bins=100.0)


@pytest.mark.parametrize("bins", ["1", "2.5", "0", "ten"])
def test_another_number_of_bins_is_refused(bins: str) -> None:
    with pytest.raises(BadGoal, match="bins of calibration_error is a"):
        grammar.parse(f"calibration_error(bins={bins}) <= 0.1")


def test_of_several_classes_it_is_that_of_the_answer_given() -> None:
    given = several(240)
    assert given.scores is not None
    right = given.y_true == given.predictions
    expected = by_hand(given.scores.max(axis=1), right)
    assert ERROR.value(given) == pytest.approx(expected, abs=1e-12)


def test_rows_of_one_score_stay_together() -> None:
    truth = np.array([1, 0, 1, 1, 0, 1, 0, 0])
    even = sample("classification", truth, truth, np.full(8, 0.5), [0, 1], 1)
    assert ERROR.value(even) == 0  # half of them are positive, in whatever order they stand
    one_sided = sample("classification", truth, truth, np.full(8, 0.2), [0, 1], 1)
    assert ERROR.value(one_sided) == pytest.approx(0.3)


def test_a_model_that_knows_its_chances_has_a_small_error_that_rows_make_smaller() -> None:
    rng = np.random.default_rng(0)
    found = []
    for rows in (500, 50_000):
        scores = rng.random(rows)
        truth = (rng.random(rows) < scores).astype(int)
        found.append(ERROR.value(sample("classification", truth, truth, scores, [0, 1], 1)))
    few, many = found
    # Mean of |N(0, p (1 − p) / rows of a bin)|, at most √(2 / π) · 0.5 / √(rows / 10).
    assert few <= 1.5 * 0.4 / np.sqrt(50)
    assert many <= 1.5 * 0.4 / np.sqrt(5000)
    sure = np.array([0, 1] * 20)
    assert ERROR.value(sample("classification", sure, sure, sure.astype(float), [0, 1], 1)) == 0
    wrong = sample("classification", sure, 1 - sure, 1.0 - sure, [0, 1], 1)
    assert ERROR.value(wrong) == 1


@pytest.mark.parametrize("given", [answers(120), answers(120, digits=1), several(120)])
def test_resamples_equal_a_loop_over_the_repeated_rows(given: Sample) -> None:
    draws = resampling.Resamples(given.rows, given.strata, resamples=12, seed=3)
    ours = draws.replicates(ERROR.statistic(given, bins=5.0))
    loop = []
    for block in resampling.counts(given.rows, given.strata, resamples=12, seed=3):
        for counted in block:
            drawn = given.take(np.repeat(np.arange(given.rows), counted.astype(int)))
            assert drawn.scores is not None
            if drawn.scores.ndim == 1:
                loop.append(by_hand(drawn.scores, drawn.y_true == "bad", 5))
            else:
                right = drawn.y_true == drawn.predictions
                loop.append(by_hand(drawn.scores.max(axis=1), right, 5))
    assert ours == pytest.approx(loop, abs=1e-12)


def test_the_positive_class_of_two_does_not_matter() -> None:
    given = answers(300)
    assert given.scores is not None
    other = sample(
        "classification",
        given.y_true,
        given.predictions,
        1 - given.scores,
        ["bad", "good"],
        "good",
    )
    assert ERROR.value(other) == pytest.approx(ERROR.value(given), abs=1e-12)


def test_scores_that_are_no_probabilities_have_none() -> None:
    given = answers(50)
    assert given.scores is not None
    margins = sample(
        "classification",
        given.y_true,
        given.predictions,
        given.scores * 4 - 2,
        ["good", "bad"],
        "bad",
    )
    with pytest.raises(Undefined, match="gives scores only"):
        ERROR.value(margins)


def test_two_models_are_compared_on_the_same_rows() -> None:
    skewed = answers(400)
    assert skewed.scores is not None
    better = sample(
        "classification",
        skewed.y_true,
        skewed.predictions,
        skewed.scores**0.7,
        ["good", "bad"],
        "bad",
    )
    difference = bench.measured(ERROR, better, skewed, resamples=200)
    assert difference.value < 0
    assert difference.bound(0.95, lower=False) < 0
