"""The body of a request → what the model is asked, in all forms of MLflow's scoring protocol."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlops_magics.flavors.predictors import Input
from mlops_magics.serving import loose, tables
from mlops_magics.serving.refusals import BadRequest, UnsupportedType, shown
from mlops_magics.serving.table import Table, framed, listed

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


@dataclass(slots=True)
class Query:
    """What is asked of the model.

    Attributes
    ----------
    data : Table, DataFrame, array or mapping of arrays
        As the signature has it.
    rows : int
        How many predictions are expected.
    params : Any
        What stood under ``params``; not looked at yet.
    columns : mapping or None
        The input columns as they came, where there are columns.
    absent : tuple of str
        Columns of the signature that may be, and are, missing altogether.
    """

    data: Any
    rows: int
    params: Any = None
    columns: Mapping[str, Sequence[Any]] | None = None
    absent: tuple[str, ...] = field(default=())

    @property
    def native(self) -> Any:
        """The data as a model of Python takes it: a table as a DataFrame."""
        return framed(self.data)

    @property
    def kept(self) -> Mapping[str, Sequence[Any]] | None:
        """The input columns for capture, as they came or else as they were read."""
        if self.columns is not None:
            return self.columns
        if isinstance(self.data, Table):
            return self.data.lists()
        return listed(self.data) if hasattr(self.data, "columns") else None


def read(body: bytes, content_type: str, inputs: Sequence[Input]) -> Query:
    """Read a body.

    Parameters
    ----------
    content_type : str
        The header; a charset other than UTF-8 is refused.
    inputs : sequence of Input
        The model's signature; empty when it has none.

    Raises
    ------
    BadRequest
        If the body can't be read as its type, or does not fit the signature.
    UnsupportedType
        If its type is neither JSON nor CSV.
    """
    kind = _kind(content_type)
    if kind == "text/csv":
        text = _decoded(body)
        table = tables.from_csv(text, inputs) if named(inputs) else loose.from_csv(text, inputs)
        return Query(*table)
    return formed(*_parsed(body), inputs)


def formed(form: str, value: Any, params: Any, inputs: Sequence[Input]) -> Query:
    """A query from data in one of `FORMS`, however it came.

    Raises
    ------
    BadRequest
        If it does not fit the signature.
    """
    read = tables.from_json if named(inputs) else loose.from_json
    query = Query(*read(form, value, inputs))
    query.params = params
    return query


def named(inputs: Sequence[Input]) -> bool:
    """Whether the model takes columns by name."""
    return bool(inputs) and all(i.name is not None and i.shape is None for i in inputs)


def _kind(content_type: str) -> str:
    kind, *parameters = (part.strip() for part in content_type.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.lower() != "charset":
            raise UnsupportedType(
                f"The content type has the parameter {name!r}, which means nothing here.",
                "Send application/json or text/csv.",
            )
        if value.strip("\"'").lower() not in ("utf-8", "utf8"):
            raise UnsupportedType(f"The charset {value!r} is not read.", "Send UTF-8.")
    if kind.lower() not in ("application/json", "text/csv"):
        raise UnsupportedType(
            f"The content type {kind!r} is not read." if kind else "The body has no content type.",
            "Send application/json or text/csv.",
        )
    return kind.lower()


def _decoded(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(f"The body is not UTF-8: byte {error.start} can't be read.") from error


def parsed(body: bytes) -> Any:
    """What the JSON of a body says.

    Raises
    ------
    BadRequest
        If it is no JSON.
    """
    try:
        return json.loads(_decoded(body))
    except json.JSONDecodeError as error:
        raise BadRequest(
            f"The body is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from error
    except (ValueError, RecursionError) as error:  # a number or a nesting beyond all bounds
        raise BadRequest("The body is not JSON that can be read here.") from error


def _parsed(body: bytes) -> tuple[str, Any, Any]:
    content = parsed(body)
    wanted = f"Send an object with one of {', '.join(FORMS)}."
    if not isinstance(content, dict):
        raise BadRequest(f"The body is {_article(content)}, not an object.", wanted)
    given = [form for form in FORMS if form in content]
    if len(given) > 1:
        raise BadRequest(f"The body has both {given[0]} and {given[1]}.", wanted)
    if not given:
        found = ", ".join(shown(key) for key in list(content)[:5])
        raise BadRequest(f"The body has {found or 'nothing'} and no data.", wanted)
    return given[0], content[given[0]], content.get("params")


def _article(value: Any) -> str:
    names = {list: "a list", str: "a text", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")
