"""Linear models: a column contributes its weight times its distance from the average.

That is the exact Shapley value of a model that adds up its columns (Štrumbelj, E. and Kononenko,
I., 2014, section 3), so nothing is drawn and nothing else is needed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlops_magics.explanations.parts import Parts
from mlops_magics.goals.samples import Floats


def weights(estimator: Any) -> tuple[Floats, Floats] | None:
    """Coefficients (outputs, columns) and intercepts (outputs,) of a fitted linear model.

    ``None`` where it has none. That its answers are made of them is for the caller to find out.
    """
    coefficients = getattr(estimator, "coef_", None)
    intercept = getattr(estimator, "intercept_", None)
    if coefficients is None or intercept is None:
        return None
    dense = coefficients.toarray() if hasattr(coefficients, "toarray") else coefficients
    try:
        found = np.atleast_2d(np.asarray(dense, dtype=float))
        start = np.broadcast_to(np.asarray(intercept, dtype=float).reshape(-1), len(found))
    except (TypeError, ValueError):  # of an ensemble of linear models, say
        return None
    return found, start


def parts(estimator: Any, rows: Floats, reference: Floats) -> Parts | None:
    """What the rows' answers add up from, starting at the average of the reference rows."""
    found = weights(estimator)
    if found is None or found[0].shape[1] != rows.shape[1]:
        return None
    coefficients, intercept = found
    average = reference.mean(axis=0)
    apart = rows - average
    return Parts(
        base=coefficients @ average + intercept,
        sums=rows @ coefficients.T + intercept,
        of=lambda output: apart * coefficients[output],
    )
