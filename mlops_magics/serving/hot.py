"""Small requests in the usual forms, read straight into what a graph is fed.

What is read here is read strictly: a form, a type or a value that is at all unlike the usual is
none of this module's business, and `read` says ``None``: then it goes the way of all others, which
knows every form and every complaint. So nothing is answered here that would be answered
otherwise there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlops_magics.serving.answers import encode
from mlops_magics.serving.graph import NUMBERS, TEXTS, Field, Graph
from mlops_magics.serving.parameters import METHOD, METHODS
from mlops_magics.serving.served import Served
from mlops_magics.serving.service import predicted
from mlops_magics.serving.usual import MOST_KNOWN, Row, Usual, picking

#: A larger request does not count as small, in bytes and in rows.
MOST_BYTES, MOST_ROWS = 16 << 10, 32
#: Seconds that a graph may take for so many, to be asked between two turns of the event loop.
MOST_SECONDS = 0.002

_scan: Any = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
#: The Open Inference Protocol's name of the type in which a column comes.
_DATATYPES = {"double": "FP64", "long": "INT64", "boolean": "BOOL", "string": "BYTES"}
_TENSOR = {"name", "shape", "datatype", "data"}


@dataclass(slots=True)  # not frozen: that would double what making one costs
class Asked:
    """A small request.

    Attributes
    ----------
    rows, given : list
        The values of each row in the order of the graph's inputs, as it takes them and as they
        came.
    id : str or None
        What the client calls it (V2).
    """

    protocol: str
    method: str
    rows: list[Row]
    given: list[Row]
    id: str | None = None


class Hot:
    """The short way to a model's graph.

    Parameters
    ----------
    graph : Graph
    """

    def __init__(self, served: Served, graph: Graph) -> None:
        self.served = served
        self.graph = graph
        self.fields = graph.fields
        self.names = [one.name for one in self.fields]
        self.places = {name: at for at, name in enumerate(self.names)}
        self.width = graph.fields[0].width if graph.array else len(self.fields)
        self._numbers = [at for at, one in enumerate(self.fields) if not one.is_text]
        self._texts = [at for at, one in enumerate(self.fields) if one.is_text]
        self._single = [i for i, at in enumerate(self._numbers) if self.fields[at].type == "float"]
        self._pick_numbers, self._pick_texts = picking(self._numbers), picking(self._texts)
        whole = self.fields * self.width if graph.array else self.fields
        self._usual = Usual(whole, gaps=not graph.array)
        self._pick = picking(self.names)
        self._orders: dict[tuple[Any, ...], Callable[[Row], Row] | None] = {}
        self._bodies: dict[Any, tuple[bytes, str]] = {}
        self._readers = {"mlflow": self._mlflow, "v2": self._v2}

    def is_quick(self) -> bool:
        """Whether the rows of a request take so little that nobody else waits for them."""
        row = [1.0] * self.width if self.graph.array else [_plain(one) for one in self.fields]
        times = []
        try:
            for _ in range(3):
                began = time.perf_counter()
                self.run([row] * MOST_ROWS, METHODS[0])
                times.append(time.perf_counter() - began)
        except Exception:  # a graph that does not take just any row
            return False
        return min(times) <= MOST_SECONDS

    def read(self, protocol: str, body: bytes) -> Asked | None:
        """A small request in one of the usual forms; ``None`` for any other."""
        try:
            text = body.decode()
            if "\\ud" in text or "\\uD" in text:  # perhaps half a character
                return None
            content, end = _scan(text, 0)
            if type(content) is not dict or (end != len(text) and text[end:].strip(" \t\r\n")):
                return None
            return self._readers[protocol](content)
        except (ValueError, StopIteration, RecursionError, TypeError, KeyError):
            return None

    def run(self, rows: Sequence[Row], method: str) -> np.ndarray:
        """What the graph answers to rows that were read here."""
        return self.graph.run(self._feeds(rows), method)

    def written(self, asked: Asked, raw: np.ndarray) -> tuple[bytes, str]:
        """The answer's body, and one prediction a row as JSON."""
        short = asked.id is None and len(asked.rows) == 1 and asked.method == METHODS[0]
        key = (asked.protocol, raw[0]) if short and self.graph.task == "classification" else None
        if key in self._bodies:
            return self._bodies[key]
        service = self.served.service
        if asked.protocol == "mlflow":
            body, outputs = predicted(service, asked.method, raw)
        else:
            head = {} if asked.id is None else {"id": asked.id}
            body = self.served.inference.simple(head, raw)
            outputs = encode(raw)
        if key is not None:
            self._bodies[key] = body, outputs
        return body, outputs

    def columns(self, asked: Asked) -> dict[str, Sequence[Any]] | None:
        """The input by column, for capture."""
        if self.graph.array:
            return None
        return dict(zip(self.names, zip(*asked.given, strict=True), strict=True))

    def _mlflow(self, content: dict[str, Any]) -> Asked | None:
        method = METHODS[0]
        if len(content) == 2:
            params = content.pop("params")
            if type(params) is not dict or params.keys() != {METHOD}:
                return None
            method = params[METHOD]
            if method not in METHODS or (method != METHODS[0] and not self._has_chances()):
                return None
        ((form, value),) = content.items()
        if form == "dataframe_split":
            rows = self._split(value)
        elif form in ("dataframe_records", "instances", "inputs"):
            rows = self._records(form, value)
        else:
            return None
        return self._asked("mlflow", method, rows)

    def _has_chances(self) -> bool:
        return self.graph.has_probabilities and "probabilities" in self.graph.outputs

    def _asked(
        self, protocol: str, method: str, rows: list[Row] | None, name: str | None = None
    ) -> Asked | None:
        if not rows or len(rows) > MOST_ROWS:
            return None
        found = []
        for row in rows:
            if (fitted := self._usual.fitted(row)) is None:
                return None
            found.append(fitted)
        return Asked(protocol, method, found, rows, name)

    def _split(self, value: Any) -> list[Row] | None:
        columns, data = value["columns"], value["data"]
        if len(value) > 2 and (len(value) > 3 or len(value["index"]) != len(data)):
            return None
        key = tuple(columns)
        if type(columns) is not list or type(data) is not list:
            return None
        try:
            pick = self._orders[key]
        except KeyError:
            pick = self._order(key)
        if pick is None:
            return None
        width = len(columns)
        for row in data:
            if type(row) is not list or len(row) != width:
                return None
        return [pick(row) for row in data]

    def _order(self, columns: tuple[Any, ...]) -> Callable[[Row], Row] | None:
        """How the graph's inputs are taken out of a row with such columns."""
        found = None
        if not self.graph.array and len(set(columns)) == len(columns):
            places = {name: at for at, name in enumerate(columns)}
            if all(name in places for name in self.names):
                found = picking([places[name] for name in self.names])
        if len(self._orders) < MOST_KNOWN:
            self._orders[columns] = found
        return found

    def _records(self, form: str, value: Any) -> list[Row] | None:
        if type(value) is not list:
            return None
        if self.graph.array:
            if form == "dataframe_records" or any(type(row) is not list for row in value):
                return None
            return value
        for row in value:
            if type(row) is not dict:
                return None
        return [self._pick(row) for row in value]

    def _v2(self, content: dict[str, Any]) -> Asked | None:
        inputs, name = content["inputs"], content.get("id", "")
        if len(content) > 1 + ("id" in content) or type(name) is not str:
            return None
        name = name if "id" in content else None
        if self.graph.array or type(inputs) is not list or len(inputs) != len(self.fields):
            return None
        columns: list[Any] = [None] * len(inputs)
        for tensor in inputs:
            if tensor.keys() != _TENSOR:
                return None
            at, data, shape = self.places[tensor["name"]], tensor["data"], tensor["shape"]
            if tensor["datatype"] != _DATATYPES.get(self.fields[at].type) or type(data) is not list:
                return None
            if shape not in ([len(data)], [len(data), 1]) or columns[at] is not None:
                return None
            if type(shape[0]) is not int:
                return None
            columns[at] = data
        return self._asked("v2", METHODS[0], list(zip(*columns, strict=True)), name)

    def _feeds(self, rows: Sequence[Row]) -> dict[str, np.ndarray]:
        if self.graph.array:
            return {self.names[0]: np.array(rows, dtype=np.float64)}
        found = {}
        if self._numbers:
            numbers = np.array([self._pick_numbers(row) for row in rows], dtype=np.float64)
            for at in self._single:
                numbers[:, at] = numbers[:, at].astype(np.float32)
            found[NUMBERS] = numbers
        if self._texts:
            found[TEXTS] = np.array([self._pick_texts(row) for row in rows], dtype=object)
        return found


def _plain(one: Field) -> Any:
    return "a" if one.is_text else 1.0
