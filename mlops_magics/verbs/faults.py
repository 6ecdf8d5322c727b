"""Which rows a model can't answer, found with bounded work."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mlops_magics import goals

if TYPE_CHECKING:
    import pandas as pd

    from mlops_magics.goals.samples import Sample

#: The search ends here; a model that takes longer is not asked on.
SECONDS = 20.0
#: So many indices are named.
_NAMED = 5


def where(ask: Callable[[pd.DataFrame], Any], X: pd.DataFrame) -> str:
    """In words, on which row a model raises that raises on all of `X`.

    The first half is asked, then the first half of the half that raises, and so on: all of it is
    less work than asking for `X` twice. Empty where no single part of the rows is to blame.
    """
    began = time.monotonic()

    def raises(part: pd.DataFrame) -> bool:
        try:
            ask(part)
        except Exception:  # the user's model, on the user's rows
            return True
        return False

    low, high = 0, len(X)
    while high - low > 1:
        if time.monotonic() - began > SECONDS:
            return f" (within the rows with index {X.index[low]} to {X.index[high - 1]})"
        middle = (low + high) // 2
        if raises(X.iloc[low:middle]):
            high = middle
        elif raises(X.iloc[middle:high]):
            low = middle
        else:
            return ""  # it can't answer these rows together
    if high - low < 1 or not raises(X.iloc[low:high]):
        return ""
    label = X.index[low]
    if len(X) == 1:
        return f" (on the row with index {label})"
    others = (
        X.drop(X.index[low]) if X.index.is_unique else X.iloc[[*range(low), *range(high, len(X))]]
    )
    if time.monotonic() - began <= SECONDS and not raises(others):
        return f" (on the row with index {label}; it answers the other {len(others):,})"
    return f" (first on the row with index {label})"


def places(sample: Sample, index: pd.Index) -> str:
    """In words, in which rows an answer is missing or infinite; empty where none is."""
    import numpy as np

    bad: Any = goals.samples.missing(sample.predictions)
    if sample.task == "regression":
        bad = bad | np.isinf(np.asarray(sample.predictions, dtype=float))
    if not bad.any() and sample.scores is not None:
        finite = np.isfinite(sample.scores)
        bad = ~(finite if finite.ndim == 1 else finite.all(axis=1))
    named = [str(label) for label in index[bad][:_NAMED]]
    if not named:
        return ""
    more = int(bad.sum()) - len(named)
    which = f"{', '.join(named)}{f' and {more:,} more' if more else ''}"
    return f", in the row{'s' if len(named) > 1 else ''} with index {which}"
