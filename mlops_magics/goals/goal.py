"""One goal, as the language states it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Comparator = Literal[">=", ">", "<=", "<"]
Spread = Literal["", "gap", "ratio", "drop"]

#: The column that stands for every column.
EVERY = "*"


@dataclass(frozen=True, kw_only=True)
class Goal:
    """One line of the language, read.

    Attributes
    ----------
    text : str
        The line as written, without its comment.
    bound : float
        The threshold in the metric's base unit (1, seconds, bytes); beside a `reference`, what is
        added to the reference's value.
    unit : str
        The unit it was written in, in which the answer is given.
    reference : str
        ``""``, ``champion`` or ``baseline``.
    column : str or None
        What the metric is about, where it takes a column; ``*`` stands for every one.
    params : tuple of (str, float or str)
        The metric's own parameters.
    by : str or None
        The column whose groups are judged one by one or, with `spread`, against each other.
    spread : str
        ``gap``: the largest of the groups' values less the smallest; ``ratio``: the smallest
        divided by the largest; ``drop``: by how much the value is worse `under` what is done to
        the inputs. ``""``: the value itself.
    under : tuple of (str, float) or None
        What is done to the inputs before the model is asked, and how much of it:
        ``("noise", 0.1)``, ``("missing", 0.2)``.
    level : float or None
        With ``with 95%``: the confidence at which the goal must hold, 0.95.
    line : int
        Where it stood, from 1.
    """

    text: str
    metric: str
    comparator: Comparator
    bound: float
    unit: str = ""
    reference: str = ""
    column: str | None = None
    params: tuple[tuple[str, float | str], ...] = ()
    by: str | None = None
    spread: Spread = ""
    under: tuple[str, float] | None = None
    level: float | None = None
    line: int = 1

    def __str__(self) -> str:
        return self.text

    @property
    def at_least(self) -> bool:
        """Whether more is what the goal asks for."""
        return self.comparator in (">=", ">")

    def holds(self, value: float, bound: float | None = None) -> bool:
        """Whether `value` compares with the bound as the goal wants (never for NaN)."""
        limit = self.bound if bound is None else bound
        return {
            ">=": value >= limit,
            ">": value > limit,
            "<=": value <= limit,
            "<": value < limit,
        }[self.comparator]
