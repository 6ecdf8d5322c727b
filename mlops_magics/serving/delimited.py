"""CSV, read as pandas reads it, by Python's own module: a small server has no pandas."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any

from mlops_magics.serving.refusals import BadRequest, shown

#: The words that stand for a missing value: those of pandas.
MISSING = frozenset(
    {
        *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND"),
        *("1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
    }
)
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


def read(text: str) -> dict[str, list[str | None]]:
    """The columns by the names in the first line; of a name that is there twice the first.

    Raises
    ------
    BadRequest
        If it can't be read, or a line has more values than there are names.
    """
    try:
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except csv.Error as error:
        raise BadRequest(f"The body is not CSV that can be read: {error}.") from error
    if not lines:
        raise BadRequest("The body is not CSV that can be read: there is nothing in it.")
    header, *rows = lines
    for number, row in enumerate(rows, start=1):
        if len(row) > len(header):
            raise BadRequest(
                f"Row {number} of the CSV has {len(row)} values for {len(header)} columns."
            )
        if len(row) < len(header):  # what is left out at the end is missing
            row += [""] * (len(header) - len(row))
    found: dict[str, list[str | None]] = {}
    for at, name in enumerate(header):
        found.setdefault(name, [None if row[at] in MISSING else row[at] for row in rows])
    return found


def typed(values: Sequence[str | None], kind: str) -> Sequence[Any]:
    """The words of a column as values of its type, as far as they are ones."""
    read = _READ.get(kind)
    return values if read is None else [None if v is None else read(v) for v in values]


def numbers(columns: dict[str, list[str | None]]) -> list[list[Any]]:
    """All columns as rows of numbers.

    Raises
    ------
    BadRequest
        If one of the values is none; names it.
    """
    for name, values in columns.items():
        for row, value in enumerate(values, start=1):
            if value is not None and isinstance(_number(value), str):
                raise BadRequest(
                    f"Column {shown(name)} needs a number and row {row} has {shown(value)}."
                )
    return [list(row) for row in zip(*(typed(v, "double") for v in columns.values()), strict=True)]


def _number(word: str) -> Any:
    try:
        return word if "_" in word else float(word)
    except ValueError:
        return word


def _integer(word: str) -> Any:
    try:
        return word if "_" in word else int(word)
    except ValueError:
        return word


_READ: dict[str, Callable[[str], Any]] = {
    "long": _integer,
    "integer": _integer,
    "double": _number,
    "float": _number,
    "boolean": lambda word: _TRUTH.get(word, word),
}
