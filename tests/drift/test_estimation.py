"""Performance without labels: NannyML's figures, intervals that hold, and what can't be done."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.isotonic import IsotonicRegression

from mlops_magics.drift import calibrating, estimation, loss_model
from mlops_magics.drift.estimation import ConfidenceBased
from mlops_magics.drift.loss_model import LossModel
from mlops_magics.goals import metrics
from mlops_magics.goals.samples import Sample, Undefined
from tests.benchmarks.estimation import rows, sample

#: What NannyML 0.13.1's CBPE says of `rows(kind, 400, 0.5, 1)` with `rows(kind, 600, 0.0, 0)` as
#: its reference; made by `theirs` of tests/benchmarks/estimation.py.
NANNYML = {
    "binary": {
        "roc_auc": 0.795376,
        "average_precision": 0.867409,
        "accuracy": 0.726769,
        "precision": 0.736093,
        "recall": 0.868279,
        "f1": 0.796741,
        "specificity": 0.499047,
    },
    "multiclass": {
        "roc_auc": 0.791858,
        "average_precision": 0.664386,
        "accuracy": 0.599161,
        "precision": 0.59585,
        "recall": 0.597451,
        "f1": 0.596362,
        "specificity": 0.798822,
    },
}
FEATURES = ["x0", "x1", "x2"]


def scores_of(rows: Sample) -> np.ndarray:
    assert rows.scores is not None
    return rows.scores


@pytest.mark.parametrize("kind", NANNYML)
def test_estimates_are_those_of_nannyml(kind: str) -> None:
    estimator = ConfidenceBased(sample(kind, rows(kind, 600, 0.0, 0)))
    assert estimator.calibrated
    now = sample(kind, rows(kind, 400, 0.5, 1))
    found = estimator.estimate(now.predictions, scores_of(now), NANNYML[kind])
    for name, theirs in NANNYML[kind].items():
        assert found[name].value == pytest.approx(theirs, abs=2e-6), name
        low, high = found[name].interval
        assert low < found[name].value < high


def test_calibration_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(500).round(2)
    truth = rng.random(500) < scores**2
    weights = rng.integers(0, 3, 500).astype(float)
    asked = np.linspace(-0.2, 1.2, 90)
    for given in (None, weights):
        kept = slice(None) if given is None else given > 0
        fitted = IsotonicRegression(out_of_bounds="clip").fit(
            scores[kept], truth[kept], None if given is None else given[kept]
        )
        np.testing.assert_allclose(
            calibrating.Isotonic(scores, truth)(asked, given), fitted.predict(asked), atol=1e-12
        )


def test_it_is_calibrated_where_that_helps() -> None:
    rng = np.random.default_rng(3)
    said = rng.random(3000)
    assert calibrating.helps(said, rng.random(3000) < said**3)
    assert not calibrating.helps(said, said > 0.5)  # told apart all but always
    assert not calibrating.helps(said, np.zeros(3000, dtype=bool))


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_what_is_measured_later_lies_in_the_interval(kind: str) -> None:
    names = ["accuracy", "f1", "roc_auc", "log_loss"]
    held = 0
    for seed in range(20):
        estimator = ConfidenceBased(sample(kind, rows(kind, 1500, 0.0, 100 + seed)))
        now = sample(kind, rows(kind, 800, 0.5, 200 + seed))
        found = estimator.estimate(now.predictions, scores_of(now), names)
        for name in names:
            low, high = found[name].interval
            held += low <= metrics.find(name).value(now) <= high
            assert high - low < 0.25, name
    assert held >= 0.85 * 20 * len(names)


def test_an_estimate_of_some_rows_needs_no_new_fit() -> None:
    estimator = ConfidenceBased(sample("binary", rows("binary", 800, 0.0, 0)))
    now = sample("binary", rows("binary", 900, 0.0, 1))
    easy = np.abs(scores_of(now) - 0.5) > 0.3
    each = [
        estimator.estimate(part.predictions, scores_of(part), ["accuracy"], seed=1)["accuracy"]
        for part in (now.take(easy), now.take(~easy), now.take(easy))
    ]
    assert each[0].value > each[1].value + 0.2
    assert each[0] == each[2]  # the same seed, the same interval


def test_scores_that_are_no_probabilities_are_calibrated() -> None:
    frames = [rows("binary", 1500, shift, seed) for shift, seed in ((0.0, 0), (0.4, 1))]
    held, now = (sample("binary", frame) for frame in frames)
    odds = [np.log(s / (1 - s)) for s in (scores_of(held), scores_of(now))]
    estimator = ConfidenceBased(replace(held, scores=odds[0]))
    assert estimator.calibrated
    found = estimator.estimate(now.predictions, odds[1], ["roc_auc", "log_loss"])
    low, high = found["roc_auc"].interval
    assert low <= metrics.find("roc_auc").value(now) <= high
    assert "gives scores only" in found.undefined["log_loss"]


def test_constant_probabilities_rank_nothing() -> None:
    held = sample("binary", rows("binary", 400, 0.0, 0))
    flat = np.full(400, 0.6)
    estimator = ConfidenceBased(replace(held, scores=flat))
    found = estimator.estimate(held.predictions, flat, ["roc_auc", "accuracy"])
    assert found["roc_auc"].value == pytest.approx(0.5)
    assert 0 < found["accuracy"].value < 1


def test_a_class_that_is_not_expected_leaves_metrics_undefined() -> None:
    held = sample("binary", rows("binary", 400, 0.0, 0))
    truth = np.where(scores_of(held) > 0.5, "b", "a").astype(object)
    estimator = ConfidenceBased(replace(held, y_true=truth))
    sure = np.full(50, 0.999999)
    found = estimator.estimate(np.full(50, "b", dtype=object), sure, ["roc_auc", "accuracy"])
    assert "less than one row of the class 'a' is expected" in found.undefined["roc_auc"]
    assert found["accuracy"].value == pytest.approx(1.0)
    assert found["accuracy"].interval[1] <= 1.0


def test_what_can_not_be_estimated_says_why() -> None:
    held = sample("binary", rows("binary", 400, 0.0, 0))
    alone = np.full(400, "b", dtype=object)
    for wrong, says in (
        (replace(held, scores=None), "needs probabilities"),
        (replace(held, y_true=alone), "have 0 of the class 'a'"),
        (replace(held, scores=np.full(400, np.nan)), r"probabilities are missing \(NaN\)"),
        (sample("binary", rows("binary", 12, 0.0, 0)), "10 of each are needed"),
    ):
        with pytest.raises(Undefined, match=says):
            ConfidenceBased(wrong)
    estimator = ConfidenceBased(held)
    gap = scores_of(held).copy()
    gap[3] = np.nan
    found = estimator.estimate(held.predictions, gap, ["accuracy"])
    assert not found
    assert "missing (NaN)" in found.undefined["accuracy"]
    looped = estimator.estimate(held.predictions, scores_of(held), ["jaccard", "recall"])
    assert "takes no weights" in looped.undefined["jaccard"]
    assert set(looped) == {"recall"}


def test_scores_beyond_all_that_were_held_out_are_counted() -> None:
    held = sample("binary", rows("binary", 400, 0.0, 0))
    highest = float(scores_of(held).max())
    asked = np.array([highest, (1 + highest) / 2, 0.5, 1.0])
    assert ConfidenceBased(held).beyond(asked) == 0.5


def test_losses_of_a_regression_follow_its_inputs() -> None:
    inside = 0
    for seed in range(5):
        held, now = rows("regression", 1000, 0.0, seed), rows("regression", 1500, 0.7, 50 + seed)
        estimator = LossModel(sample("regression", held), held[FEATURES])
        real = sample("regression", now)
        found = estimator.estimate(real.predictions, now[FEATURES], ["mae", "rmse", "mse", "r2"])
        assert found["rmse"].value == pytest.approx(found["mse"].value ** 0.5)
        assert "no mean" in found.undefined["r2"]
        before = metrics.find("mae").value(sample("regression", held))
        assert found["mae"].value > before  # the errors are larger where the inputs are now
        for name in ("mae", "rmse"):
            low, high = found[name].interval
            inside += low <= metrics.find(name).value(real) <= high
    assert inside >= 8


def test_losses_of_odd_columns() -> None:
    held = rows("regression", 300, 0.0, 0)
    features = held[FEATURES].assign(
        word=np.where(held["x0"] > 0, "a", None),
        day=pd.date_range("2026-01-01", periods=300, tz="UTC"),
        empty=np.nan,
        yes=held["x1"] > 0,
        kind=pd.Categorical(np.where(held["x2"] > 0, "k", "l")),
    )
    estimator = LossModel(sample("regression", held), features)
    new = features.assign(word="never seen", day=pd.NaT, x0=np.inf)
    found = estimator.estimate(held["said"].to_numpy(), new, ["mae", "mape"])
    assert all(np.isfinite(e.value) for e in found.values())


def test_a_perfect_regression_and_too_few_rows() -> None:
    held = rows("regression", 200, 0.0, 0)
    exact = sample("regression", held.assign(said=held["truth"]))
    found = LossModel(exact, held[FEATURES]).estimate(
        exact.predictions, held[FEATURES], ["mae", "rmse"]
    )
    assert (found["mae"].value, found["rmse"].interval) == (0.0, (0.0, 0.0))
    few = rows("regression", 20, 0.0, 0)
    with pytest.raises(Undefined, match="20 rows were held out, and 50 are needed"):
        LossModel(sample("regression", few), few[FEATURES])


def test_both_say_what_they_are_blind_to() -> None:
    for room in (estimation, loss_model):
        assert "concept drift" in room.ASSUMPTION
