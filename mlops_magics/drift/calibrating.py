"""What a model's scores say, put right on rows whose truth is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: As many parts, each of a tenth of the rows, in which it is tried whether calibration helps.
SPLITS = 10
#: Bins of the calibration error, each with the same number of rows.
BINS = 10
#: Of the parts: NannyML's, so that both decide alike.
_SEED = 42


class Isotonic:
    """The share of rows that are of a class as a function of their score, which never falls.

    Least squares under that condition, by pooling adjacent violators, and straight lines between
    the scores that were seen; beyond them the outermost value holds. As scikit-learn's
    ``IsotonicRegression(out_of_bounds="clip")`` has it. Zadrozny and Elkan (2002), *Transforming
    classifier scores into accurate multiclass probability estimates*, KDD.

    Parameters
    ----------
    scores, truth : array of shape (m,)
        The score of each row, and whether it is of the class.
    """

    def __init__(self, scores: Floats, truth: NDArray[np.bool_]) -> None:
        self._scores, self._place = np.unique(scores, return_inverse=True)
        self._truth = truth.astype(float)

    def __call__(self, scores: Floats, weights: Floats | None = None) -> Floats:
        """Probabilities for scores, fitted with `weights` of shape (m,), 1 each by default."""
        from scipy.optimize import isotonic_regression

        counted = np.ones(len(self._truth)) if weights is None else weights
        seen = np.bincount(self._place, counted, minlength=len(self._scores))
        hits = np.bincount(self._place, counted * self._truth, minlength=len(self._scores))
        known = seen > 0
        seen, hits = seen[known], hits[known]
        fitted = isotonic_regression(hits / seen, weights=seen).x
        return np.asarray(np.interp(scores, self._scores[known], fitted))


def helps(scores: Floats, truth: NDArray[np.bool_]) -> bool:
    """Whether isotonic calibration lessens the calibration error on rows it was not fitted on.

    As NannyML's CBPE decides it: ten times a tenth of the rows is kept apart, by class, and the
    calibration error of all those, calibrated and not, is compared. Nothing is to be gained where
    there is one class only, or the classes are told apart all but always.
    """
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedShuffleSplit

    if truth.all() or not truth.any() or roc_auc_score(truth, scores) > 0.999:
        return False
    kept: list[tuple[Floats, Floats, NDArray[np.bool_]]] = []
    parts = StratifiedShuffleSplit(n_splits=SPLITS, test_size=0.1, random_state=_SEED)
    for learned, apart in parts.split(scores.reshape(-1, 1), truth):
        fitted = Isotonic(scores[learned], truth[learned])
        kept.append((scores[apart], fitted(scores[apart]), truth[apart]))
    before, after, true = (np.concatenate(column) for column in zip(*kept, strict=True))
    return error(before, true) > error(after, true)


def error(said: Floats, truth: NDArray[np.bool_]) -> float:
    """Expected calibration error: Σ over bins of their share of rows · |said − observed|.

    Naeini, Cooper and Hauskrecht (2015), *Obtaining well calibrated probabilities using Bayesian
    binning*, AAAI; here with bins of equal mass.
    """
    order = np.argsort(said, kind="stable")
    off = np.array_split((said - truth)[order], BINS)
    return float(sum(abs(part.sum()) for part in off) / len(said))
