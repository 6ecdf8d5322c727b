"""Whether more of a metric is better: known for its name, or assumed from it and said so."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlops_magics import plugins

#: What people put before or behind a metric's name to say on what it was measured.
_WHERE = re.compile(
    r"^(?:train|training|val|valid|validation|test|eval|cv|oof|mean|avg|best|final|last)[_./:-]"
    r"|[_./:-](?:train|training|val|valid|validation|test|eval|cv|oof|mean|avg|best|final|last)$"
)
#: Words of which less is better, whatever is measured.
_LESS = re.compile(
    r"(?:^|[_./:-])(?:loss|error|err|deviance|perplexity|logloss|l1|l2|latency|time|duration|"
    r"seconds|ms|cost|lost|energy|memory|bytes|size|rmse|mae|mse|mape|rmsle)(?:$|[_./:-])"
)


@dataclass(frozen=True)
class Direction:
    """Which way is better, and, where that is not known from the name, why it is assumed.

    Attributes
    ----------
    assumed : str
        One clause; empty where it is known.
    """

    greater_is_better: bool
    assumed: str = ""


def of(name: str) -> Direction:
    """The direction of a metric by its name.

    ``val_rmse`` is known as `rmse` is; a name that is no metric's is assumed to be a loss if it
    has a word for one, and a score otherwise.
    """
    from mlops_magics.goals import metrics  # which needs numpy

    plain = name.lower()
    while True:
        if plain in plugins.names("metric"):
            return Direction(metrics.find(plain).greater_is_better)
        shorter = _WHERE.sub("", plain)
        if shorter == plain:
            break
        plain = shorter
    if plain.startswith("neg_"):  # scikit-learn's scorers of losses
        return Direction(True)
    return of_word(name)


def of_word(name: str) -> Direction:
    """What is assumed of a name that is no metric's."""
    if _LESS.search(name.lower()):
        return Direction(False, f"less {name} is taken to be better, from its name")
    return Direction(True, f"more {name} is taken to be better")
