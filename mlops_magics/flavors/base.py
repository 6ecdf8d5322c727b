"""What a flavor and a loaded model can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pandas as pd

    from mlops_magics.flavors.folder import ModelFolder


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


class Predictor(ABC):
    """A loaded model, whatever it was made with.

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
    """

    flavor: str = ""
    task: str = "none"
    classes: tuple[Any, ...] | None = None
    columns: tuple[Input, ...] = ()
    parameters: tuple[Param, ...] = ()
    output: str = ""
    description: str = ""

    @abstractmethod
    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """One prediction a row."""

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray | None:
        """Probabilities, rows × `classes`; ``None`` for a model that has none."""
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


class Reader(ABC):
    """How saved models of one kind are loaded.

    Attributes
    ----------
    name : str
        The entry point's name.
    """

    name: ClassVar[str]

    @abstractmethod
    def opens(self, folder: ModelFolder) -> bool:
        """Whether it loads models from a folder like this."""

    @abstractmethod
    def load(self, path: Path, folder: ModelFolder) -> Predictor:
        """Load a model from a folder whose digest the caller has checked."""


class Flavor(Reader):
    """How the models of one framework are handled, live and saved.

    Attributes
    ----------
    mlflow_flavor : str
        The module of MLflow that saves such a model, ``mlflow.<mlflow_flavor>``.
    """

    mlflow_flavor: ClassVar[str]

    @abstractmethod
    def recognises(self, obj: Any) -> bool:
        """Whether `obj` is a model of this framework, found without importing the framework."""

    @abstractmethod
    def is_fitted(self, obj: Any) -> bool:
        """Whether the model has learned something."""

    @abstractmethod
    def task(self, obj: Any) -> str:
        """``classification``, ``regression`` or ``none``."""

    @abstractmethod
    def params(self, obj: Any) -> dict[str, Any]:
        """The hyperparameters by name: flat, JSON-ready, of bounded length."""

    @abstractmethod
    def describe(self, obj: Any) -> str:
        """A short name for people: ``LogisticRegression in a Pipeline``."""

    def scores(self, obj: Any, X: Any) -> Any | None:
        """Probabilities of the classes, rows × classes; ``None`` where there are none."""
        return None

    @abstractmethod
    def save_options(self, obj: Any) -> dict[str, Any]:
        """Keyword arguments for ``mlflow.<mlflow_flavor>.log_model`` and ``save_model``."""

    @abstractmethod
    def packages(self, obj: Any) -> list[str]:
        """What the model needs to run, as ``name==version``, sorted."""
