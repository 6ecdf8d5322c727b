"""The steps of a pipeline before its estimator: how columns are told apart, joined and prepared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mlops_magics.errors import BadData
from mlops_magics.flavors.onnx import categories, foreign
from mlops_magics.flavors.onnx.building import Graph, Piece, Table, width
from mlops_magics.flavors.onnx.fields import MISSING


def apply(graph: Graph, step: Any, table: Table, names: Sequence[str]) -> Table:
    """What a fitted step makes of a table.

    Parameters
    ----------
    names : sequence of str
        The table's columns by name; empty behind the first step, where they have none.

    Raises
    ------
    BadData
        If it can't be converted; names the step.
    """
    if step is None or (isinstance(step, str) and step == "passthrough"):
        return table
    if type(step).__module__.partition(".")[0] == "sklearn":
        known = _KNOWN.get(type(step).__name__)
        if known is not None:
            return known(graph, step, table, names)
    return foreign.transformer(graph, step, table)


def _pipeline(graph: Graph, step: Any, table: Table, names: Sequence[str]) -> Table:
    for _, inner in step.steps:
        table = apply(graph, inner, table, names)
        names = ()
    return table


def _columns(graph: Graph, step: Any, table: Table, names: Sequence[str]) -> Table:
    """A ColumnTransformer: each of its parts with the columns that are its own."""
    found: Table = []
    for name, inner, chosen in step.transformers_:
        if isinstance(inner, str) and inner == "drop":
            continue
        places = _places(step, chosen, names)
        if not places:
            continue
        try:
            given = graph.columns(table, places)
            found += apply(graph, inner, given, [names[p] for p in places] if names else ())
        except BadData as error:
            raise BadData(f"In the step {name!r}: {error.message}", error.hint) from error
    return found


def _places(step: Any, chosen: Any, names: Sequence[str]) -> list[int]:
    known = list(names) or list(getattr(step, "feature_names_in_", ()))
    if isinstance(chosen, slice):
        every = range(step.n_features_in_)
        start, stop = (
            known.index(v) if isinstance(v, str) else v for v in (chosen.start, chosen.stop)
        )
        if isinstance(chosen.stop, str):  # by name the end belongs to it
            stop += 1
        return list(every[slice(start, stop, chosen.step)])
    if isinstance(chosen, str | int | np.integer):
        chosen = [chosen]
    array = np.asarray(chosen)
    if array.dtype == bool:
        return np.flatnonzero(array).tolist()
    return [known.index(c) if isinstance(c, str) else int(c) % step.n_features_in_ for c in chosen]


def _union(graph: Graph, step: Any, table: Table, names: Sequence[str]) -> Table:
    if step.transformer_weights:
        raise BadData("A FeatureUnion with weights can't be converted.")
    found: Table = []
    for _, inner in step.transformer_list:
        if not (isinstance(inner, str) and inner == "drop"):
            found += apply(graph, inner, table, names)
    return found


def _imputer(graph: Graph, step: Any, table: Table, names: Sequence[str]) -> Table:
    """Missing values filled, column by column, and where they were."""
    if all(not piece.is_text for piece in table):
        return _numbers_filled(graph, step, graph.joined(table))
    found: Table = []
    for at, statistic in enumerate(step.statistics_):
        piece = graph.column(table, at)
        if not piece.is_text:
            raise BadData("A SimpleImputer of text beside numbers can't be converted.")
        if _is_nan(statistic) or statistic is None:
            continue
        missing = step.missing_values
        word = missing if isinstance(missing, str) else MISSING
        is_missing = graph.add("Equal", piece.name, graph.constant([[word]], object))
        filled = graph.add(
            "Where", is_missing, graph.constant([[str(statistic)]], object), piece.name
        )
        found.append(Piece(filled, 1, True))
    if step.indicator_ is not None:
        raise BadData(
            "An indicator of missing text can't be converted.", "Use add_indicator=False."
        )
    return found


def _numbers_filled(graph: Graph, step: Any, piece: Piece) -> Table:
    statistics = np.asarray(step.statistics_, dtype=float)
    empty = np.isnan(statistics)
    kept = np.arange(len(statistics))
    if empty.any() and step.strategy != "constant":
        if step.keep_empty_features:
            statistics = np.where(empty, 0.0, statistics)
        else:
            kept = kept[~empty]
    is_missing = _missing(graph, piece.name, step.missing_values)
    values = graph.constant(statistics[None, :], np.float64)
    filled = graph.add("Where", is_missing, values, piece.name)
    found = graph.columns([Piece(filled, piece.width)], kept.tolist())
    if step.indicator_ is not None and len(step.indicator_.features_):
        at = step.indicator_.features_
        flags = Piece(graph.double(is_missing), piece.width)
        found = [*found, *graph.columns([flags], [int(i) for i in at])]
    return [graph.joined(found)] if len(found) > 1 else found


def _missing(graph: Graph, name: str, missing: Any) -> str:
    if _is_nan(missing) or missing is None or not isinstance(missing, int | float | np.number):
        return graph.add("IsNaN", name)
    return graph.add("Equal", name, graph.constant(float(missing), np.float64))


def _is_nan(value: Any) -> bool:
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def _standard(graph: Graph, step: Any, table: Table, names: Sequence[str]) -> Table:
    piece = graph.joined(table, "A StandardScaler")
    name = piece.name
    if step.with_mean:
        name = graph.add("Sub", name, graph.constant(step.mean_[None, :], np.float64))
    if step.with_std:
        name = graph.add("Div", name, graph.constant(step.scale_[None, :], np.float64))
    return [Piece(name, piece.width)]


def _min_max(graph: Graph, step: Any, table: Table, names: Sequence[str]) -> Table:
    piece = graph.joined(table, "A MinMaxScaler")
    name = graph.add("Mul", piece.name, graph.constant(step.scale_[None, :], np.float64))
    name = graph.add("Add", name, graph.constant(step.min_[None, :], np.float64))
    if step.clip:
        low, high = (graph.constant(float(v), np.float64) for v in step.feature_range)
        name = graph.add("Clip", name, low, high)
    return [Piece(name, piece.width)]


def _robust(graph: Graph, step: Any, table: Table, names: Sequence[str]) -> Table:
    piece = graph.joined(table, "A RobustScaler")
    name = piece.name
    if step.with_centering:
        name = graph.add("Sub", name, graph.constant(step.center_[None, :], np.float64))
    if step.with_scaling:
        name = graph.add("Div", name, graph.constant(step.scale_[None, :], np.float64))
    return [Piece(name, piece.width)]


def _encoder(graph: Graph, step: Any, table: Table, names: Sequence[str]) -> Table:
    """One of the encoders of categories: each column looked up in a table of its own."""
    tables = categories.tables(step)
    if width(table) != len(tables):
        raise BadData(f"A {type(step).__name__} of {len(tables)} columns is given {width(table)}.")
    if getattr(step, "handle_unknown", "") == "error":
        graph.notes.append(
            "The model refuses a category that it has not learned; the graph answers as if the "
            f"row had none of them ({type(step).__name__})."
        )
    found: Table = []
    for at, (known, vectors) in enumerate(tables):
        if vectors.shape[1]:
            found.append(categories.looked_up(graph, graph.column(table, at), known, vectors))
    return [graph.joined(found)] if len(found) > 1 else found


_KNOWN: Mapping[str, Callable[[Graph, Any, Table, Sequence[str]], Table]] = {
    "Pipeline": _pipeline,
    "ColumnTransformer": _columns,
    "FeatureUnion": _union,
    "SimpleImputer": _imputer,
    "StandardScaler": _standard,
    "MinMaxScaler": _min_max,
    "RobustScaler": _robust,
    "OneHotEncoder": _encoder,
    "OrdinalEncoder": _encoder,
    "TargetEncoder": _encoder,
}
