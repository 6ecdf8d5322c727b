"""Whether a graph answers as its model does: on all rows, and where they differ most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_magics.flavors.onnx.fields import Field, feeds

if TYPE_CHECKING:
    from mlops_magics.flavors.onnx.converting import Converted
    from mlops_magics.flavors.predictors import Predictor

#: How far a probability may be from the model's, and a number relative to its size (at least 1).
TOLERANCE = 1e-5
#: How many rows are shown that differ most.
WORST = 5
#: Rows that a graph is asked at once.
_ROWS = 8192


@dataclass(frozen=True)
class Parity:
    """How a graph's answers compare with its model's.

    Attributes
    ----------
    rows : int
        How many were compared.
    labels_equal : float or None
        The share of equal labels; ``None`` for a regression.
    largest, mean : float
        Difference of the probabilities, or of the numbers relative to their size.
    worst : tuple
        The rows that differ most: their label in the data, the model's and the graph's answer.
    """

    rows: int
    labels_equal: float | None
    largest: float
    mean: float
    worst: tuple[tuple[str, Any, Any], ...] = ()

    def within(self, tolerance: float = TOLERANCE) -> bool:
        """Whether all labels are equal and no difference is larger than that."""
        return self.labels_equal in (None, 1.0) and self.largest <= tolerance


def compare(predictor: Predictor, converted: Converted, session: Any, data: Any) -> Parity:
    """Ask both the same rows.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        Of the graph: as it was converted, or quantised.
    data : DataFrame or array
        As the model takes it.
    """
    return judged(predictor.answers(data), converted, session, data)


def judged(
    answers: tuple[np.ndarray, np.ndarray | None], converted: Converted, session: Any, data: Any
) -> Parity:
    """The same, where the model's answers are known: a prediction a row, and scores."""
    expected, scores = np.asarray(answers[0]), answers[1]
    got = ask(session, converted.inputs, converted.outputs, data)
    if converted.task == "regression":
        answer = got["prediction"]
        numbers = expected.astype(float).reshape(-1)
        apart = np.abs(answer - numbers) / np.maximum(np.abs(numbers), 1.0)
        same, shown = None, (numbers.tolist(), answer.tolist())
    else:
        labels = got["label"]
        equal = np.array([a == b for a, b in zip(expected.tolist(), labels.tolist(), strict=True)])
        chances = scores if "probabilities" in got else None
        if chances is None:
            apart = np.zeros(len(equal))
            shown = (expected.tolist(), labels.tolist())
        else:
            apart = np.abs(np.asarray(chances, dtype=float) - got["probabilities"]).max(axis=1)
            shown = (_told(expected, chances), _told(labels, got["probabilities"]))
        same = float(equal.mean())
    apart = np.where(np.isfinite(apart), apart, np.inf)
    # Another label is worse than any distance.
    rank = apart if same is None else np.where(equal, apart, 2 + apart)
    first = np.argsort(-rank, kind="stable")[:WORST]
    names = data.index.tolist() if hasattr(data, "index") else list(range(len(expected)))
    worst = tuple((str(names[i]), shown[0][i], shown[1][i]) for i in first if rank[i] > 0)
    return Parity(len(expected), same, float(apart.max()), float(apart.mean()), worst)


def _told(labels: Any, chances: Any) -> list[str]:
    """An answer in words: the label and its probabilities."""
    return [
        f"{label} ({', '.join(f'{c:.6g}' for c in row)})"
        for label, row in zip(labels.tolist(), np.asarray(chances).tolist(), strict=True)
    ]


def ask(
    session: Any, inputs: Sequence[Field], outputs: Sequence[str], data: Any
) -> dict[str, np.ndarray]:
    """A graph's answers, part by part."""
    parts = []
    for start in range(0, len(data), _ROWS):
        part = data[start : start + _ROWS]
        parts.append(session.run(list(outputs), feeds(part, inputs)))
    return {name: np.concatenate(found) for name, *found in zip(outputs, *parts, strict=True)}
