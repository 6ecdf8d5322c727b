"""How long a model takes to answer, warm: one row, or a batch of them."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_magics.goals.samples import Floats, Undefined

if TYPE_CHECKING:
    import pandas as pd

WARM_UP = 5
REPEATS = 200
#: After so many seconds and answers a figure is sure enough that no more are waited for; a slow
#: model is asked less often still, but fewer answers than `FEWEST` are no percentile.
SOON, ENOUGH = 0.2, 40
SECONDS, FEWEST = 5.0, 20


def measure(
    predict: Callable[[pd.DataFrame], Any], features: pd.DataFrame, batch: int = 1
) -> Floats:
    """Seconds of each answer to `batch` rows; the rows are taken in turn.

    Raises
    ------
    Undefined
        If there are no rows, or the model raises.
    """
    if len(features) == 0:
        raise Undefined("there are no rows to ask for")
    taken: list[float] = []
    try:
        for i in range(WARM_UP):
            predict(_rows(features, i, batch))
        began = time.perf_counter()
        for i in range(REPEATS):
            rows = _rows(features, i, batch)
            start = time.perf_counter()
            predict(rows)
            now = time.perf_counter()
            taken.append(now - start)
            passed = now - began
            if (passed > SOON and len(taken) >= ENOUGH) or (
                passed > SECONDS and len(taken) >= FEWEST
            ):
                break
    except Exception as error:  # the model is someone else's code
        raise Undefined(
            f"the model raised {type(error).__name__} on {_asked(batch)}: {error}"
        ) from error
    return np.array(taken)


def _rows(features: pd.DataFrame, turn: int, batch: int) -> pd.DataFrame:
    """The rows of one question; those of a batch go round where there are too few."""
    start = turn * batch
    if batch == 1:
        return features.iloc[[start % len(features)]]
    return features.iloc[np.arange(start, start + batch) % len(features)]


def _asked(batch: int) -> str:
    return "a single row" if batch == 1 else f"{batch} rows at once"


def how(taken: Floats, batch: int = 1) -> str:
    """How the figure came about, in words, with the machine."""
    kind = "single-row answers" if batch == 1 else f"answers to {batch} rows each"
    return f"of {len(taken)} {kind} in this process, warm, {machine()}"


@cache
def machine() -> str:
    """What it was measured on: cores and processor."""
    name = platform.processor()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            models = [line.partition(":")[2].strip() for line in file if "model name" in line]
        name = models[0] if models else name
    except OSError:  # not Linux
        pass
    cores = os.cpu_count() or 1
    return f"{cores} core{'s' * (cores != 1)}{f' of {name}' if name else ''}"
