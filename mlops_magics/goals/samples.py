"""What a metric is computed from: the truth, and what a model said of the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import pandas as pd

Task = Literal["classification", "regression"]
#: One array of any dtype; an alias because every second line needs it.
Array = NDArray[Any]
Floats = NDArray[np.float64]


class Undefined(ValueError):  # no failure of the program: a fact about the data
    """A metric has no value on this data; the message says why, in words."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A model's answers to rows whose truth is known.

    Attributes
    ----------
    y_true : array of shape (n,)
    predictions : array of shape (n,)
        Classes, or numbers in a regression.
    scores : array of shape (n,) or (n, k), or None
        Probability of the positive class of two; of each of `classes` when there are more.
    classes : array of shape (k,) or None
        In the order of the columns of `scores`; ``None`` in a regression.
    positive : object
        Of two classes, the one that counts as positive; ``None`` otherwise.
    features : DataFrame or None
        The columns of the same rows; only for a metric that `uses_features`, as taking rows of a
        frame again and again costs time.
    """

    y_true: Array
    predictions: Array
    scores: Floats | None = None
    classes: Array | None = None
    positive: Any = None
    features: pd.DataFrame | None = None

    @property
    def rows(self) -> int:
        """How many rows."""
        return len(self.y_true)

    @property
    def task(self) -> Task:
        """``classification`` or ``regression``."""
        return "regression" if self.classes is None else "classification"

    @property
    def strata(self) -> Array | None:
        """What resampling keeps the shares of: the true classes."""
        return None if self.classes is None else self.y_true

    def take(self, rows: Array) -> Sample:
        """Some of the rows, by index or by mask."""
        return replace(
            self,
            y_true=self.y_true[rows],
            predictions=self.predictions[rows],
            scores=None if self.scores is None else self.scores[rows],
            features=None if self.features is None else self.features.iloc[rows],
        )

    def problem(self) -> str:
        """Why nothing can be measured here; empty when something can."""
        if self.rows == 0:
            return "there are no rows"
        bad = int(missing(self.predictions).sum())
        if bad:
            return f"{bad} of {self.rows} predictions are missing (NaN)"
        if self.task == "regression":
            infinite = int(np.isinf(np.asarray(self.predictions, dtype=float)).sum())
            return f"{infinite} of {self.rows} predictions are infinite" if infinite else ""
        if self.scores is not None and not np.isfinite(self.scores).all():
            return "some of the predicted probabilities are missing (NaN)"
        return ""


def sample(
    task: Task,
    y_true: ArrayLike,
    predictions: ArrayLike,
    scores: ArrayLike | None = None,
    classes: ArrayLike | None = None,
    positive: Any = None,
) -> Sample:
    """Bring truth and answers into one form.

    Parameters
    ----------
    scores : array of shape (n,) or (n, k), optional
        As ``predict_proba`` gives it (of two columns that of the positive class is kept), or as
        ``decision_function`` does: one column is that of the last class, as scikit-learn has it.
    classes : array of shape (k,), optional
        The classes the model knows; those seen in `y_true` and `predictions` by default.
    positive : object, optional
        With two classes, the one that counts as positive; the last one by default, as
        scikit-learn has it.
    """
    truth, said = _flat(y_true), _flat(predictions)
    if task == "regression":
        return Sample(y_true=truth.astype(float), predictions=said.astype(float))
    known = distinct(truth, said) if classes is None else _flat(classes)
    chosen = known[-1] if positive is None and 0 < len(known) <= 2 else positive
    if len(known) > 2:
        chosen = None
    elif len(known):
        chosen = same_value(chosen, known)
    given = None if scores is None else np.asarray(scores, dtype=float)
    if given is not None and len(known) <= 2:
        given = _of_positive(given, known, chosen)
    return Sample(y_true=truth, predictions=said, scores=given, classes=known, positive=chosen)


def _of_positive(scores: Floats, known: Array, positive: Any) -> Floats:
    at = int(np.flatnonzero(known == positive)[0]) if (known == positive).any() else -1
    if scores.ndim == 2 and scores.shape[1] == 2:
        return scores[:, at]
    column = scores.reshape(-1)
    if at != 0 or len(known) < 2:
        return column
    return 1 - column if probable(column) else -column


def shown(value: Any) -> str:
    """A class as it is written: ``'bad'``, ``1`` (and not ``np.int64(1)``)."""
    return repr(value.item() if isinstance(value, np.generic) else value)


def probable(scores: Floats) -> bool:
    """Whether the scores can be probabilities."""
    return not len(scores) or bool(scores.min() >= 0 and scores.max() <= 1)


def _flat(values: ArrayLike) -> Array:
    array = np.asarray(values)
    if array.dtype.kind == "U":  # one representation for text, so that "==" never surprises
        array = array.astype(object)
    return array.reshape(-1)


def same_value(wanted: Any, known: Array) -> Any:
    """The member of `known` that `wanted` means: ``"1"`` and ``1.0`` mean the class ``1``."""
    for value in known:
        if value == wanted:
            return value
    for value in known:
        if str(value) == str(wanted) or (
            isinstance(wanted, float) and wanted.is_integer() and str(value) == str(int(wanted))
        ):
            return value
    return wanted


def missing(values: Array) -> NDArray[np.bool_]:
    """Which values are NaN, ``None`` or NaT, whatever the dtype."""
    if values.dtype.kind == "f":
        return np.isnan(values)
    if values.dtype.kind in "iub":
        return np.zeros(len(values), dtype=bool)
    import pandas as pd

    return np.asarray(pd.isna(values), dtype=bool)


def distinct(*arrays: Array) -> Array:
    """The distinct values of several arrays, sorted (by their text where types are mixed)."""
    import pandas as pd

    values: Sequence[Any] = pd.unique(np.concatenate([a.astype(object) for a in arrays])).tolist()
    present = [v for v in values if v is not None and v == v]
    try:
        ordered = sorted(present)
    except TypeError:
        ordered = sorted(present, key=str)
    kinds = {type(v) for v in ordered}
    return np.asarray(ordered, dtype=None if kinds <= {int, float, bool} else object)
