"""Where values lie among some ascending ones, for very many values."""

from __future__ import annotations

import numpy as np

from mlops_magics.drift.shares import Floats

#: Even cells between the least knot and the greatest; the table fits into a near cache.
CELLS = 1 << 13
#: So many knots may lie in one cell; with more, halving is as fast.
MOST = 3


class Places:
    """``np.searchsorted(knots, values)``, several times as fast for values in no order.

    A table says for each of many even cells which knot comes first there; some comparisons tell
    the rest. The cell of a value never falls while the value rises, however it is rounded, so a
    knot of an earlier cell is less, and one of a later cell is greater.

    Parameters
    ----------
    knots : array of shape (k,)
        Ascending, each once.
    """

    def __init__(self, knots: Floats) -> None:
        self.knots = knots
        self._ended = np.r_[knots, np.inf]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            self._scale = CELLS / (knots[-1] - knots[0])
        if not 0 < self._scale < np.inf:
            self._rounds = MOST + 1
            return
        held = np.bincount(self._cells(knots), minlength=CELLS)
        self._rounds = int(held.max())
        self._first = np.r_[0, np.cumsum(held)[:-1]]

    def find(self, values: Floats) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """How many knots are less than each value; none of them NaN."""
        if self._rounds > MOST:
            return np.searchsorted(self.knots, values, side="left")
        found = self._first[self._cells(values)]
        for _ in range(self._rounds):
            found += self._ended[found] < values
        return np.asarray(found)

    def _cells(self, values: Floats) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        with np.errstate(over="ignore", invalid="ignore"):
            cells = (values - self.knots[0]) * self._scale
        return np.asarray(np.clip(cells, 0, CELLS - 1, out=cells).astype(np.int64))
