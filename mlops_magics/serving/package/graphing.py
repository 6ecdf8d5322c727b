"""A graph of the model in its package: converted, compared with the model, and sounded out.

The comparison is on the rows on which the model was trained and tested. Beyond them a graph may
answer where its model refuses, so each column is sounded out besides: with no value, an infinite
one, one that was never met. What the model says to that is kept for the server.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_magics.errors import BadData
from mlops_magics.flavors.predictors import Input, Predictor
from mlops_magics.serving import graph
from mlops_magics.serving.columns import convert
from mlops_magics.serving.package import packing
from mlops_magics.serving.package.reference import Reference
from mlops_magics.serving.table import Table, framed

if TYPE_CHECKING:
    from mlops_magics.flavors.onnx import Converted

#: Rows of the reference on which a graph is compared: enough, and soon done.
MOST_ROWS = 20_000
#: Values of a column that are kept where the model takes no others.
MOST_KNOWN = 5_000


def add(
    folder: Path, predictor: Predictor, reference: Callable[[], Reference]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Put the model's graph into a package.

    Parameters
    ----------
    reference : callable
        Gives the rows on which it must answer as the model does.

    Returns
    -------
    dict, tuple of str
        How its answers compare with the model's, and what else is to be said.

    Raises
    ------
    MissingExtra
        If onnx, onnxruntime or skl2onnx is not installed.
    BadData
        If the model can't be converted, or its graph answers otherwise; says what.
    """
    from mlops_magics.flavors import onnx
    from mlops_magics.flavors.onnx import parity, sessions

    converted = onnx.convert(predictor)
    given = reference()
    rows = _some(given.data)
    may_miss = onnx.missing.allowed(predictor, converted.inputs, rows)
    rows = onnx.missing.answerable(converted.inputs, may_miss, rows)
    content, session = converted.content, sessions.opened(converted.content)
    if not converted.array:
        content = packing.packed(converted)
        session = packing.Session(sessions.opened(content), converted.inputs)
    _check_form(predictor, converted, rows)
    found = parity.compare(predictor, converted, session, rows)
    if not found.within():
        told = found.labels_equal
        labels = "" if told is None else f"{told:.2%} of its labels are equal and "
        raise BadData(f"its answers differ: {labels}the largest difference is {found.largest:.3g}")
    place = folder / graph.FOLDER
    place.mkdir()
    (place / graph.MODEL).write_bytes(content)
    _write(place / graph.SIGNATURE, _signature(predictor, converted, session, rows))
    figures = {name: value for name, value in asdict(found).items() if name != "worst"}
    report = {"reference": given.source, **figures, "tolerance": parity.TOLERANCE}
    _write(place / graph.PARITY, report)
    return report, converted.notes


