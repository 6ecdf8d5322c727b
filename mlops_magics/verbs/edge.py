"""The rows on which an ONNX graph must answer as its model does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlops_magics import flavors, store
from mlops_magics.errors import BadData, MlopsError
from mlops_magics.verbs.judged_rows import training_data

if TYPE_CHECKING:
    from mlops_magics.serving.package.reference import Reference
    from mlops_magics.store.versions import Version

#: Said of a model whose graph was compared on the few rows that came with it.
FEW = "The graph was compared with the model on its input example only: {why}."


def reference(version: Version, model: Path) -> tuple[Reference, tuple[str, ...]]:
    """All rows of the recorded dataset, training and test; else the input example, and why.

    Raises
    ------
    BadData
        If the model came with no example either.
    """
    from mlops_magics.serving import bodies
    from mlops_magics.serving.package import assembling
    from mlops_magics.serving.package.reference import Reference

    meta = flavors.folder.read(model)
    found = _recorded(version, meta.inputs)
    if isinstance(found, Reference):
        return found, ()
    body = meta.example is not None and meta.example.is_file() and assembling.body(meta.example)
    if not body:
        raise BadData(
            f"There are no rows to compare a graph with the model on: {found}, and it came with "
            "no input example.",
            "Train it on a prepared dataset.",
        )
    rows = bodies.read(body, "application/json", meta.inputs).native
    return Reference(data=rows, source="the input example"), (FEW.format(why=found),)


def _recorded(version: Version, inputs: tuple[flavors.Input, ...]) -> Reference | str:
    """The recorded rows, or why there are none."""
    import pandas as pd

    from mlops_magics.serving.package.reference import Reference

    try:
        dataset = training_data(version)
        if dataset is None:
            return "its data was not recorded by `prepare`"
        if any(column.shape is not None or column.name is None for column in inputs):
            return "it was fitted on an array"
        if dataset.split.get("test_rows"):
            frame = pd.concat(store.datasets.frames(dataset))
        else:
            frame = store.datasets.frame(dataset)
    except MlopsError as error:
        return f"its data can't be had ({error.message.rstrip('.')})"
    names = [str(column.name) for column in inputs]
    absent = [name for name in names if name not in frame.columns]
    if absent:
        return f"its data has no column {absent[0]!r}"
    source = f"all {len(frame):,} rows of {dataset.name}, training and test"
    return Reference(data=frame[names].sort_index(), source=source)
