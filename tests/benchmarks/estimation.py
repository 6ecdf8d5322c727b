"""Performance estimated without labels, beside NannyML's on the same rows, and what was true.

A classifier of two classes and one of three whose inputs have moved, and a regression whose
inputs have. NannyML is given the same held-out rows as reference and the others as one chunk. Its
estimators are CBPE and, for the regression, DLE with its defaults (LightGBM); ours of the
regression are scikit-learn's trees, so they agree only as far as both learn the same.

Seconds are from the tables in memory to the last figure, with intervals, imports left out. It is
installed by pip into an environment of its own, which ``--venvs`` keeps.

    python -m tests.benchmarks.estimation

With ``--coverage 60`` instead, how often what is measured later lies in the interval: 1,500 rows
held out and 800 estimated, 60 times.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.benchmarks.drift import installed

#: Rows held out, and rows whose truth is not known.
HELD, NOW = 5_000, 10_000
#: Our name → NannyML's.
CLASSIFIED = {
    "roc_auc": "roc_auc",
    "average_precision": "average_precision",
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "f1",
    "specificity": "specificity",
}
PREDICTED = {"mae": "mae", "mse": "mse", "rmse": "rmse"}
THEIRS = r"""
import json, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np, pandas as pd
import nannyml
kind, held, now, names = sys.argv[1], *map(pd.read_parquet, sys.argv[2:4]), sys.argv[4].split(",")
columns = [c for c in held if c not in ("truth", "said") and not c.startswith("score")]
begun = time.perf_counter()
if kind == "regression":
    estimator = nannyml.DLE(feature_column_names=columns, y_pred="said", y_true="truth",
                            metrics=names, chunk_number=1)
else:
    scores = {c[6:]: c for c in held if c.startswith("score ")}
    two = len(scores) == 1
    estimator = nannyml.CBPE(
        metrics=names, y_pred="said", y_true="truth", chunk_number=1,
        y_pred_proba="score b" if two else scores,
        problem_type="classification_binary" if two else "classification_multiclass",
    )
    if two:
        for frame in (held, now):
            for column in ("truth", "said"):
                if column in frame:
                    frame[column] = (frame[column] == "b").astype(int)