def _some(data: Any) -> Any:
    """As many of the rows as are compared, spread over all of them."""
    step = -(-len(data) // MOST_ROWS)
    return data[::step] if step > 1 else data


def _check_form(predictor: Predictor, converted: Converted, rows: Any) -> None:
    """Refuse a graph of a model whose answers have another form than one value a row."""
    answer = np.asarray(predictor.answer(rows[:2], {}))
    if answer.ndim != 1:
        raise BadData(f"its answers are of shape {answer.shape}, and a graph gives one a row")
    if converted.task == "regression" and answer.dtype.kind != "f":
        raise BadData(f"its answers are {answer.dtype}, and a graph's are doubles")


def _signature(
    predictor: Predictor, converted: Converted, session: Any, rows: Any
) -> dict[str, Any]:
    types = {converted.outputs[0]: np.asarray(predictor.predict(rows[:1])).dtype.name}
    if "probabilities" in converted.outputs:
        types["probabilities"] = np.asarray(predictor.predict_proba(rows[:1])).dtype.name
    classes = predictor.classes
    return {
        "flavor": predictor.flavor,
        "task": predictor.task,
        "estimator": predictor.description,
        "has_probabilities": predictor.has_probabilities,
        "classes": list(classes) if classes is not None else None,
        "array": converted.array,
        "outputs": list(converted.outputs),
        # Text of a width of its own comes out of a graph as any text.
        "types": {
            name: "object" if kind.startswith("str") else kind for name, kind in types.items()
        },
        "inputs": _Sounded(predictor, converted, session, rows).inputs(),
    }


class _Sounded:
    """What the model says to values that are not among the rows, and whether its graph agrees."""

    def __init__(self, predictor: Predictor, converted: Converted, session: Any, rows: Any) -> None:
        self.predictor = predictor
        self.converted = converted
        self.session = session
        self.rows = rows
        self.row = np.array(rows[:1], dtype=float) if converted.array else self._whole()

    def inputs(self) -> list[dict[str, Any]]:
        """Each input with its limits."""
        return [self._input(field) for field in self.converted.inputs]

    def _whole(self) -> Table:
        """A row with a value everywhere, as the server reads it."""
        full = self.rows.notna().all(axis=1).to_numpy()
        row = (self.rows[full] if full.any() else self.rows)[:1]
        inputs = {f.name: Input(f.name, f.type, required=False) for f in self.converted.inputs}
        arrays = {name: convert(i, row[name].tolist()) for name, i in inputs.items()}
        return Table(arrays, {name: i.type for name, i in inputs.items()}, 1)

    def _input(self, field: Any) -> dict[str, Any]:
        limits, known = {}, None
        for limit, values in _probes(field).items():
            told = (self._said(field, value) for value in values)
            if (said := next((words for words in told if words is not None), None)) is not None:
                limits[limit] = said
        if "unknown" in limits:
            known = sorted(self.rows[field.name].dropna().unique().tolist())
            known = known if field.is_text else [float(value) for value in known]
            if len(known) > MOST_KNOWN:
                raise BadData(f"its column {field.name!r} has more than {MOST_KNOWN:,} categories")
        return {
            "name": field.name,
            "type": field.type,
            "width": field.width,
            "limits": limits,
            "known": known,
        }

    def _said(self, field: Any, value: Any) -> str | None:
        """What the model says to a value; ``None`` where both answer it alike."""
        from mlops_magics.flavors.onnx import parity

        row = self._with(field, value)
        try:
            with warnings.catch_warnings():  # of values that nobody has given it
                warnings.simplefilter("ignore")
                answers = self.predictor.answers(row)
        except Exception as error:  # whatever a model raises that does not like it
            line = (str(error).strip().splitlines() or [""])[0]
            return f"{type(error).__name__}: {line}"
        numbers = answers[0] if answers[1] is None else answers[1]
        if numbers.dtype.kind in "fc" and not np.isfinite(numbers).all():
            return ""
        with np.errstate(all="ignore"):
            found = parity.judged(answers, self.converted, self.session, row)
        return None if found.within() else ""

    def _with(self, field: Any, value: Any) -> Any:
        if isinstance(self.row, Table):
            kind = np.dtype(object) if value is None else self.row.arrays[field.name].dtype
            arrays = {**self.row.arrays, field.name: np.array([value], dtype=kind)}
            return framed(Table(arrays, self.row.types, 1))
        row = self.row.copy()
        row[0, 0] = value
        return row


def _probes(field: Any) -> dict[str, Sequence[Any]]:
    """Values of a type that a server may be sent, and that no row need have had."""
    if field.is_text:
        return {"missing": (None,), "empty": ("",), "unknown": (graph.probe(field),)}
    if field.type == "boolean":
        return {"missing": (None,)}
    if field.type in ("long", "integer"):
        return {"unknown": (int(graph.probe(field)),)}
    numbers: dict[str, Sequence[Any]] = {
        "missing": (np.nan,),
        "infinite": (np.inf, -np.inf),
        "huge": (1e300,),
    }
    return numbers if field.is_array else {**numbers, "unknown": (graph.probe(field),)}


def _write(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
