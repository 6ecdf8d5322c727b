"""How long a model takes for one row, warm."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_magics.goals.samples import Floats, Undefined

if TYPE_CHECKING:
    import pandas as pd

WARM_UP = 5
REPEATS = 200
#: A slow model is asked less often; fewer answers than `FEWEST` are no percentile.
SECONDS = 5.0
FEWEST = 20


def measure(predict: Callable[[pd.DataFrame], Any], features: pd.DataFrame) -> Floats:
    """Seconds of each answer to a single row; the rows are taken in turn.

    Raises
    ------
    Undefined
        If there are no rows, or the model raises.
    """
    if len(features) == 0:
        raise Undefined("there are no rows to ask for")
    asked = [features.iloc[[i % len(features)]] for i in range(REPEATS)]
    try:
        for row in asked[:WARM_UP]:
            predict(row)
        taken: list[float] = []
        began = time.perf_counter()
        for row in asked:
            start = time.perf_counter()
            predict(row)
            now = time.perf_counter()
            taken.append(now - start)
            if now - began > SECONDS and len(taken) >= FEWEST:
                break
    except Exception as error:  # the model is someone else's code
        raise Undefined(
            f"the model raised {type(error).__name__} on a single row: {error}"
        ) from error
    return np.array(taken)


def how(taken: Floats) -> str:
    """How the figure came about, in words."""
    return f"of {len(taken)} single-row answers in this process, warm, {os.cpu_count()} cores"
