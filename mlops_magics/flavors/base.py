"""What a flavor can do."""

from __future__ import annotations

import importlib.util
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from mlops_magics.errors import MissingExtra, MlopsError
from mlops_magics.flavors.predictors import Inside, Predictor

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pandas as pd

    from mlops_magics.flavors.folder import ModelFolder


#: Takes a metric's name, its value and the iteration (from 0, or from 1 as the framework counts).
Report = Callable[[str, float, int], None]

NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Saving:
    """How MLflow is to save a model.

    Attributes
    ----------
    module : str
        The module of MLflow that saves it: ``mlflow.<module>.log_model`` and ``save_model``.
    arguments : mapping
        What is passed to it: the model itself under the name that the module wants, and options.
    newer : mapping
        Arguments that only newer versions of MLflow know, and older ones do without.
    metadata : mapping
        What is kept in the model's ``MLmodel`` file. Of ``mlops.cloudpickle_because`` the user is
        told: the reason why a safer format could not be used.
    signs : bool
        Whether it takes a signature with names of columns; else that is added afterwards.
    """

    module: str
    arguments: Mapping[str, Any]
    newer: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    signs: bool = True


class Reader(ABC):
    """How saved models of one kind are loaded.

    Attributes
    ----------
    name : str
        The entry point's name.
    breadth : int
        Who is asked first: 0 knows the models of one framework, 1 all that behave like them,
        2 anything.
    """

    name: ClassVar[str]
    breadth: ClassVar[int] = 0

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
        The flavor by which ``MLmodel`` names such a model; `opens` looks for it.
    needs : tuple of str
        The framework's module, the extra of this package that installs it, and its name.
    """

    mlflow_flavor: ClassVar[str]
    needs: ClassVar[tuple[str, str, str] | None] = None

    # A model in memory.

    @abstractmethod
    def recognises(self, obj: Any) -> bool:
        """Whether `obj` is a model of this framework, found without importing the framework."""

    @abstractmethod
    def is_fitted(self, obj: Any) -> bool:
        """Whether the model has learned something."""

    @abstractmethod
    def task(self, obj: Any) -> str:
        """``classification``, ``regression`` or ``none``; empty where the model does not say."""

    @abstractmethod
    def params(self, obj: Any) -> dict[str, Any]:
        """The hyperparameters by name: flat, JSON-ready, of bounded length."""

    @abstractmethod
    def describe(self, obj: Any) -> str:
        """A short name for people: ``LogisticRegression in a Pipeline``."""

    @abstractmethod
    def predict(self, obj: Any, X: Any) -> np.ndarray:
        """One prediction a row (n,), however the framework wants its input: class or number."""

    def probabilities(self, obj: Any, X: Any) -> np.ndarray | None:
        """Probabilities of the classes, rows × `classes`; ``None`` where there are none."""
        return None

    def scores(self, obj: Any, X: Any) -> np.ndarray | None:
        """What ranks the rows: `probabilities`, or else a decision function."""
        return self.probabilities(obj, X)

    def answers(self, obj: Any, X: Any) -> tuple[np.ndarray, np.ndarray | None]:
        """`predict` and `scores` of the same rows; a flavor may share what both need."""
        return self.predict(obj, X), self.scores(obj, X)

    def classes(self, obj: Any) -> tuple[Any, ...] | None:
        """A classifier's classes, in the order of the probabilities' columns."""
        return None

    def columns(self, obj: Any) -> tuple[str, ...]:
        """The names of the columns that the model was fitted on; empty when it knows none."""
        return ()

    def has_probabilities(self, obj: Any) -> bool:
        """Whether `probabilities` has an answer."""
        return self.classes(obj) is not None

    def parts(self, obj: Any) -> Iterator[Any]:
        """The models that it is made of: steps of a pipeline, what a wrapper holds."""
        yield from vars(obj).values() if hasattr(obj, "__dict__") else ()

    def inside(self, obj: Any) -> Inside | None:
        """What learned in the model, for whoever looks how it comes to its answers."""
        return None

    def observe(self, obj: Any, X: Any, y: Any) -> dict[str, Any]:
        """What must be known to read the model's answers and does not stand in the model.

        Found out on rows `X` with truth `y` that the model has not seen; kept with the model
        when it is saved, as ``mlops.…``, and given to `predictor` again when it is loaded.
        """
        return {}

    def predictor(
        self, obj: Any, facts: Mapping[str, Any] = NOTHING, folder: ModelFolder | None = None
    ) -> Predictor:
        """The model as a predictor; `facts` are what `observe` found out."""
        return ModelPredictor(obj, self, folder)

    # Its training.

    def watch(self, report: Report) -> AbstractContextManager[Any]:
        """While it is open, trainings of this framework report their metrics by iteration.

        It changes nothing about a training, and does not import the framework.
        """
        return nullcontext()

    def history(self, obj: Any) -> Iterator[tuple[str, float, int]]:
        """Metrics by iteration that the fitted model has kept: name, value, iteration."""
        yield from ()

    def evidence(self, obj: Any) -> dict[str, Any]:
        """Tables worth keeping with the run, as file name → columns (mapping of lists)."""
        return {}

    # At rest.

    @abstractmethod
    def saving(self, obj: Any, scratch: Path) -> Saving:
        """How MLflow is to save the model; files that it needs may be written to `scratch`."""

    @abstractmethod
    def packages(self, obj: Any) -> list[str]:
        """What the model needs to run, as ``name==version``, sorted."""

    @abstractmethod
    def read(self, path: Path, folder: ModelFolder) -> Any:
        """The model in a folder whose digest the caller has checked."""

    def opens(self, folder: ModelFolder) -> bool:
        """What this flavor of MLflow saved."""
        return self.mlflow_flavor in folder.flavors

    def load(self, path: Path, folder: ModelFolder) -> Predictor:
        """Load it, as a predictor."""
        return self.predictor(self.imported(path, folder), folder.metadata, folder)

    def imported(self, path: Path, folder: ModelFolder) -> Any:
        """`read` it, with the user's own modules that lie beside it; says what is missing.

        Raises
        ------
        MissingExtra
            If the framework is not installed.
        MlopsError
            If another module is not.
        """
        if self.needs and importlib.util.find_spec(self.needs[0]) is None:
            raise MissingExtra(self.needs[2], self.needs[1])
        if folder.code is not None:
            sys.path.insert(0, str(folder.code))
        try:
            return self.read(path, folder)
        except ModuleNotFoundError as error:
            raise MlopsError(
                f"The model needs the module {error.name!r}, which is not installed here.",
                "Install what its requirements.txt names.",
            ) from error


class ModelPredictor(Predictor):
    """A fitted model, asked through its flavor."""

    def __init__(self, model: Any, flavor: Flavor, folder: ModelFolder | None = None) -> None:
        self.model = model
        self.by = flavor
        self.flavor = flavor.name
        self.task = flavor.task(model)
        self.classes = flavor.classes(model)
        self.has_probabilities = flavor.has_probabilities(model)
        self.description = flavor.describe(model)
        if folder is not None:
            self.columns = folder.inputs
            self.parameters = folder.parameters
            self.output = folder.output

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """One prediction a row."""
        return self.by.predict(self.model, frame)

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray | None:
        """Probabilities, rows × `classes`."""
        return self.by.probabilities(self.model, frame)

    def scores(self, frame: pd.DataFrame) -> np.ndarray | None:
        """Probabilities, or a decision function."""
        return self.by.scores(self.model, frame)

    def answers(self, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray | None]:
        """Both at once."""
        return self.by.answers(self.model, frame)

    def inside(self) -> Inside | None:
        """What learned in it."""
        return self.by.inside(self.model)
