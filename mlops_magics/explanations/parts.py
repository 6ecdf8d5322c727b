"""What a model's answers add up from, on the columns that its estimator is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mlops_magics.goals.samples import Floats


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Base and contributions, in whatever unit the estimator adds up.

    Attributes
    ----------
    base : array of shape (k,)
        One for each of the estimator's outputs; two classes may have one output together.
    sums : array of shape (n, k)
        Base and all contributions of a row.
    of : callable
        The place of an output → contributions, (n, columns).
    """

    base: Floats
    sums: Floats
    of: Callable[[int], Floats]
