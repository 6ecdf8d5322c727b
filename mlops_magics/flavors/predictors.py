"""What a model that answers can do, and what goes into it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a model's signature.

    Attributes
    ----------
    name : str or None
        The column; ``None`` where the signature names none.
    type : str
        MLflow's name of a column's type (``long``, ``double``, ``string``…), or for a tensor
        numpy's name of its dtype.
    required : bool
        Whether the data that the signature was taken from had a value in every row.
    shape : tuple of int or None
        A tensor's shape, -1 where it may vary; ``None`` for a column.
    """

    name: str | None
    type: str
    required: bool = True
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter that a request may pass to the model, and its default."""

    name: str
    type: str
    default: Any = None


@dataclass(frozen=True, slots=True)
class Inside:
    """What is found in a model by whoever looks how it comes to its answers.

    Attributes
    ----------
    estimator : object
        What learned, of whatever framework.
    transform : callable
        Rows as the model takes them → what the estimator is given: steps of a pipeline.
    """

    estimator: Any
    transform: Callable[[Any], Any]


class Predictor(ABC):
    """A model that answers, whatever it was made with, in memory or loaded.

    Attributes
    ----------
    flavor, task : str
        The flavor that loaded it; ``classification``, ``regression`` or ``none``.
    classes : tuple or None
        A classifier's classes, in the order of the probabilities' columns.
    columns : tuple of Input
        What the signature says goes in; empty when there is no signature.
    parameters : tuple of Param
        What the signature lets a request set.
    output : str
        What the signature says comes out; empty when it does not.
    description : str
        A short name for people.
    has_probabilities : bool
        Whether `predict_proba` has an answer.
    """

    flavor: str = ""
    task: str = "none"
    classes: tuple[Any, ...] | None = None
    columns: tuple[Input, ...] = ()
    parameters: tuple[Param, ...] = ()
    output: str = ""
    description: str = ""
    has_probabilities: bool = False

    @abstractmethod
    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """One prediction a row: a classifier's class, a regression's number."""

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray | None:
        """Probabilities, rows × `classes`; ``None`` for a model that has none."""
        return None

    def scores(self, frame: pd.DataFrame) -> np.ndarray | None:
        """What ranks the rows: probabilities, or else a decision function; ``None`` for neither."""
        return self.predict_proba(frame)

    def answers(self, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray | None]:
        """`predict` and `scores` of the same rows, without doing twice what both need."""
        return self.predict(frame), self.scores(frame)

    def inside(self) -> Inside | None:
        """What learned, and what it is given; ``None`` for a model that only answers."""
        return None

    def answer(self, data: Any, params: Mapping[str, Any]) -> Any:
        """What the model itself returns, for a server that passes it on as it is.

        Parameters
        ----------
        data : DataFrame, array or mapping
            As the signature asks for it.
        params : mapping
            Values for `parameters`; empty for most models.
        """
        return self.predict(data)
