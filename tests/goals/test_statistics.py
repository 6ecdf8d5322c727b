"""The bootstrap equals a loop over scikit-learn on the same resamples, and is deterministic."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn import metrics as sk

from mlops_magics.goals import bench, metrics, resampling
from mlops_magics.goals.samples import Sample, sample

RESAMPLES = 25
AUC = metrics.find("roc_auc")


def classifier(seed: int, rows: int = 300, digits: int = 15) -> Sample:
    truth = np.where(np.random.default_rng(0).random(rows) < 0.3, "bad", "good")
    noise = np.random.default_rng(seed).normal(size=rows)
    scores = (1 / (1 + np.exp(-(1.5 * (truth == "bad") - 0.8 + noise)))).round(digits)
    return sample(
        "classification",
        truth,
        np.where(scores > 0.5, "bad", "good"),
        scores,
        ["good", "bad"],
        "bad",
    )


def several(seed: int, rows: int = 300) -> Sample:
    rng = np.random.default_rng(seed)
    names = np.array(["a", "b", "c"])
    truth = names[np.random.default_rng(0).choice(3, rows, p=[0.6, 0.3, 0.1])]
    scores = rng.dirichlet([1, 1, 1], rows) + 0.5 * (truth[:, None] == names)
    scores /= scores.sum(axis=1, keepdims=True)
    return sample("classification", truth, names[scores.argmax(axis=1)], scores, names)


def regressor(seed: int, rows: int = 200) -> Sample:
    truth = np.random.default_rng(0).normal(100, 10, rows)
    return sample("regression", truth, truth + np.random.default_rng(seed).normal(0, 3, rows))


def is_bad(values: np.ndarray) -> np.ndarray:
    return (values == "bad").astype(int)


CASES: list[tuple[str, Callable[[int], Sample], Callable[[Sample], float]]] = [
    ("accuracy", classifier, lambda s: sk.accuracy_score(s.y_true, s.predictions)),
    (
        "balanced_accuracy",
        classifier,
        lambda s: sk.balanced_accuracy_score(s.y_true, s.predictions),
    ),
    (
        "precision",
        classifier,
        lambda s: sk.precision_score(is_bad(s.y_true), is_bad(s.predictions)),
    ),
    ("recall", classifier, lambda s: sk.recall_score(is_bad(s.y_true), is_bad(s.predictions))),
    ("f1", classifier, lambda s: sk.f1_score(is_bad(s.y_true), is_bad(s.predictions))),
    ("roc_auc", classifier, lambda s: sk.roc_auc_score(is_bad(s.y_true), s.scores)),
    (
        "roc_auc",
        lambda seed: classifier(seed, digits=1),
        lambda s: sk.roc_auc_score(is_bad(s.y_true), s.scores),
    ),
    (
        "average_precision",
        classifier,
        lambda s: sk.average_precision_score(is_bad(s.y_true), s.scores),
    ),
    (
        "average_precision",
        lambda seed: classifier(seed, digits=1),
        lambda s: sk.average_precision_score(is_bad(s.y_true), s.scores),
    ),
    ("log_loss", classifier, lambda s: sk.log_loss(is_bad(s.y_true), s.scores)),
    ("brier", classifier, lambda s: sk.brier_score_loss(is_bad(s.y_true), s.scores)),
    ("matthews_corrcoef", classifier, lambda s: sk.matthews_corrcoef(s.y_true, s.predictions)),
    ("f1", several, lambda s: sk.f1_score(s.y_true, s.predictions, average="macro")),
    ("roc_auc", several, lambda s: sk.roc_auc_score(s.y_true, s.scores, multi_class="ovr")),
    ("rmse", regressor, lambda s: sk.root_mean_squared_error(s.y_true, s.predictions)),
    ("mae", regressor, lambda s: sk.mean_absolute_error(s.y_true, s.predictions)),
    ("r2", regressor, lambda s: sk.r2_score(s.y_true, s.predictions)),
    ("mape", regressor, lambda s: sk.mean_absolute_percentage_error(s.y_true, s.predictions)),
    (
        "median_absolute_error",
        regressor,
        lambda s: sk.median_absolute_error(s.y_true, s.predictions),
    ),
]


@pytest.mark.parametrize(("name", "make", "theirs"), CASES, ids=lambda v: str(v)[:20])
def test_replicates_equal_the_loop_on_the_same_indices(
    name: str, make: Callable[[int], Sample], theirs: Callable[[Sample], float]
) -> None:
    rows = make(1)
    draws = resampling.Resamples(rows.rows, rows.strata, resamples=RESAMPLES, seed=5)
    ours = draws.replicates(metrics.find(name).statistic(rows))
    loop = []
    for block in resampling.counts(rows.rows, rows.strata, resamples=RESAMPLES, seed=5):
        for counted in block:
            drawn = np.repeat(np.arange(rows.rows), counted.astype(int))
            assert len(drawn) == rows.rows
            loop.append(theirs(rows.take(drawn)))
    assert ours == pytest.approx(loop, rel=1e-9, abs=1e-9)


def test_a_paired_comparison_draws_the_same_rows_for_both() -> None:
    one, other = classifier(1), classifier(2)
    found = bench.measured(AUC, one, other, resamples=RESAMPLES, seed=3)
    loop = []
    for block in resampling.counts(one.rows, one.strata, resamples=RESAMPLES, seed=3):
        for counted in block:
            drawn = np.repeat(np.arange(one.rows), counted.astype(int))
            truth = is_bad(one.y_true[drawn])
            loop.append(
                sk.roc_auc_score(truth, one.scores[drawn])
                - sk.roc_auc_score(truth, other.scores[drawn])
            )
    assert found.drawn == pytest.approx(loop, abs=1e-9)
    assert found.value == pytest.approx(
        sk.roc_auc_score(is_bad(one.y_true), one.scores)
        - sk.roc_auc_score(is_bad(one.y_true), other.scores)
    )
    same = bench.measured(AUC, one, one, resamples=RESAMPLES)
    assert (same.value, *same.interval()) == (0, 0, 0)
    assert same.p(0, at_least=True, strictly=True) == 1
    assert same.p(0, at_least=True) == pytest.approx(1 / (RESAMPLES + 1))


def test_the_same_seed_gives_the_same_figures_whatever_the_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = classifier(1)
    f1 = metrics.find("f1")
    first = bench.measured(f1, rows, resamples=50, seed=1)
    monkeypatch.setattr(resampling, "_BLOCK", 7 * rows.rows)
    again = bench.measured(f1, rows, resamples=50, seed=1)
    other = bench.measured(f1, rows, resamples=50, seed=2)
    assert (first.drawn == again.drawn).all()
    assert (first.left_out == again.left_out).all()
    assert (first.drawn != other.drawn).any()


def test_draws_are_the_same_whether_they_are_kept_or_drawn_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = classifier(1)
    statistic = metrics.find("f1").statistic(rows)
    kept = resampling.Resamples(rows.rows, rows.strata, resamples=40, seed=1)
    twice = [kept.replicates(statistic) for _ in range(2)]
    monkeypatch.setattr(resampling, "_KEPT", 0)
    anew = resampling.Resamples(rows.rows, rows.strata, resamples=40, seed=1)
    assert (twice[0] == twice[1]).all()
    assert (anew.replicates(statistic) == twice[0]).all()
    assert (anew.replicates(statistic) == twice[0]).all()


def test_memory_is_bounded_by_blocks() -> None:
    sizes = [len(b) for b in resampling.counts(100_000, resamples=5)]
    assert sum(sizes) == 5
    assert max(sizes) <= 2
    assert [len(b) for b in resampling.counts(1_000_000, resamples=2)] == [1, 1]


def test_classes_keep_their_shares_in_every_resample() -> None:
    rows = classifier(1)
    bad = rows.y_true == "bad"
    for block in resampling.counts(rows.rows, rows.strata, resamples=10):
        assert (block[:, bad].sum(axis=1) == bad.sum()).all()
        assert (block.sum(axis=1) == rows.rows).all()


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    # 200 samples of 150 rows from one population whose AUC is known in closed form.
    from scipy.stats import norm

    truth = norm.cdf(1.0 / np.sqrt(2))
    covered = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        y = np.r_[np.zeros(100, int), np.ones(50, int)]
        s = rng.normal(y * 1.0, 1)
        found = bench.measured(
            AUC,
            Sample(y_true=y, predictions=y, scores=s, classes=np.array([0, 1]), positive=1),
            resamples=300,
            seed=seed,
        )
        low, high = found.interval()
        covered += low <= truth <= high
    # 95 % ± 3 standard errors of a binomial share.
    assert 0.904 <= covered / 200 <= 0.996


def test_two_equally_good_models_are_rarely_told_apart() -> None:
    # One-sided at 5 %: about 10 of 200 claims that one is better.
    claims = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        y = np.r_[np.zeros(100, int), np.ones(100, int)]
        shared = rng.normal(size=200)
        pair = [
            Sample(
                y_true=y,
                predictions=y,
                scores=y + shared + rng.normal(size=200),
                classes=np.array([0, 1]),
                positive=1,
            )
            for _ in range(2)
        ]
        found = bench.measured(AUC, *pair, resamples=300, seed=seed)
        claims += found.bound(0.95, lower=True) > 0
    assert 1 <= claims <= 22
