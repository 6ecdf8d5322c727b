"""What `tune` adds to a trial, against Optuna alone: ``python tests/benchmarks/tune.py``.

Both run the same suggestions with an objective that does nothing else, with the same sampler and
the same storage (a journal file), in series, taking turns. Ours writes each trial as a child run
into a fresh embedded store besides. Once is measured what a search costs as a whole, so that the
rounds of two lengths give the cost of a trial: the difference between them.
"""

from __future__ import annotations

import logging
import os
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

ROUNDS, SHORT, LONG = 5, 20, 220
CODE = """
x = trial.suggest_float("x", -1, 1)
c = trial.suggest_categorical("c", ["a", "b", "d"])
n = trial.suggest_int("n", 1, 100)
score = x
"""


def suggest(trial: Any) -> float:
    x = trial.suggest_float("x", -1, 1)
    trial.suggest_categorical("c", ["a", "b", "d"])
    trial.suggest_int("n", 1, 100)
    return float(x)


def main() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    folder = Path(tempfile.mkdtemp())
    os.chdir(folder)
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    import mlops_magics as mlops

    def theirs(trials: int, number: int) -> float:
        began = time.perf_counter()
        study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(folder / f"optuna-{number}"))),
            sampler=optuna.samplers.TPESampler(seed=number),
            direction="maximize",
        )
        study.optimize(suggest, n_trials=trials)
        return time.perf_counter() - began

    def ours(trials: int, number: int) -> float:
        began = time.perf_counter()
        mlops.tune(f"round-{number}", CODE, trials=trials, metric="roc_auc", seed=number)
        return time.perf_counter() - began

    each: dict[str, list[float]] = {"ours": [], "theirs": []}
    for number in range(ROUNDS + 1):
        for name, run in (("ours", ours), ("theirs", theirs)):
            short, long = run(SHORT, 2 * number), run(LONG, 2 * number + 1)
            if number:  # the first round imports
                each[name].append((long - short) / (LONG - SHORT) * 1000)
    mine, optunas = (statistics.median(each[name]) for name in ("ours", "theirs"))
    print(f"a trial: {mine:.2f} ms with tune and its child run, {optunas:.2f} ms with Optuna alone")
    print(f"ratio {mine / optunas:.2f} (at most 1.5)")


if __name__ == "__main__":
    main()
