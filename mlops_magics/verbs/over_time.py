"""Performance of each window of time by itself: estimated, and measured where labels are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mlops_magics import drift
from mlops_magics.verbs import performance

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mlops_magics.verbs.estimating import Rows
    from mlops_magics.verbs.performance import Performance

#: What is told of a window, of what there is, beside what goals ask to be estimated.
METRICS = ("roc_auc", "accuracy", "mae")


def estimate(
    rows: Rows, placed: np.ndarray[Any, Any], known: Mapping[str, Any], wanted: Iterable[str]
) -> list[dict[str, Any]]:
    """Of each window, the oldest first, metric → ``value`` and ``interval``.

    Empty where fewer rows came than can be judged.

    Parameters
    ----------
    placed : array of int
        The number of the window in which each row lies; -1 where it lies in none.
    known : mapping
        What is estimated of all rows.
    """
    import numpy as np

    mine = placed[:: rows.step]
    names = [name for name in dict.fromkeys((*METRICS, *wanted)) if name in known]
    count = int(placed.max(initial=-1)) + 1
    found: list[dict[str, Any]] = [{} for _ in range(count)]
    for number in range(count):
        chosen = np.flatnonzero(mine == number)
        if len(chosen) >= drift.quality.FEWEST_ROWS:
            made = rows.estimate(names, chosen)
            found[number] = {
                n: {"value": e.value, "interval": list(e.interval)} for n, e in made.items()
            }
    return found


def measure(
    performed: Performance, frame: pd.DataFrame, placed: np.ndarray[Any, Any]
) -> list[dict[str, Any]]:
    """Of each window, the oldest first: ``rows`` whose label is known, and their ``metrics``.

    Empty where fewer are known than can be judged.

    Parameters
    ----------
    frame : DataFrame
        The rows that were seen, and `placed` the number of the window in which each lies.
    """
    import numpy as np

    sample, rows = performed.sample, performed.rows
    found: list[dict[str, Any]] = [{} for _ in range(int(placed.max(initial=-1)) + 1)]
    if sample is None or rows is None or not frame.index.is_unique:
        return found
    mine = placed[frame.index.get_indexer(rows.index)]
    for number in range(len(found)):
        chosen = np.flatnonzero(mine == number)
        if len(chosen) >= drift.quality.FEWEST_ROWS:
            metrics = performance.values(sample.take(chosen), METRICS)
            found[number] = {"rows": len(chosen), "metrics": metrics}
    return found
