"""Performance that is estimated of each window of time by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mlops_magics import drift

if TYPE_CHECKING:
    import numpy as np

    from mlops_magics.verbs.estimating import Rows

#: What is estimated, of what there is, beside what goals ask for.
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
