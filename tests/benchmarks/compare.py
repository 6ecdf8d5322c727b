"""The best 50 of 10,000 runs, against MLflow's search: ``python tests/benchmarks/compare.py``.

The store is fresh: 10,000 runs × 10 metrics × 5 parameters as MLflow would have left them, and no
statistics. `mlflow.search_runs` ordered by a metric and `compare` take turns in one process that
has imported both; their first calls are shown apart.
"""

from __future__ import annotations

import logging
import os
import random
import sqlite3
import statistics
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

RUNS, METRICS, PARAMS, TOP = 10_000, 10, 5, 50
ROUNDS = 3


def fill(file: Path, experiment: str) -> None:
    """The rows that MLflow writes for so many finished runs, in the tables it reads."""
    draw = random.Random(0)
    ids = [uuid.UUID(int=draw.getrandbits(128)).hex for _ in range(RUNS)]
    began = 1_700_000_000_000
    with closing(sqlite3.connect(file)) as database, database:
        database.executemany(
            "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, "
            "user_id, status, start_time, end_time, source_version, lifecycle_stage, artifact_uri, "
            "experiment_id) VALUES (?, ?, 'UNKNOWN', '', '', 'me', 'FINISHED', ?, ?, '', 'active', "
            "?, ?)",
            [
                (i, f"run-{n}", began + n * 1000, began + n * 1000 + 500, f"mlruns/{i}", experiment)
                for n, i in enumerate(ids)
            ],
        )
        measured = [
            (f"metric_{m}", draw.random(), began + n * 1000, i, 0, False)
            for n, i in enumerate(ids)
            for m in range(METRICS)
        ]
        columns = "(key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, ?)"
        database.executemany(f"INSERT INTO metrics {columns}", measured)
        database.executemany(f"INSERT INTO latest_metrics {columns}", measured)
        database.executemany(
            "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)",
            [(f"param_{p}", str(draw.random()), i) for i in ids for p in range(PARAMS)],
        )
        database.executemany(
            "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)",
            [
                (key, value, i)
                for i in ids
                for key, value in (("mlflow.user", "me"), ("mlops.verb", "train"))
            ],
        )


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result


def main() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    folder = Path(tempfile.mkdtemp())
    os.chdir(folder)
    import mlflow

    import mlops_magics as mlops
    from mlops_magics import store

    client = store.runs.connect()
    fill(folder / "mlflow.db", client.create_experiment("credit"))
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")

    def theirs() -> list[str]:
        found = mlflow.search_runs(
            experiment_names=["credit"], order_by=["metrics.metric_0 DESC"], max_results=TOP
        )
        return list(found["run_id"])

    def ours(offset: int = 0) -> list[str]:
        found = mlops.compare("credit", by="metric_0", top=TOP, offset=offset)
        return [str(row["run_id"]) for row in found.rows]

    rounds = []
    for number in range(ROUNDS):
        (mine, best), (searched, expected) = timed(ours), timed(theirs)
        second, following = timed(lambda: ours(TOP))
        assert best == expected
        assert len({*best, *following}) == 2 * TOP
        rounds.append((mine, second, searched))
        if not number:
            print(f"first calls: compare {mine:.3f} s, search_runs {searched:.3f} s")
    mine, second, searched = (statistics.median(side) for side in zip(*rounds, strict=True))
    print(
        f"{RUNS:,} runs, best {TOP}: compare {mine:.3f} s, second page {second:.3f} s, "
        f"search_runs {searched:.3f} s"
    )
    print(
        f"ratio {mine / searched:.3f}, second page {second / searched:.3f}, "
        f"first calls {rounds[0][0] / rounds[0][2]:.3f} (at most 0.1)"
    )


if __name__ == "__main__":
    main()
