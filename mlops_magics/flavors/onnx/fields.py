"""The inputs of a graph: one tensor a column of the signature, so that names survive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_magics.errors import BadData

if TYPE_CHECKING:
    import numpy as np

    from mlops_magics.flavors.predictors import Input

#: What stands for missing text, as a string tensor has no other way to say it.
MISSING = ""

#: The name of the one input of a model that was fitted on an array.
ARRAY = "X"

_NUMBERS = ("long", "integer", "double", "float", "boolean")


@dataclass(frozen=True, slots=True)
class Field:
    """One input of a graph.

    Attributes
    ----------
    name : str
        The column, or ``X`` for an array.
    type : str
        What the signature says: ``long``, ``double``, ``string``…
    required : bool
        Whether the model learned it without missing values.
    width : int
        Columns of the tensor; 1 for a column of a table.
    is_array : bool
        Whether it is the whole input of a model that was fitted on an array.
    """

    name: str
    type: str
    required: bool = True
    width: int = 1
    is_array: bool = False

    @property
    def is_text(self) -> bool:
        """Whether it is a tensor of strings; all else is numbers in double precision."""
        return self.type == "string"


def fields(columns: Sequence[Input]) -> tuple[Field, ...]:
    """The inputs that a signature asks for.

    Raises
    ------
    BadData
        If there is no signature, or a graph can't take what it names.
    """
    if not columns:
        raise BadData(
            "The model has no signature, so the inputs of a graph are not known.",
            "Train it with X_test and y_test bound, or with a prepared dataset.",
        )
    if columns[0].shape is not None:
        return (_array(columns),)
    found = []
    for column in columns:
        if column.name is None or column.type not in (*_NUMBERS, "string"):
            raise BadData(
                f"A graph takes no column of type {column.type} ({column.name!r}): only numbers, "
                "truth values and text.",
                "Turn it into numbers before the model.",
            )
        found.append(Field(str(column.name), column.type, column.required))
    return tuple(found)


def _array(columns: Sequence[Input]) -> Field:
    only = columns[0]
    shape = only.shape or ()
    if len(columns) > 1 or len(shape) != 2 or shape[1] < 1:
        raise BadData("A graph takes a table, or one array of rows × columns; this model neither.")
    return Field(only.name or ARRAY, "double", True, int(shape[1]), True)


def feeds(data: Any, wanted: Sequence[Field]) -> dict[str, np.ndarray]:
    """Rows as the graph takes them: NaN for a missing number, empty text for missing text.

    Raises
    ------
    BadData
        If a column of text holds something else.
    """
    import numpy as np

    if wanted[0].is_array:
        return {wanted[0].name: np.asarray(data, dtype=np.float64)}
    found = {}
    for field in wanted:
        values = data[field.name]
        if field.is_text:
            text = values.astype(object).where(values.notna(), MISSING)
            if strange := [v for v in text if not isinstance(v, str)]:
                raise BadData(
                    f"Column {field.name!r} holds {strange[0]!r} among text, which a graph can't.",
                    "Make all of it text, or package it --as folder.",
                )
            found[field.name] = text.to_numpy(dtype=object).reshape(-1, 1)
        else:
            numbers = values.astype(object).where(values.notna(), np.nan)
            found[field.name] = numbers.to_numpy(dtype=np.float64).reshape(-1, 1)
    return found
