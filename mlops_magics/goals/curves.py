"""Curves of a model's answers to unseen rows, small enough to keep with every run.

They are thinned to what a picture can show, never smoothed: each point kept is a point of the
full curve. With fewer points than that, they are scikit-learn's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mlops_magics.goals.samples import (
    Array,
    Floats,
    Sample,
    Task,
    missing,
    probable,
    sample,
)

#: Points of a curve that are kept at most.
POINTS = 200
#: Rows whose residuals are kept one by one at most.
RESIDUALS = 300
#: Bins of the calibration, each with the same number of rows as far as ties allow.
BINS = 10


def curves(
    task: Task,
    y_true: ArrayLike,
    predictions: ArrayLike,
    scores: ArrayLike | None = None,
    classes: ArrayLike | None = None,
    positive: Any = None,
) -> dict[str, Any]:
    """The curves that there are for these answers, in plain JSON types.

    Parameters
    ----------
    scores, classes
        As ``predict_proba`` (or ``decision_function``) and ``classes_`` give them.

    Returns
    -------
    dict
        ``rows``, and as far as they are defined

        - ``roc``: ``[false positive rate, true positive rate]``, both ascending; with more than
          two classes the mean over the classes, each against the rest;
        - ``precision_recall`` (two classes): ``[recall, precision]``, recall ascending;
        - ``calibration`` (probabilities): ``[mean predicted, observed share, rows]`` a bin; with
          more than two classes, of the predicted class's probability and how often it is right;
        - ``residuals`` (regression): ``sample``, pairs of predicted and residual (truth less
          predicted) of rows evenly spread over the order of the predictions, and ``quantiles``,
          pairs of share of rows and residual.
    """
    return of_sample(sample(task, y_true, predictions, scores, classes, positive))


def of_sample(rows: Sample) -> dict[str, Any]:
    """The curves of answers that are a sample already; as `curves`."""
    rows = rows.take(~missing(rows.y_true))
    found: dict[str, Any] = {"rows": rows.rows}
    if rows.problem():
        return found
    if rows.task == "regression":
        return found | {"residuals": _residuals(rows)}
    if rows.scores is None or rows.classes is None:
        return found
    if rows.scores.ndim == 1:
        return found | _of_two(rows.y_true == rows.positive, rows.scores)
    return found | _of_many(rows.y_true, rows.scores, rows.classes)


def _of_two(truth: Array, scores: Floats) -> dict[str, Any]:
    found: dict[str, Any] = {}
    hits, misses = _counts(truth, scores)
    if hits[-1] and misses[-1]:
        found["roc"] = _plain(_thin(_roc(hits, misses)))
    if hits[-1]:
        recall, precision = hits[1:] / hits[-1], hits[1:] / (hits[1:] + misses[1:])
        whole = np.column_stack([np.append(0.0, recall), np.append(1.0, precision)])
        found["precision_recall"] = _plain(_thin(whole))
    if probable(scores):
        found["calibration"] = _calibration(truth, scores)
    return found


def _of_many(truth: Array, scores: Floats, classes: Array) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if scores.shape[1] != len(classes):
        return found
    grid = np.linspace(0, 1, POINTS // 2 + 1)
    each = []
    for column, kind in zip(scores.T, classes, strict=True):
        hits, misses = _counts(truth == kind, column)
        if hits[-1] and misses[-1]:
            each.append(np.interp(grid, *_roc(hits, misses).T))
    if each:
        start = np.zeros((1, 2))
        mean = np.column_stack([grid, np.mean(each, axis=0)])
        found["roc"] = _plain(np.concatenate([start, mean]))
    if probable(scores.ravel()):
        right = classes[scores.argmax(axis=1)] == truth
        found["calibration"] = _calibration(right, scores.max(axis=1))
    return found


def _counts(truth: Array, scores: Floats) -> tuple[Floats, Floats]:
    """Positives and negatives at or above each distinct score, from the highest; 0 before it."""
    order = np.argsort(-scores, kind="stable")
    ordered, hit = scores[order], truth[order]
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    hits = np.cumsum(hit)[last]
    return np.append(0.0, hits), np.append(0.0, last + 1 - hits)


def _roc(hits: Floats, misses: Floats) -> Floats:
    return np.column_stack([misses / misses[-1], hits / hits[-1]])


def _thin(points: Floats) -> Floats:
    """At most `POINTS` of the points: the ends of each of so many pieces of equal length.

    So both ends of every longer step are kept, and what is left out lies within a piece.
    """
    if len(points) <= POINTS:
        return points
    walked = np.append(0.0, np.abs(np.diff(points, axis=0)).sum(axis=1).cumsum())
    pieces = POINTS // 2
    piece = np.minimum((walked / walked[-1] * pieces).astype(int), pieces - 1)
    enters = np.flatnonzero(np.diff(piece))
    kept = np.unique(np.concatenate([[0], enters, enters + 1, [len(points) - 1]]))
    thinned: Floats = points[kept]
    return thinned


def _calibration(truth: Array, scores: Floats) -> list[list[float]]:
    """As scikit-learn's ``calibration_curve(strategy="quantile")``, with the rows of each bin."""
    edges = np.percentile(scores, np.linspace(0, 100, BINS + 1))
    at = np.searchsorted(edges[1:-1], scores)
    count = np.bincount(at, minlength=BINS)
    used = count > 0
    predicted = np.bincount(at, weights=scores, minlength=BINS)[used] / count[used]
    observed = np.bincount(at, weights=truth, minlength=BINS)[used] / count[used]
    return [
        [*pair, int(n)]
        for pair, n in zip(_plain(np.column_stack([predicted, observed])), count[used], strict=True)
    ]


def _residuals(rows: Sample) -> dict[str, Any]:
    order = np.argsort(rows.predictions, kind="stable")
    predicted = rows.predictions[order]
    residual = rows.y_true[order] - predicted
    chosen = np.unique(np.linspace(0, rows.rows - 1, RESIDUALS).round().astype(int))
    shares = np.linspace(0, 1, 51)
    return {
        "sample": _plain(np.column_stack([predicted, residual])[chosen]),
        "quantiles": _plain(np.column_stack([shares, np.quantile(residual, shares)])),
    }


def _plain(points: Floats) -> list[list[float]]:
    """To six significant digits: a file of numbers that nobody can see is long."""
    return [[float(f"{value:.6g}") for value in point] for point in points]
