"""Permutation importance beside scikit-learn's.

    python tests/benchmarks/explain.py

The rows are those of the shipped credit data, in a pipeline that imputes, scales and codes; both
shuffle the same columns as often and measure the same metric. Each takes its turn; the best of
several is printed, in wall seconds.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from mlops_magics import evidence, flavors
from mlops_magics.explanations import permutation
from mlops_magics.goals import metrics
from mlops_magics.goals.samples import sample


def best(repeats: int, *ways: Callable[[], Any]) -> list[float]:
    """Seconds of each way, taken in turn."""
    taken: list[list[float]] = [[] for _ in ways]
    for _ in range(repeats):
        for i, way in enumerate(ways):
            start = time.perf_counter()
            way()
            taken[i].append(time.perf_counter() - start)
    return [min(times) for times in taken]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    frame = pd.read_csv(str(files("mlops_magics") / "data" / "credit_data.csv"))
    frame = frame.dropna(subset=["Status"])
    X, y = frame.drop(columns="Status"), frame["Status"]
    some, truth = X.iloc[: options.rows], y.iloc[: options.rows]

    print(f"importance of {X.shape[1]} columns, 5 shuffles, roc_auc, {options.rows:,} rows")
    for learner in (
        LogisticRegression(max_iter=500),
        RandomForestClassifier(100, max_depth=8, random_state=0),
        HistGradientBoostingClassifier(random_state=0),
    ):
        model = make_pipeline(evidence.features.transformer(frame, "Status"), learner).fit(X, y)
        predictor = flavors.recognise(model).predictor(model)  # type: ignore[union-attr]
        answer = predictor.answers
        metric = metrics.find("roc_auc")

        def loss(said: Any, classes: Any = predictor.classes, metric: Any = metric) -> float:
            return -metric.value(sample("classification", truth, said[0], said[1], classes))

        ours, theirs = best(
            options.turns,
            lambda answer=answer, loss=loss: permutation.importances(some, answer, loss),
            lambda model=model: permutation_importance(
                model, some, truth, scoring="roc_auc", n_repeats=5
            ),
        )
        name = type(learner).__name__
        print(f"  {name:<32} ours {ours:6.2f} s   scikit-learn {theirs:6.2f} s   "
              f"ratio {ours / theirs:5.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
