#!/usr/bin/env python3
"""Runs the model in this folder with nothing but onnxruntime and numpy.

    python run.py < rows.csv       a line of names, then rows
    python run.py < rows.jsonl     one JSON object a line
    python run.py --check          does it answer the kept example as the model did?

One JSON object a row is written: ``prediction``, and ``probabilities`` of a classifier. An
empty field and null are missing values. In Python: ``Model("folder").predict([{...}, ...])``.
"""

from __future__ import annotations

import csv
import difflib
import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import onnxruntime

#: Rows that are predicted at once.
ROWS = 4096
#: How far an answer may be from the kept one, relative to its size (at least 1).
TOLERANCE = 1e-5
_NO_NUMBER = ("", "na", "nan", "null", "none")
_TRUTH = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0}


class BadRow(ValueError):
    """Rows that the model can't be given; says which and why."""


class Model:
    """The model of a folder.

    Parameters
    ----------
    folder : path
        Where ``model.onnx`` and ``signature.json`` are.
    """

    def __init__(self, folder: str | Path = Path(__file__).parent) -> None:
        self.folder = Path(folder)
        self.signature = json.loads((self.folder / "signature.json").read_text(encoding="utf-8"))
        self.inputs: list[dict[str, Any]] = self.signature["inputs"]
        self.classes: list[Any] = self.signature["classes"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(
            str(self.folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )

    def predict(self, rows: Sequence[Any], first: int = 1) -> list[dict[str, Any]]:
        """One answer a row.

        Parameters
        ----------
        rows : list of dict
            Values by column; for a model of arrays lists of numbers.
        first : int
            The number of the first row, for what is said of a bad one.

        Raises
        ------
        BadRow
            If a column is missing or a value does not fit it.
        """
        if not rows:
            return []
        names = self.signature["outputs"]
        found = dict(zip(names, self.session.run(names, self._tensors(rows, first)), strict=True))
        predictions = found[names[0]].tolist()
        if "probabilities" not in found:
            return [{"prediction": value} for value in predictions]
        labels = [_text(c) for c in self.classes]
        return [
            {"prediction": value, "probabilities": dict(zip(labels, chances, strict=True))}
            for value, chances in zip(predictions, found["probabilities"].tolist(), strict=True)
        ]

    def _tensors(self, rows: Sequence[Any], first: int) -> dict[str, np.ndarray]:
        only = self.inputs[0]
        if len(self.inputs) == 1 and self.signature["array"]:
            return {only["name"]: _array(rows, only, first)}
        found = {}
        for column in self.inputs:
            name = column["name"]
            values = [_value(_of(row, name, column, at), column, at) for at, row in
                      enumerate(rows, start=first)]  # fmt: skip
            kind: Any = object if column["type"] == "string" else np.float64
            found[name] = np.array(values, dtype=kind).reshape(-1, 1)
        return found


def _of(row: Any, name: str, column: Mapping[str, Any], at: int) -> Any:
    if not isinstance(row, Mapping):
        raise BadRow(f"Row {at} must be an object of values by column, not {_shown(row)}.")
    if name in row:
        return row[name]
    if not column["required"]:
        return None
    near = difflib.get_close_matches(name, [str(k) for k in row], n=1)
    hint = f" You sent {near[0]!r}: is that it?" if near else ""
    raise BadRow(f"Row {at} lacks the column {name!r}.{hint}")


def _value(value: Any, column: Mapping[str, Any], at: int) -> Any:
    """A value as the tensor has it: NaN for a missing number, empty text for missing text."""
    kind, name = column["type"], column["name"]
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    if isinstance(value, str):
        word = value.strip().lower()
        missing = value == "" if kind == "string" else word in _NO_NUMBER
    if missing:
        if not column["may_miss"]:
            raise BadRow(
                f"Row {at} has no value in the column {name!r}, and the model can't do without."
            )
        return "" if kind == "string" else math.nan
    if kind == "string":
        if not isinstance(value, str):
            raise BadRow(f"Row {at} has {_shown(value)} in the column {name!r}, which needs text.")
        return value
    number = _number(value, kind)
    if number is None:
        wanted = {"boolean": "true or false", "long": "a whole number", "integer": "a whole number"}
        needs = wanted.get(kind, "a number")
        raise BadRow(f"Row {at} has {_shown(value)} in the column {name!r}, which needs {needs}.")
    return number


def _number(value: Any, kind: str) -> float | None:
    if kind == "boolean":
        return _TRUTH.get(str(value).strip().lower())
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    if math.isnan(number) or (kind in ("long", "integer") and not number.is_integer()):
        return None
    return number


def _array(rows: Sequence[Any], wanted: Mapping[str, Any], first: int) -> np.ndarray:
    width = wanted["width"]
    for at, row in enumerate(rows, start=first):
        if not isinstance(row, list | tuple | np.ndarray) or len(row) != width:
            raise BadRow(f"Row {at} must be a list of {width} numbers.")
    try:
        found = np.array(rows, dtype=np.float64)
    except (TypeError, ValueError):
        raise BadRow(f"A value in the rows from {first} on is no number.") from None
    if not wanted["may_miss"] and np.isnan(found).any():
        at = first + int(np.isnan(found).any(axis=1).argmax())
        raise BadRow(f"Row {at} lacks a number, and the model can't do without.")
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def read(stream: TextIO) -> Iterator[Any]:
    """The rows of CSV or of JSON lines, told apart by their first character.

    Raises
    ------
    BadRow
        If a line is no JSON.
    """
    head = next((line for line in stream if line.strip()), "")
    lines = chain([head], stream)
    if not head.lstrip().startswith(("{", "[")):
        yield from (
            {k: v for k, v in row.items() if k is not None} for row in csv.DictReader(lines)
        )
        return
    for at, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as error:
                raise BadRow(f"Line {at} is no JSON: {error}.") from None


def differs(expected: Any, got: Any) -> bool:
    """Whether two answers are not the same, numbers within the tolerance."""
    if isinstance(expected, dict):
        return expected.keys() != got.keys() or any(differs(expected[k], got[k]) for k in expected)
    if isinstance(expected, float):
        return not abs(got - expected) <= TOLERANCE * max(1.0, abs(expected))
    return bool(expected != got)


def check(model: Model) -> str:
    """Answer the kept example; how the answer differs from the kept one, empty if it does not."""
    folder = model.folder
    rows = json.loads((folder / "input_example.json").read_text(encoding="utf-8"))
    expected = json.loads((folder / "expected_answers.json").read_text(encoding="utf-8"))
    got = model.predict(rows)
    if len(got) != len(expected):
        return f"{len(got)} answers instead of {len(expected)}"
    pairs: Iterable[tuple[int, tuple[Any, Any]]] = enumerate(zip(expected, got, strict=True), 1)
    return next((f"row {at}: {g} instead of {e}" for at, (e, g) in pairs if differs(e, g)), "")


def main(arguments: Sequence[str]) -> int:
    """Predict standard input, or check the example; the exit code."""
    try:
        if list(arguments) == ["--check"]:
            difference = check(Model())
            print(difference or "The example is answered as the model did.")
            return 1 if difference else 0
        if arguments:
            print((__doc__ or "").strip())
            return 0 if arguments[0] in ("-h", "--help") else 2
        model, rows, first = Model(), read(sys.stdin), 1
        while part := list(islice(rows, ROWS)):
            for answer in model.predict(part, first):
                print(json.dumps(answer, ensure_ascii=False))
            first += len(part)
    except BadRow as error:
        print(error, file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever reads has had enough
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
