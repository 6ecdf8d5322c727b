"""Whether a row is as rows usually are: nothing in it that a graph's model might not take.

By the types of its values first, which are the same from row to row, so that what is to be looked
at for them is found out once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from mlops_magics.serving.graph import MOST, Field

#: Orders of columns, and sets of types, that are remembered.
MOST_KNOWN = 1000
#: The Python types of a value, by a column's type.
_TYPES: dict[str, tuple[type, ...]] = {
    "double": (float, int),
    "float": (float, int),
    "long": (int,),
    "integer": (int,),
    "boolean": (bool,),
    "string": (str,),
}
#: Columns that may have gaps, as far as the model goes.
_GAPPY = ("double", "float", "string")

Row = Sequence[Any]
#: The row as the graph takes it; ``None`` if it is unusual.
Look = Callable[[Row], Row | None]


class Usual:
    """Looks at rows.

    Parameters
    ----------
    fields : sequence of Field
        One a value.
    gaps : bool
        Whether a value may be missing where its field has nothing against it.
    """

    def __init__(self, fields: Sequence[Field], gaps: bool) -> None:
        self.fields = fields
        self.gaps = gaps
        self.most = 2.0**31 if any(one.type == "integer" for one in fields) else MOST
        self._looks: dict[tuple[type, ...], Look | None] = {}

    def fitted(self, row: Row) -> Row | None:
        """The row as the graph takes it; ``None`` if it is unusual."""
        kinds = tuple(map(type, row))
        try:
            look = self._looks[kinds]
        except KeyError:
            look = self._look(kinds)
            if len(self._looks) < MOST_KNOWN:
                self._looks[kinds] = look
        return None if look is None else look(row)

    def _look(self, kinds: tuple[type, ...]) -> Look | None:
        if len(kinds) != len(self.fields):
            return None
        gaps: dict[int, Any] = {}
        for at, (kind, one) in enumerate(zip(kinds, self.fields, strict=True)):
            if kind is type(None):
                if not self.gaps or one.type not in _GAPPY or "missing" in one.limits:
                    return None
                gaps[at] = "" if one.is_text else np.nan
            elif kind not in _TYPES.get(one.type, ()):
                return None
        given = [(at, one) for at, one in enumerate(self.fields) if at not in gaps]
        return _looking(
            [at for at, one in given if not one.is_text],
            [at for at, one in given if one.is_text],
            [(at, one.known) for at, one in given if one.known is not None],
            gaps,
            self.most,
        )


def _looking(
    numbers: Sequence[int],
    texts: Sequence[int],
    known: Sequence[tuple[int, frozenset[Any]]],
    gaps: dict[int, Any],
    most: float,
) -> Look:
    pick_numbers, pick_texts = picking(numbers), picking(texts)

    def look(row: Row) -> Row | None:
        # Not below it are NaN and infinity too, which JSON in Python may hold.
        if numbers and not sum(map(abs, pick_numbers(row))) < most:
            return None
        if texts and "" in pick_texts(row):
            return None
        for at, values in known:
            if row[at] not in values:
                return None
        if gaps:
            row = [gaps.get(at, value) for at, value in enumerate(row)]
        return row

    return look


def picking(keys: Sequence[Any]) -> Callable[[Any], Row]:
    """Takes values out of a row, always as a tuple."""
    if len(keys) > 1:
        return itemgetter(*keys)
    return lambda row: tuple(row[key] for key in keys)
