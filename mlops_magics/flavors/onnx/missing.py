"""Which columns a model can do without: a graph would answer where its model refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlops_magics.flavors.onnx.fields import Field
    from mlops_magics.flavors.predictors import Predictor


def allowed(predictor: Predictor, inputs: Sequence[Field], data: Any) -> tuple[bool, ...]:
    """Of each input whether the model answers a row that has no value there: it is asked."""
    row = data[:1]
    if hasattr(data, "columns"):
        whole = data.notna().all(axis=1).to_numpy()
        row = data[whole][:1] if whole.any() else row
    return tuple(_answers(predictor, _without(field, row)) for field in inputs)


def answerable(inputs: Sequence[Field], may_miss: Sequence[bool], data: Any) -> Any:
    """The rows that have a value wherever the model needs one.

    A training that drops rows without values leaves them in the recorded data.
    """
    needed = [f.name for f, may in zip(inputs, may_miss, strict=True) if not may]
    if not needed or not hasattr(data, "columns"):
        return data
    known = data[needed].notna().all(axis=1)
    return data if known.all() or not known.any() else data[known]


def _without(field: Field, row: Any) -> Any:
    import numpy as np

    if field.is_array:
        return np.full_like(np.asarray(row, dtype=float), np.nan)
    return row.assign(**{field.name: np.array([np.nan], dtype=object if field.is_text else float)})


def _answers(predictor: Predictor, row: Any) -> bool:
    import numpy as np

    try:
        found, scores = predictor.answers(row)
    except Exception:  # whatever a model raises that needs a value
        return False
    numbers = found if scores is None else scores
    return bool(numbers.dtype.kind not in "fc" or np.isfinite(numbers).all())