estimator.fit(held)
found = estimator.estimate(now).filter(period="analysis").to_df()
taken = time.perf_counter() - begun
print(json.dumps({"s": taken, **{n: float(found[(n, "value")].iloc[0]) for n in names}}))
"""


def rows(kind: str, count: int, shift: float, seed: int) -> pd.DataFrame:
    """Inputs that lie ``shift`` off, a truth, and what a model that is not calibrated says."""
    rng = np.random.default_rng(seed)
    x = rng.normal(shift, 1, (count, 3))
    frame = pd.DataFrame(x, columns=["x0", "x1", "x2"])
    if kind == "regression":
        noise = rng.normal(0, 1, count) * (0.3 + np.abs(x[:, 1]))
        return frame.assign(truth=2 * x[:, 0] + noise, said=2 * x[:, 0] + 0.1 * x[:, 0] ** 2)
    ways = {"binary": [[1.2, 0.4, 0.0]], "multiclass": [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]]}
    real = x @ np.array(ways[kind]).T
    names = np.array(list("ab" if kind == "binary" else "abc"))
    if kind == "binary":
        real = np.column_stack([np.zeros(count), real])
    shares = [np.exp(logits) for logits in (real, 1.8 * real)]
    true, said = (s / s.sum(axis=1, keepdims=True) for s in shares)
    drawn = (rng.random((count, 1)) > true.cumsum(axis=1)[:, :-1]).sum(axis=1)
    frame = frame.assign(truth=names[drawn], said=names[said.argmax(axis=1)])
    for place, name in enumerate(names):
        if kind != "binary" or name == "b":
            frame[f"score {name}"] = said[:, place]
    return frame


def ours(kind: str, held: pd.DataFrame, now: pd.DataFrame, names: list[str]) -> dict[str, Any]:
    """Our estimates, with intervals, and the seconds they took."""
    from mlops_magics.drift.estimation import ConfidenceBased
    from mlops_magics.drift.loss_model import LossModel

    features = ["x0", "x1", "x2"]
    known, unknown = sample(kind, held), sample(kind, now)
    begun = time.perf_counter()
    if kind == "regression":
        found = LossModel(known, held[features]).estimate(unknown.predictions, now[features], names)
    else:
        assert unknown.scores is not None
        found = ConfidenceBased(known).estimate(unknown.predictions, unknown.scores, names)
    taken = time.perf_counter() - begun
    return {"s": taken, **dict(found)}


def sample(kind: str, frame: pd.DataFrame) -> Any:
    """The rows as metrics take them."""
    from mlops_magics.goals import samples

    if kind == "regression":
        return samples.sample("regression", frame["truth"], frame["said"])
    scores = frame.filter(like="score ").to_numpy()
    if scores.shape[1] == 1:
        scores = np.hstack([1 - scores, scores])
    classes = list("abc"[: scores.shape[1]])
    return samples.sample("classification", frame["truth"], frame["said"], scores, classes)


def theirs(python: str, kind: str, files: list[Path], names: list[str]) -> dict[str, Any]:
    """What NannyML's process tells."""
    done = subprocess.run(
        [python, "-c", THEIRS, kind, *map(str, files), ",".join(names)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def covered(times: int) -> None:
    """Print for each metric the share of intervals that held, about 0.95."""
    from mlops_magics.goals import metrics

    for kind in ("binary", "multiclass", "regression"):
        names = list(PREDICTED if kind == "regression" else CLASSIFIED)
        held = dict.fromkeys(names, 0)
        for seed in range(times):
            now = rows(kind, 800, 0.5, 10_000 + seed)
            found = ours(kind, rows(kind, 1500, 0.0, seed), now, names)
            for name in names:
                low, high = found[name].interval
                held[name] += low <= metrics.find(name).value(sample(kind, now)) <= high
        print(f"{kind}: " + ", ".join(f"{name} {held[name] / times:.2f}" for name in names))


def main() -> None:
    """Estimate by both, print figures, differences and seconds."""
    from mlops_magics.goals import metrics

    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.estimation")
    parser.add_argument("--venvs", type=Path, help="where NannyML is, or is installed")
    parser.add_argument("--coverage", type=int, default=0, metavar="TIMES")
    parser.add_argument("--rows", type=int, default=NOW)
    options = parser.parse_args()
    if options.coverage:
        covered(options.coverage)
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        venvs = options.venvs.absolute() if options.venvs else place / "venvs"
        python = installed(venvs / "nannyml", ["nannyml", "statsmodels", "pyarrow"])
        for kind in ("binary", "multiclass", "regression"):
            names = PREDICTED if kind == "regression" else CLASSIFIED
            held, now = rows(kind, HELD, 0.0, 0), rows(kind, options.rows, 0.5, 1)
            files = [place / "held.parquet", place / "now.parquet"]
            held.to_parquet(files[0])
            now.drop(columns="truth").to_parquet(files[1])
            ours(kind, held[:200], now[:200], list(names))  # imports what it needs
            mine = ours(kind, held, now, list(names))
            its = theirs(python, kind, files, list(names.values()))
            print(f"\n{kind}: {len(held):,} rows held out, {len(now):,} estimated")
            print(f"{'':18} {'ours':>8} {'interval':>17} {'NannyML':>8} {'apart':>8} {'true':>8}")
            for name, its_name in names.items():
                estimate = mine[name]
                low, high = estimate.interval
                true = metrics.find(name).value(sample(kind, now))
                apart = estimate.value - its[its_name]
                print(
                    f"{name:18} {estimate.value:8.4f} {low:8.4f} {high:8.4f} "
                    f"{its[its_name]:8.4f} {apart:8.5f} {true:8.4f}"
                )
            print(f"seconds: ours {mine['s']:.2f}, NannyML {its['s']:.2f}")


if __name__ == "__main__":
    sys.exit(main())
