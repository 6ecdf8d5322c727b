"""Which way a metric is better, by its name."""

from __future__ import annotations

import pytest

from mlops_magics.goals import directions


@pytest.mark.parametrize(
    ("name", "greater"),
    [
        ("roc_auc", True),
        ("log_loss", False),
        ("rmse", False),
        ("val_rmse", False),
        ("test_roc_auc", True),
        ("mean_test_f1", True),
        ("validation-log_loss", False),
        ("p95_latency", False),
        ("error_rate", False),
        ("neg_log_loss", True),
    ],
)
def test_known_metrics_need_no_assumption(name: str, greater: bool) -> None:
    assert directions.of(name) == directions.Direction(greater)


@pytest.mark.parametrize(
    ("name", "greater"),
    [("val_loss", False), ("Loss", False), ("train/loss", False), ("hit_ratio", True)],
)
def test_others_are_assumed_and_that_is_said(name: str, greater: bool) -> None:
    found = directions.of(name)
    assert found.greater_is_better is greater
    assert name in found.assumed


def test_a_word_within_a_word_says_nothing() -> None:
    assert directions.of("glossiness").greater_is_better
    assert directions.of("timeliness").greater_is_better
