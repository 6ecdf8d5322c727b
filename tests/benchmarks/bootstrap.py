"""Our bootstrap beside a loop over scikit-learn's functions.

    python tests/benchmarks/bootstrap.py

Five metrics, paired for two models. The loop runs a few resamples, and its time is extrapolated
to as many as ours does (its cost a resample does not change). Times are CPU seconds of this
process.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from sklearn import metrics as sk

from mlops_magics.goals import metrics, resampling
from mlops_magics.goals.samples import Sample, sample

METRICS = ["roc_auc", "average_precision", "accuracy", "f1", "log_loss"]
THEIRS: list[Callable[[Sample], float]] = [
    lambda s: float(sk.roc_auc_score(s.y_true, s.scores)),
    lambda s: float(sk.average_precision_score(s.y_true, s.scores)),
    lambda s: float(sk.accuracy_score(s.y_true, s.predictions)),
    lambda s: float(sk.f1_score(s.y_true, s.predictions)),
    lambda s: float(sk.log_loss(s.y_true, s.scores)),
]


def model(rows: int, seed: int, truth: np.ndarray) -> Sample:
    """A model that knows something of the truth."""
    noise = np.random.default_rng(seed).normal(size=rows)
    scores = 1 / (1 + np.exp(-(truth * 1.2 - 0.9 + noise)))
    return sample("classification", truth, (scores > 0.5).astype(int), scores, [0, 1], 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--loop", type=int, default=5, help="resamples of scikit-learn's loop")
    options = parser.parse_args()
    truth = (np.random.default_rng(0).random(options.rows) < 0.3).astype(int)
    pair = [model(options.rows, seed, truth) for seed in (1, 2)]

    start = time.process_time()
    bound = [metrics.find(name).statistic(m) for m in pair for name in METRICS]
    draws_of = resampling.Resamples(options.rows, truth, resamples=options.resamples)
    ours = np.stack([draws_of.replicates(statistic) for statistic in bound])
    our_time = time.process_time() - start

    # The same resamples for both, so that the figures can be compared too.
    draws: list[np.ndarray] = []
    for block in resampling.counts(options.rows, truth, resamples=options.loop):
        draws += [np.repeat(np.arange(options.rows), c.astype(int)) for c in block]
    start = time.process_time()
    theirs = [[f(m.take(drawn)) for drawn in draws] for m in pair for f in THEIRS]
    their_time = (time.process_time() - start) / options.loop * options.resamples

    worst = float(np.max(np.abs(ours[:, : options.loop] - np.array(theirs))))
    print(
        f"{len(METRICS)} metrics, 2 models, {options.rows:,} rows, {options.resamples:,} resamples"
    )
    print(f"ours            {our_time:9.1f} s")
    print(f"scikit-learn    {their_time:9.1f} s  (extrapolated from {options.loop} resamples)")
    print(f"ratio           {their_time / our_time:9.1f} ×")
    print(f"worst difference on the same resamples {worst:.1e}")


if __name__ == "__main__":
    main()
