"""Inputs that are disturbed on purpose, to see what a model's figures are worth then.

Each column draws from a stream of its own, named by the seed, the kind and the column: two models
that share a column are asked with the same disturbed values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from mlops_magics.goals.samples import Floats, Undefined

if TYPE_CHECKING:
    import pandas as pd

#: What may be done to inputs, and what its amount is a share of.
KINDS = {
    "noise": "of a column's standard deviation (of the rows, where a column holds no numbers)",
    "missing": "of the values",
}


def disturbed(
    inputs: pd.DataFrame, kind: str, amount: float, training: pd.DataFrame | None, seed: int
) -> pd.DataFrame:
    """The inputs with noise, or with values missing.

    Parameters
    ----------
    kind : str
        ``noise``: numbers get Gaussian noise with a standard deviation of `amount` times that of
        the column in training (whole numbers stay whole, missing ones stay missing); dates
        likewise; other columns get, with the probability `amount`, a value drawn from the column
        in training. ``missing``: each value is missing with the probability `amount`.
    training : DataFrame or None
        The rows of training, as far as they are known; else the inputs stand for them.

    Raises
    ------
    Undefined
        If the kind is unknown, or there is nothing to disturb.
    """
    if kind not in KINDS:
        raise Undefined(f"nothing is known of {kind!r}: there is {' and '.join(KINDS)}")
    if inputs.shape[1] == 0 or len(inputs) == 0:
        raise Undefined("there are no inputs to disturb")
    changed = inputs.copy()
    for at, column in enumerate(inputs.columns):
        values = inputs.iloc[:, at]
        known = values
        if training is not None and (training.columns == column).sum() == 1:
            known = training[column]
        rng = np.random.default_rng([seed, crc32(f"{kind} {column}".encode())])
        new: Any = (
            _gaps(values, amount, rng) if kind == "missing" else _noise(values, known, amount, rng)
        )
        changed.isetitem(at, new)
    return changed


def _gaps(values: pd.Series, amount: float, rng: np.random.Generator) -> pd.Series:
    import pandas as pd

    gone = rng.random(len(values)) < amount
    plain = values
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "iu":
        plain = values.astype(float)
    elif isinstance(values.dtype, np.dtype) and values.dtype.kind == "b":
        plain = values.astype(object)
    return plain.mask(pd.Series(gone, index=values.index))


def _noise(
    values: pd.Series, known: pd.Series, amount: float, rng: np.random.Generator
) -> pd.Series:
    import pandas as pd

    types = pd.api.types
    if types.is_bool_dtype(values) or not (
        types.is_numeric_dtype(values) or types.is_datetime64_any_dtype(values)
    ):
        return _swapped(values, known, amount, rng)
    if types.is_datetime64_any_dtype(values):
        spread = known.std() if types.is_datetime64_any_dtype(known) else values.std()
        days = 0.0 if pd.isna(spread) else pd.Timedelta(spread) / pd.Timedelta(days=1)
        shift = pd.to_timedelta(rng.normal(0, 1, len(values)) * amount * days, unit="D")
        shifted: pd.Series = values + pd.Series(shift, index=values.index).dt.round("s")
        return shifted.astype(values.dtype)
    scale = float(pd.to_numeric(known, errors="coerce").std())
    noise = rng.normal(0, 1, len(values)) * amount * (scale if np.isfinite(scale) else 0.0)
    if types.is_integer_dtype(values):
        return _shifted(values, noise.round())
    return (values + noise).astype(values.dtype)


def _shifted(values: pd.Series, by: Floats) -> pd.Series:
    """Whole numbers moved by whole numbers, as far as their type goes and no further.

    The steps are cut rather than the sums, so that large numbers keep their digits.
    """
    import pandas as pd

    kind: Any = getattr(values.dtype, "numpy_dtype", values.dtype)
    plain = values.fillna(0).to_numpy(dtype=kind)
    lowest, highest = np.iinfo(kind).min, np.iinfo(kind).max
    step = np.clip(by, lowest - plain.astype(float), highest - plain.astype(float))
    moved = plain + step.astype(np.int64).astype(kind)
    return pd.Series(moved, index=values.index).astype(values.dtype).where(values.notna())


def _swapped(
    values: pd.Series, known: pd.Series, amount: float, rng: np.random.Generator
) -> pd.Series:
    """With the probability `amount`, a value from another row of training."""
    import pandas as pd

    pool = known.dropna()
    if not len(pool):
        return values
    other = pd.Series(
        pool.astype(object).to_numpy()[rng.integers(len(pool), size=len(values))],
        index=values.index,
    )
    swap = pd.Series(rng.random(len(values)) < amount, index=values.index) & values.notna()
    if isinstance(values.dtype, pd.CategoricalDtype):
        swap &= other.isin(values.cat.categories)
    return values.astype(object).where(~swap, other).astype(values.dtype)
