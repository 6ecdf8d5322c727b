"""The model that knows nothing: what any model must at least beat."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from mlops_magics.goals.samples import Sample, sample


def knowing_nothing(rows: Sample, y_train: ArrayLike) -> Sample:
    """Answers to the rows of `rows` by a model that saw only the targets of the training rows.

    It gives the class that is most frequent there, with the shares of the classes as
    probabilities, or the mean (scikit-learn's dummies with ``strategy="prior"`` and ``"mean"``).
    """
    seen = pd.Series(np.asarray(y_train)).dropna()
    if rows.classes is None:
        return sample("regression", rows.y_true, np.full(rows.rows, seen.astype(float).mean()))
    shares = np.array([float((seen == value).mean()) for value in rows.classes])
    guess = rows.classes[int(shares.argmax())]
    return sample(
        "classification",
        rows.y_true,
        np.full(rows.rows, guess, dtype=rows.classes.dtype),
        np.tile(shares, (rows.rows, 1)),
        rows.classes,
        rows.positive,
    )
