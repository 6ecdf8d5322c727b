"""Models with named columns: every form → columns by name → one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlops_magics.errors import did_you_mean
from mlops_magics.flavors.predictors import Input
from mlops_magics.serving import delimited
from mlops_magics.serving.columns import convert
from mlops_magics.serving.refusals import BadRequest, shown
from mlops_magics.serving.table import Table

#: The table, rows, params (none yet), columns as they came, columns that are absent.
Read = tuple[Table, int, None, Mapping[str, Sequence[Any]] | None, tuple[str, ...]]


def from_json(form: str, value: Any, inputs: Sequence[Input]) -> Read:
    """The table in one of the JSON forms.

    Raises
    ------
    BadRequest
        If it has not the form's shape, lacks a column, or a value does not fit its column.
    """
    if form == "dataframe_split":
        columns, rows = _split(value)
    elif form == "dataframe_records":
        columns, rows = _records(form, value, inputs)
    else:
        columns, rows = _tensors(form, value, inputs)
    if not rows:
        raise BadRequest("There are no rows to predict.")
    absent = _check_names(columns, inputs)
    taken = {str(i.name): columns[str(i.name)] for i in inputs if i.name not in absent}
    return _converted(taken, rows, inputs), rows, None, taken, absent


def _converted(taken: Mapping[str, Sequence[Any]], rows: int, inputs: Sequence[Input]) -> Table:
    wanted = {str(i.name): i for i in inputs if i.name in taken}
    arrays = {name: convert(i, taken[name]) for name, i in wanted.items()}
    return Table(arrays, {name: i.type for name, i in wanted.items()}, rows)


def _split(value: Any) -> tuple[dict[Any, Sequence[Any]], int]:
    if not isinstance(value, dict):
        raise BadRequest("dataframe_split must be an object with columns and data.")
    if strange := [k for k in value if k not in ("columns", "data", "index")]:
        raise BadRequest(
            f"dataframe_split has {shown(strange[0])}, which means nothing there.",
            "It takes columns, data and index.",
        )
    names, data = value.get("columns"), value.get("data")
    if not isinstance(names, list) or not all(isinstance(n, str | int | float) for n in names):
        raise BadRequest("dataframe_split needs columns: a list of names.")
    if not isinstance(data, list):
        raise BadRequest("dataframe_split needs data: a list of rows.")
    if len(names) == 1:  # one column may come as a plain list
        data = [row if isinstance(row, list) else [row] for row in data]
    for number, row in enumerate(data, start=1):
        if not isinstance(row, list) or len(row) != len(names):
            has = f"{len(row)} values" if isinstance(row, list) else shown(row)
            raise BadRequest(f"Row {number} of data has {has} for {len(names)} columns.")
    if len(set(names)) != len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise BadRequest(f"dataframe_split names the column {shown(twice)} twice.")
    index = value.get("index")
    if index is not None and (not isinstance(index, list) or len(index) != len(data)):
        raise BadRequest(f"dataframe_split has an index that does not fit {len(data)} rows.")
    return dict(zip(names, zip(*data, strict=True), strict=True)) if data else {}, len(data)


def _records(
    form: str, value: Any, inputs: Sequence[Input]
) -> tuple[dict[Any, Sequence[Any]], int]:
    if not isinstance(value, list):
        raise BadRequest(f"{form} must be a list of objects, one a row.")
    for number, row in enumerate(value, start=1):
        if not isinstance(row, dict):
            raise BadRequest(
                f"Row {number} of {form} is {shown(row)}, not an object of named values.",
                f"The model needs the columns {_listed(inputs)}.",
            )
    present = {key for row in value for key in row}
    # What one row leaves out is missing in that row; what all leave out is no column.
    return {key: [row.get(key) for row in value] for key in present}, len(value)


def _tensors(
    form: str, value: Any, inputs: Sequence[Input]
) -> tuple[dict[Any, Sequence[Any]], int]:
    """``inputs`` and ``instances``: columns by name, or a list of rows by name."""
    if isinstance(value, dict):
        return _by_column(form, value)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return _records(form, value, inputs)
    if isinstance(value, list) and len(inputs) == 1:
        return {inputs[0].name: value}, len(value)
    raise BadRequest(
        f"{form} has no names, and the model needs the columns {_listed(inputs)}.",
        "Send dataframe_split, or an object of columns.",
    )


def _by_column(form: str, value: Mapping[str, Any]) -> tuple[dict[Any, Sequence[Any]], int]:
    lengths = {name: len(v) for name, v in value.items() if isinstance(v, list)}
    if len(set(lengths.values())) > 1:
        (one, first), (other, second) = _unequal(lengths)
        raise BadRequest(
            f"The columns of {form} differ in length: {shown(one)} has {first} values and "
            f"{shown(other)} has {second}."
        )
    rows = next(iter(lengths.values()), 1 if value else 0)
    # A plain value stands for every row.
    return {n: v if isinstance(v, list) else [v] * rows for n, v in value.items()}, rows


def _unequal(lengths: Mapping[str, int]) -> tuple[tuple[str, int], tuple[str, int]]:
    first = next(iter(lengths.items()))
    return first, next(item for item in lengths.items() if item[1] != first[1])


def from_csv(text: str, inputs: Sequence[Input]) -> Read:
    """The table in CSV, with a line of names.

    Raises
    ------
    BadRequest
        If it can't be read, lacks a column, or a value does not fit its column.
    """
    columns = delimited.read(text)
    absent = _check_names(columns, inputs)
    rows = len(next(iter(columns.values())))
    if not rows:
        raise BadRequest("There are no rows to predict.")
    wanted = [i for i in inputs if i.name not in absent]
    taken = {str(i.name): delimited.typed(columns[str(i.name)], i.type) for i in wanted}
    table = _converted(taken, rows, inputs)
    return table, rows, None, table.lists(), absent


def _check_names(columns: Mapping[Any, Any], inputs: Sequence[Input]) -> tuple[str, ...]:
    """The optional columns that are absent; extra columns are ignored, as MLflow does it."""
    missing = [i for i in inputs if i.name not in columns]
    if needed := [str(i.name) for i in missing if i.required]:
        known = {i.name for i in inputs}
        extra = [str(c) for c in columns if c not in known]
        many = len(needed) > 1
        raise BadRequest(
            f"The column{'s' if many else ''} {', '.join(map(shown, needed[:10]))} "
            f"{'are' if many else 'is'} missing.",
            _near(needed[0], extra),
        )
    return tuple(str(i.name) for i in missing)


def _near(name: str, extra: list[str]) -> str:
    hint = did_you_mean(name, extra) if extra else ""
    near = hint.removeprefix("Did you mean ").rstrip("?")
    return f"You sent {near}: is that {shown(name)}?" if hint.startswith("Did") else ""


def _listed(inputs: Sequence[Input]) -> str:
    names = [str(i.name) for i in inputs]
    return ", ".join(names[:8]) + (f" … ({len(names)} in all)" if len(names) > 8 else "")
