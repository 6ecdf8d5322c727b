"""The model as a graph that was proven to answer as it does: the fastest way to an answer.

A graph says nothing to a value that its model would refuse, so what is unlike the rows on which
it was proven goes to the model itself: missing values that the model can't do without, infinities,
categories that it has not learned, words that are empty. What the model says to each of these was
written down when the package was made; where its libraries are not installed, that is the answer.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mlops_magics.errors import BadData, MlopsError
from mlops_magics.flavors.predictors import Input, Param, Predictor
from mlops_magics.serving.table import Table, framed

log = logging.getLogger("mlops_magics.serving")

#: In a package: its folder, and in that the graph, what goes in and out, and the proof.
FOLDER, MODEL, SIGNATURE, PARITY = "graph", "model.onnx", "signature.json", "parity.json"
#: The graph's inputs: all columns of numbers, and all of text, each in the signature's order.
NUMBERS, TEXTS = "mlops:numbers", "mlops:texts"
#: What needs nothing but onnxruntime and numpy beside the server.
REQUIREMENTS = "requirements-onnx.txt"
#: Whole numbers beyond it are not all doubles; no number beyond it is usual.
MOST = 2.0**53
#: What becomes infinite where a model counts in single precision.
MOST_SINGLE = float(np.finfo(np.float32).max) * (1 + 2.0**-25)


class Beyond(ValueError):
    """A value that the graph is not to be asked for.

    Attributes
    ----------
    words : str
        What the model says to it, ``ValueError: …``; empty where it answers otherwise.
    """

    def __init__(self, words: str, where: str) -> None:
        super().__init__(words or where)
        self.words = words
        self.where = where


@dataclass(frozen=True, slots=True)
class Field:
    """One input of the graph.

    Attributes
    ----------
    limits : mapping
        ``missing``, ``infinite``, ``huge``, ``empty`` or ``unknown`` → what the model says to
        such a value; what is not in it the graph answers as the model does.
    known : frozenset or None
        The values on which it was proven, where the model does not take others.
    """

    name: str
    type: str
    width: int = 1
    limits: Mapping[str, str] = field(default_factory=dict)
    known: frozenset[Any] | None = None

    @property
    def is_text(self) -> bool:
        """Whether it is a tensor of strings; all else is numbers in double precision."""
        return self.type == "string"


class Graph(Predictor):
    """A graph, and behind it the model.

    Parameters
    ----------
    folder : Path
        With `MODEL` and `SIGNATURE`.
    columns, parameters, output
        What the model's own signature says.
    native : callable
        Loads the model with its libraries.
    """

    def __init__(
        self,
        folder: Path,
        columns: tuple[Input, ...],
        parameters: tuple[Param, ...],
        output: str,
        native: Callable[[], Predictor],
    ) -> None:
        try:
            said = json.loads((folder / SIGNATURE).read_text(encoding="utf-8"))
            self.fields = tuple(_field(one) for one in said["inputs"])
            self.array: bool = said["array"]
            self.outputs: tuple[str, ...] = tuple(said["outputs"])
            self.types: Mapping[str, str] = said["types"]
            self.flavor, self.task = said["flavor"], said["task"]
            self.description = said["estimator"]
            self.has_probabilities = said["has_probabilities"]
            self.classes = tuple(said["classes"]) if said["classes"] is not None else None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadData(f"{folder / SIGNATURE} can't be read: {error}.") from error
        self.columns, self.parameters, self.output = columns, parameters, output
        self.session = _opened(folder / MODEL)
        self._load = native
        self._native: Predictor | None = None
        self._tried = False

    def predict(self, frame: Any) -> np.ndarray:
        """One prediction a row of a table or an array."""
        return self._answered(frame, "predict")

    def predict_proba(self, frame: Any) -> np.ndarray | None:
        """Probabilities, rows × `classes`."""
        return self._answered(frame, "predict_proba") if self.has_probabilities else None

    def answer(self, data: Any, params: Mapping[str, Any]) -> Any:
        """What the model returns; what a request sets goes to the model itself."""
        if not params:
            return self._answered(data, "predict")
        native = self._loaded()
        if native is None:
            raise Beyond("", "The parameters of a request")
        return native.answer(framed(data), params)

    def run(self, feeds: Mapping[str, np.ndarray], method: str = "predict") -> np.ndarray:
        """What the graph itself answers; the caller has looked at the values."""
        name = self.outputs[0] if method == "predict" else "probabilities"
        if name not in self.outputs:
            raise Beyond("", "What is asked")
        found: np.ndarray = self.session.run([name], feeds)[0]
        wanted = self.types[name]
        return found if found.dtype == wanted or found.dtype.kind == "O" else found.astype(wanted)

    def _answered(self, data: Any, method: str) -> np.ndarray:
        try:
            return self.run(self.feeds(data, MOST), method)
        except Beyond:
            native = self._loaded()
            if native is None:  # then numbers beyond what is usual are not too much either
                return self.run(self.feeds(data, most=np.inf), method)
            if method == "predict":
                found: np.ndarray = native.answer(framed(data), {})
                return found
            chances = native.predict_proba(framed(data))
            return np.asarray(chances)

    def _loaded(self) -> Predictor | None:
        """The model with its own libraries, from the first time on that it is needed."""
        if not self._tried:
            self._tried = True
            try:
                self._native = self._load()
                log.info("Loaded the model itself, for what its graph does not answer")
            except (MlopsError, ImportError) as error:
                log.info("What the graph does not answer is refused: %s", error)
        return self._native

    def feeds(self, data: Any, most: float) -> dict[str, np.ndarray]:
        """Rows as the graph takes them.

        Parameters
        ----------
        most : float
            No number may be as large.

        Raises
        ------
        Beyond
            If the graph is not to be asked for one of them.
        """
        if self.array:
            only = self.fields[0]
            return {only.name: _numbers(only, np.asarray(data), most)}
        table: Table = data
        numbers, texts = [], []
        for one in self.fields:
            if one.name not in table.arrays:
                raise Beyond("", f"Column {one.name!r}, which is missing,")
            array = table.arrays[one.name]
            if one.is_text:
                texts.append(_texts(one, array))
            else:
                numbers.append(_numbers(one, array, most))
        given = {NUMBERS: numbers, TEXTS: texts}
        return {name: np.stack(columns, axis=1) for name, columns in given.items() if columns}


def _opened(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what can't be opened is an error all the same
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _field(said: Mapping[str, Any]) -> Field:
    known = said.get("known")
    return Field(
        said["name"],
        said["type"],
        said["width"],
        said["limits"],
        frozenset(known) if known is not None else None,
    )


def _texts(one: Field, array: np.ndarray) -> np.ndarray:
    values: list[Any] = array.tolist()
    given = [v for v in values if v is not None]
    if len(given) < len(values):
        _check(one, "missing", [v is None for v in values])
    if "" in given:
        _check(one, "empty", [v == "" for v in values])
    _check_known(one, values, set(given) - {""})
    return np.array(["" if v is None else v for v in values], dtype=object)


def _numbers(one: Field, array: np.ndarray, most: float) -> np.ndarray:
    numbers = array.astype(np.float64)  # a missing truth value becomes NaN
    finite = np.isfinite(numbers)
    if not finite.all():
        gaps = np.isnan(numbers)
        if gaps.any():
            _check(one, "missing", gaps)
        if not (finite | gaps).all():
            _check(one, "infinite", ~(finite | gaps))
    size = np.abs(numbers[finite])
    if size.size and size.max() >= most:
        raise Beyond("", f"A number of column {one.name!r}")
    if size.size and size.max() >= MOST_SINGLE:
        _check(one, "huge", finite & (np.abs(numbers) >= MOST_SINGLE))
    if one.known is not None:
        _check_known(one, numbers.tolist(), set(np.unique(numbers[finite]).tolist()))
    return numbers


def _check(one: Field, limit: str, where: Any) -> None:
    if limit in one.limits:
        at = np.asarray(where)
        row = int(at.reshape(len(at), -1).any(axis=1).argmax()) + 1
        raise Beyond(one.limits[limit], f"The value of column {one.name!r} in row {row}")


def _check_known(one: Field, values: Sequence[Any], given: set[Any]) -> None:
    if one.known is None or given <= one.known:
        return
    strange = next(v for v in values if v in given and v not in one.known)
    words = one.limits.get("unknown", "").replace(shown(one, probe(one)), shown(one, strange))
    raise Beyond(words, f"The value {strange!r} of column {one.name!r}")


def probe(one: Any) -> Any:
    """A value that no model has learned: what it says to that, it says to others."""
    return "a value never met" if one.type == "string" else -987654321.0


def shown(one: Any, value: Any) -> str:
    """A value as a model's words show it."""
    return str(int(value)) if one.type in ("long", "integer") else repr(value)
