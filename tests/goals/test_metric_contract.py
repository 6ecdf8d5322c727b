"""Every metric that this package registers keeps the contract that it asks of others."""

from __future__ import annotations

import pytest

from mlops_magics import plugins
from mlops_magics.goals import metrics
from mlops_magics.goals.metrics import Metric
from mlops_magics.goals.samples import Sample
from mlops_magics.testing import MetricContract

FROM_LABELS = [
    name
    for name in plugins.names("metric")
    if metrics.find(name).needs != "measurement" and not metrics.find(name).needs_groups
]
NEEDED = {
    "profit": {"tp": 3.0, "fn": -1.0},
    "cost": {"tp": 3.0, "fn": -1.0},
    "fbeta": {"beta": 2.0},
    "recall_at": {"precision": 0.6},
}


class TestBuiltIn(MetricContract):
    """All of them, and some of scikit-learn's scorers, one after the other."""

    @pytest.fixture(
        params=[*FROM_LABELS, "f1_macro", "neg_log_loss", "neg_max_error"], autouse=True
    )
    def chosen(self, request: pytest.FixtureRequest) -> None:
        self.name: str = request.param
        self.params = NEEDED.get(self.name, {})

    def metric(self) -> Metric:
        return metrics.find(self.name)

    def sample(self, rows: int = 120) -> Sample:
        if self.name != "neg_max_error":
            return super().sample(rows)
        self.name = "rmse"  # whose rows are those of a regression
        values = super().sample(rows)
        self.name = "neg_max_error"
        return values


def test_all_that_the_goal_language_promises_is_registered() -> None:
    promised = {
        *("accuracy", "balanced_accuracy", "precision", "recall", "f1", "roc_auc"),
        *("average_precision", "log_loss", "brier", "specificity", "selection_rate"),
        *("false_positive_rate", "false_negative_rate", "profit", "cost"),
        *("rmse", "mae", "mse", "r2", "mape", "median_absolute_error"),
        *("p50_latency", "p95_latency", "p99_latency", "model_size", "rows", "drift"),
        *("prediction_drift", "multivariate_drift", "missing", "error_rate", "requests"),
    }
    assert promised <= set(plugins.names("metric"))
