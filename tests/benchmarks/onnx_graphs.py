"""One row through a model and through its ONNX graph: time and size.

    python tests/benchmarks/onnx_graphs.py

The credit data, the ready transformer, one thread; the graph through the runner of one file.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from importlib.resources import files
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import pandas as pd

warnings.filterwarnings("ignore")


def main() -> None:
    import logging

    from sklearn import ensemble, linear_model
    from sklearn.pipeline import make_pipeline

    import mlops_magics as mlops
    from mlops_magics.evidence import features

    logging.disable()
    source = str(files("mlops_magics") / "data" / "credit_data.csv")
    X = pd.read_csv(source)
    y = X.pop("Status")
    dataset = mlops.prepare(source, name="credit", target="Status")
    estimators: dict[str, Any] = {
        "logistic": linear_model.LogisticRegression(max_iter=500),
        "forest": ensemble.RandomForestClassifier(100, random_state=0),
        "histograms": ensemble.HistGradientBoostingClassifier(random_state=0),
    }
    print("model        p50 before  after  ratio   size before     after   largest difference")
    for name, estimator in estimators.items():
        with mlops.train(name, data=dataset):
            transformer = features.transformer(X.assign(Status=y), "Status")
            model = make_pipeline(transformer, estimator).fit(X, y)  # noqa: F841
        found = mlops.package(name, as_="onnx").measured
        before, after = (found["latency"][when]["p50_ms"] for when in ("before", "after"))
        print(
            f"{name:<12} {before:7.2f} ms {after:6.3f} {before / after:6.0f}"
            f" {found['size']['before']:12,} {found['size']['after']:9,}"
            f"   {found['parity']['largest']:.1e} in {found['parity']['rows']:,} rows"
        )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(Path(folder))
        main()
