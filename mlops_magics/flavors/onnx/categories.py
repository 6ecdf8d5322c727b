"""Encoders of categories: a value's place among the known ones, and a table of vectors.

One row a category, and a last one for values that were not met in training: so one-hot, ordinal
and target encoding, with rare categories taken together or not, are the same two operators.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from mlops_magics.errors import BadData
from mlops_magics.flavors.onnx.building import ML, Graph, Piece
from mlops_magics.flavors.onnx.fields import MISSING


def tables(step: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each column of a fitted encoder its categories and their vectors, one row more."""
    make = {"OneHotEncoder": _one_hot, "OrdinalEncoder": _ordinal, "TargetEncoder": _target}
    build = make[type(step).__name__]
    return [(known, build(step, at, known)) for at, known in enumerate(step.categories_)]


def _one_hot(step: Any, at: int, known: np.ndarray) -> np.ndarray:
    places, count, rare = _grouped(step, at, known)
    vectors = np.zeros((len(known) + 1, count))
    vectors[np.arange(len(known)), places] = 1
    if rare is not None and step.handle_unknown == "infrequent_if_exist":
        vectors[-1, rare] = 1
    dropped = None if step.drop_idx_ is None else step.drop_idx_[at]
    if dropped is None:
        return vectors
    return np.delete(vectors, int(places[dropped]), axis=1)


def _grouped(step: Any, at: int, known: np.ndarray) -> tuple[np.ndarray, int, int | None]:
    """Each category's column, how many columns there are, and that of the rare ones."""
    mapping = None
    if getattr(step, "_infrequent_enabled", False):
        mapping = step._default_to_infrequent_mappings[at]
    if mapping is None:
        return np.arange(len(known)), len(known), None
    places = np.asarray(mapping)
    return places, int(places.max()) + 1, int(places.max())


def _ordinal(step: Any, at: int, known: np.ndarray) -> np.ndarray:
    places, _, _ = _grouped(step, at, known)
    values = np.append(places.astype(float), np.nan)
    if step.handle_unknown == "use_encoded_value":
        values[-1] = float(step.unknown_value)
    for place, category in enumerate(known):
        if _is_missing(category):
            values[place] = float(step.encoded_missing_value)
    return values[:, None]


def _target(step: Any, at: int, known: np.ndarray) -> np.ndarray:
    several = step.target_type_ == "multiclass"
    classes = len(step.classes_) if several else 1
    columns = step.encodings_[at * classes : (at + 1) * classes]
    unknown = np.atleast_1d(step.target_mean_)
    return np.vstack([np.column_stack(columns), unknown[None, :]])


def looked_up(graph: Graph, column: Piece, known: np.ndarray, vectors: np.ndarray) -> Piece:
    """The vectors of a column's values."""
    place = _of_text(graph, column, known) if column.is_text else _of_numbers(graph, column, known)
    table = graph.constant(vectors, np.float64)
    return Piece(graph.add("Gather", table, place, axis=0), vectors.shape[1])


def _of_text(graph: Graph, column: Piece, known: np.ndarray) -> str:
    words = [MISSING if _is_missing(c) else c for c in known]
    if strange := [w for w in words if not isinstance(w, str)]:
        raise BadData(f"The category {strange[0]!r} of a column of text is no text.")
    places = {word: place for place, word in reversed(list(enumerate(words)))}
    flat = graph.add("Reshape", column.name, graph.constant([-1], np.int64))
    return graph.add(
        "LabelEncoder",
        flat,
        domain=ML,
        keys_strings=list(places),
        values_int64s=list(places.values()),
        default_int64=len(known),
    )


def _of_numbers(graph: Graph, column: Piece, known: np.ndarray) -> str:
    try:
        values = known.astype(np.float64)
    except (ValueError, TypeError) as error:
        raise BadData(
            f"A column of numbers has the category {known[0]!r}, which is none."
        ) from error
    same = graph.add("Equal", column.name, graph.constant(values[None, :], np.float64))
    if np.isnan(values).any():
        is_nan = graph.constant(np.isnan(values)[None, :])
        same = graph.add("Or", same, graph.add("And", graph.add("IsNaN", column.name), is_nan))
    # The first place that is the same, or one behind the last for a value that is not known.
    shifted = graph.constant(np.arange(len(values), dtype=float)[:, None] - len(values), np.float64)
    found = graph.add("MatMul", graph.double(same), shifted)
    place = graph.add("Add", found, graph.constant(float(len(values)), np.float64))
    flat = graph.add("Reshape", place, graph.constant([-1], np.int64))
    return graph.add("Cast", flat, to=TensorProto.INT64)


def _is_missing(category: Any) -> bool:
    return category is None or (
        isinstance(category, float | np.floating) and bool(np.isnan(category))
    )
