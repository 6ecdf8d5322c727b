"""The inputs of a request as a capture keeps them → columns, without the model.

A request that was answered had a form of MLflow's and fitted its model, so what is read here is
not checked again. Values are as they were sent, before they became those of the signature.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from mlops_magics.serving.capture_journal import COLUMNS, SENT, Kept

log = logging.getLogger("mlops_magics.serving")


def of(kept: Kept, names: Sequence[str]) -> dict[str, list[Any]]:
    """Column → values.

    Parameters
    ----------
    names : sequence of str
        The model's columns; whatever else was sent is left out.
    """
    try:
        if kept.form == SENT:
            return sent(kept.inputs, names)
        found: dict[str, list[Any]] = json.loads(kept.inputs) if kept.form == COLUMNS else {}
    except (ValueError, LookupError, TypeError, AttributeError, StopIteration):
        log.warning("The inputs of the request %s can't be read.", kept.request_id)
        return {}
    return found


def text(kept: Kept, names: Sequence[str]) -> str:
    """The columns as JSON; empty where there are none."""
    if kept.form == SENT:
        return json.dumps(of(kept, names))
    return kept.inputs.decode()


def sent(body: bytes, names: Sequence[str]) -> dict[str, list[Any]]:
    """The columns of a body in a form of MLflow's protocol."""
    content = json.loads(body)
    table = content.get("dataframe_split")
    if table is not None:
        columns = _split(table)
    else:
        forms = ("dataframe_records", "instances", "inputs")
        columns = _records(next(content[form] for form in forms if form in content), names)
    return {name: columns[name] for name in names if name in columns}


def written(columns: Mapping[Any, Any], masked: frozenset[str] = frozenset()) -> bytes:
    """Columns as JSON, without those that are masked."""
    kept = {str(name): list(values) for name, values in columns.items() if str(name) not in masked}
    return json.dumps(kept, default=str).encode()


def _split(table: Mapping[str, Any]) -> dict[str, list[Any]]:
    names, rows = table["columns"], table["data"]
    if len(names) == 1:  # one column may come as a plain list
        rows = [row if isinstance(row, list) else [row] for row in rows]
    return dict(zip(map(str, names), map(list, zip(*rows, strict=True)), strict=True))


def _records(value: Any, names: Sequence[str]) -> dict[str, list[Any]]:
    if isinstance(value, dict):  # by column; a plain value stands for every row
        lists = [column for column in value.values() if isinstance(column, list)]
        rows = len(lists[0]) if lists else 1
        return {n: v if isinstance(v, list) else [v] * rows for n, v in value.items()}
    if isinstance(value[0], dict):
        if len(value) == 1:
            return {name: [given] for name, given in value[0].items()}
        present = {name for row in value for name in row}
        return {name: [row.get(name) for row in value] for name in names if name in present}
    return {names[0]: value}
