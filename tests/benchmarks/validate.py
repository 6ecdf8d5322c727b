"""`validate` against ``mlflow.models.evaluate``: ``python tests/benchmarks/validate.py``.

Both judge the same saved model on the same 10,000 rows, in one warm process, on stores of the same
kind (SQLite and a folder), turn by turn; the first round of each, which imports, is left out.
MLflow measures its default metrics and draws its plots, with SHAP off. Ours does that with a
bootstrap interval for each of five metrics, a goal for each of five groups, a paired comparison
with a champion of the same kind, which is asked for the same rows, latency, size, a baseline, the
checks of the data, the page, and all the evidence of a step.
"""

from __future__ import annotations

import contextlib
import cProfile
import io
import logging
import os
import pstats
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

ROUNDS, ROWS, FEATURES = 5, 10_000, 20
GOALS = """
accuracy >= 0.5
precision >= 0.5
recall >= 0.5
f1 >= 0.5
roc_auc >= 0.6
accuracy >= 0.5 by segment
roc_auc >= champion - 0.05
p95_latency <= 1 s
model_size <= 1 GB
"""


def main() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    folder = Path(tempfile.mkdtemp())
    os.chdir(folder)
    os.environ["MLOPS_KEYS"] = str(folder / "keys")
    # MLflow's own setting, which the other side changes, would hold for us too.
    os.environ["MLOPS_TRACKING_URI"] = f"sqlite:///{folder / 'ours.db'}"
    import mlflow
    import numpy as np
    import pandas as pd
    from sklearn.datasets import make_classification
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    import mlops_magics as mlops
    from mlops_magics import store
    from mlops_magics.goals import grammar

    X, y = make_classification(2 * ROWS, FEATURES, n_informative=8, random_state=0)
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(FEATURES)])
    frame["segment"] = np.random.default_rng(0).integers(0, 5, len(frame))
    frame["y"] = y
    data = mlops.prepare(frame, name="synthetic", target="y", test=0.5)
    bound = data.bindings
    theirs_uri = f"sqlite:///{folder / 'theirs.db'}"
    kinds: dict[str, Any] = {
        "forest of 100": lambda seed: RandomForestClassifier(100, random_state=seed),
        "linear model": lambda seed: LogisticRegression(C=1.0 / (1 + seed)),
    }
    for name, make in kinds.items():
        called = name.replace(" ", "-")
        for seed in (0, 1):
            with mlops.train(called, data="synthetic"):
                model = make(seed).fit(bound["X_train"], bound["y_train"])
            if seed == 0:
                mlops.validate(called, goals="accuracy >= 0.5")
                mlops.promote(called)
        mlops_goals = grammar.parse(GOALS)
        mlflow.set_tracking_uri(theirs_uri)
        mlflow.set_experiment(called)
        saved = mlflow.sklearn.log_model(model, name="model", serialization_format="cloudpickle")
        rows = bound["X_test"].assign(y=bound["y_test"])

        def theirs(saved: Any = saved, rows: Any = rows) -> None:
            mlflow.set_tracking_uri(theirs_uri)
            with mlflow.start_run():
                mlflow.models.evaluate(
                    saved.model_uri,
                    rows,
                    targets="y",
                    model_type="classifier",
                    evaluator_config={"log_model_explainability": False},
                )

        def ours(called: str = called, wanted: int = len(mlops_goals)) -> None:
            verdict = mlops.validate(f"{called}@candidate", goals=GOALS)
            assert len(verdict.goals) == wanted
            assert verdict.passed, [g.reason for g in verdict.goals if not g.passed]

        rounds = [(timed(ours), timed(theirs)) for _ in range(ROUNDS + 1)][1:]
        mine, its = (statistics.median(side) for side in zip(*rounds, strict=True))
        print(
            f"{name}: validate {mine:.2f} s, mlflow.models.evaluate {its:.2f} s, "
            f"ratio {mine / its:.2f} (at most 1.0)"
        )
        if "--profile" in sys.argv:
            profile = cProfile.Profile()
            profile.runcall(ours)
            out = io.StringIO()
            pstats.Stats(profile, stream=out).sort_stats("cumulative").print_stats(60)
            print(out.getvalue())
    assert store.runs.find(verb="validate", limit=1)


def timed(work: Any) -> float:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        began = time.perf_counter()
        work()
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
