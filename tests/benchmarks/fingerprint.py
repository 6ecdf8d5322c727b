"""Our fingerprint against `pandas.util.hash_pandas_object`, on one mixed frame, in one process.

    python tests/benchmarks/fingerprint.py [ROWS]

Prints the medians of three of each, alternating, and their ratio. Time is wall time; memory is
the highest resident size above that at the start, as a share of the frame, the worst of three.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import psutil

from mlops_magics.evidence import data


def mixed(rows: int) -> pd.DataFrame:
    """30 columns: 12 floats, 6 integers, 3 booleans, 2 dates, 5 texts, 2 categories."""
    random = np.random.default_rng(0)
    words = np.array([f"word {i}" for i in range(50)], dtype=object)
    columns: dict[str, object] = {}
    for i in range(12):
        values = random.normal(size=rows)
        if i % 3 == 0:
            values[random.random(rows) < 0.05] = np.nan
        columns[f"float {i}"] = values
    for i in range(6):
        columns[f"integer {i}"] = random.integers(0, 10 ** (i + 1), rows)
    for i in range(3):
        columns[f"boolean {i}"] = random.random(rows) < 0.5
    for i in range(2):
        seconds = random.integers(0, 10**9, rows)
        zone = "Europe/Berlin" if i else None
        columns[f"date {i}"] = (
            pd.Series(pd.to_datetime(seconds, unit="s", utc=bool(i))).dt.tz_convert(zone)
            if zone
            else pd.to_datetime(seconds, unit="s")
        )
    for i in range(4):
        columns[f"text {i}"] = pd.Series(
            words[random.integers(0, 50, rows)], dtype="str" if i else object
        )
    columns["id"] = pd.Series([f"customer-{i:07}" for i in random.permutation(rows)])
    for i in range(2):
        columns[f"category {i}"] = pd.Categorical(words[random.integers(0, 50, rows)])
    return pd.DataFrame(columns)


def measured(work: Callable[[], object]) -> tuple[float, int]:
    """Seconds, and the highest resident bytes above those at the start."""
    process = psutil.Process()
    before = highest = process.memory_info().rss
    done = threading.Event()

    def watch() -> None:
        nonlocal highest
        while not done.wait(0.002):
            highest = max(highest, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    return seconds, highest - before


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    frame = mixed(rows)
    size = int(frame.memory_usage(deep=True).sum())
    ours, theirs = [], []
    for _ in range(3):  # ours first: what theirs has freed would hide what ours takes
        ours.append(measured(lambda: data.fingerprint(frame)))
        theirs.append(measured(lambda: pd.util.hash_pandas_object(frame)))
    print(f"{rows:,} × {frame.shape[1]} mixed, {size / 2**20:,.0f} MiB in memory")
    for name, results in (("ours", ours), ("hash_pandas_object", theirs)):
        seconds = statistics.median(s for s, _ in results)
        extra = max(m for _, m in results)
        print(f"{name:>20}: {seconds:6.3f} s, extra memory {extra / size:5.2f} × the frame")
    ratio = statistics.median(s for s, _ in ours) / statistics.median(s for s, _ in theirs)
    print(f"{'time ratio':>20}: {ratio:6.2f} (at most 2 is wanted)")


if __name__ == "__main__":
    main()
