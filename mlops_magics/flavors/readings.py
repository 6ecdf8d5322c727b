"""Models that answer with bare numbers, and how these numbers are read.

A network, or a booster with an objective of the user's, gives one number or several a row. What
they mean (a regression's value, a probability, a logit; of which classes) stands in the model
only in part. The rest is found out once, on rows with known truth, and kept with the model.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlops_magics.errors import BadData
from mlops_magics.flavors import plain
from mlops_magics.flavors.base import NOTHING, Flavor
from mlops_magics.flavors.predictors import Inside, Predictor

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mlops_magics.flavors.folder import ModelFolder

TASK, CLASSES, OUTPUTS = "mlops.task", "mlops.classes", "mlops.outputs"


class RawFlavor(Flavor):
    """A flavor whose models answer with numbers, rows × width."""

    @abstractmethod
    def raw(self, obj: Any, X: Any) -> np.ndarray:
        """The numbers, (n,) or (n, width)."""

    def outputs(self, obj: Any) -> str:
        """``probabilities``, ``logits``, ``values``, or ``margins``, of which the sign counts.

        Empty where the model does not say.
        """
        return ""

    def task(self, obj: Any) -> str:
        """What the model's attribute ``task`` says; empty without one."""
        return plain.said(obj)

    def classes(self, obj: Any) -> tuple[Any, ...] | None:
        """What the model's attribute ``classes_`` says."""
        found = getattr(obj, "classes_", None)
        if found is None:
            return None
        return tuple(found.tolist() if hasattr(found, "tolist") else found)

    def observe(self, obj: Any, X: Any, y: Any) -> dict[str, Any]:
        """Task, classes and kind of output, by the model where it says them, else by the truth."""
        task = self.task(obj) or plain.task_of(y)
        if task != "classification":
            return {TASK: task, OUTPUTS: "values"}
        numbers = plain.column(self.raw(obj, X))
        classes = self.classes(obj) or _classes(numbers, y)
        outputs = self.outputs(obj) or ("probabilities" if _probable(numbers) else "logits")
        return {TASK: task, CLASSES: list(classes), OUTPUTS: outputs}

    def predictor(
        self, obj: Any, facts: Mapping[str, Any] = NOTHING, folder: ModelFolder | None = None
    ) -> Predictor:
        """The model with its numbers read."""
        return Reading(obj, self, facts, folder)

    def predict(self, obj: Any, X: Any) -> np.ndarray:
        """Read by what the model itself says."""
        return self.predictor(obj).predict(X)

    def probabilities(self, obj: Any, X: Any) -> np.ndarray | None:
        """Read by what the model itself says."""
        return self.predictor(obj).predict_proba(X)


class Reading(Predictor):
    """A model whose numbers are read by what is known of them."""

    def __init__(
        self,
        model: Any,
        flavor: RawFlavor,
        facts: Mapping[str, Any],
        folder: ModelFolder | None = None,
    ) -> None:
        self.model = model
        self.by = flavor
        self.flavor = flavor.name
        self.task = str(facts.get(TASK) or flavor.task(model) or "none")
        self.outputs = str(facts.get(OUTPUTS) or flavor.outputs(model) or "logits")
        classes = facts.get(CLASSES) or flavor.classes(model)
        if self.task == "classification" and classes is not None:
            self.classes = tuple(classes)
        self.has_probabilities = self.classes is not None and self.outputs != "margins"
        self.description = flavor.describe(model)
        if folder is not None:
            self.columns = folder.inputs
            self.parameters = folder.parameters
            self.output = folder.output

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """The most probable class, or the number."""
        import numpy as np

        if (chances := self.predict_proba(frame)) is not None:
            return np.asarray(np.asarray(self.classes)[chances.argmax(axis=1)])
        numbers = plain.column(self.by.raw(self.model, frame))
        if self.classes is None:
            return numbers
        return np.asarray(np.asarray(self.classes)[1 * (numbers > 0)])

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray | None:
        """Probabilities, rows × `classes`."""
        import numpy as np

        if not self.has_probabilities:
            return None
        numbers = plain.column(self.by.raw(self.model, frame)).astype(float)
        if numbers.ndim == 2:
            return numbers if self.outputs == "probabilities" else _softmax(numbers)
        second = numbers if self.outputs == "probabilities" else 1 / (1 + np.exp(-numbers))
        return np.column_stack([1 - second, second])

    def scores(self, frame: pd.DataFrame) -> np.ndarray | None:
        """Probabilities; of margins themselves."""
        if self.classes is None or self.has_probabilities:
            return self.predict_proba(frame)
        return plain.column(self.by.raw(self.model, frame))

    def inside(self) -> Inside | None:
        """What learned in it."""
        return self.by.inside(self.model)


def _classes(numbers: np.ndarray, y: Any) -> tuple[Any, ...]:
    """The classes that columns of numbers stand for, counted as frameworks count: 0, 1, 2…"""
    known = plain.classes_of(y)
    width = 2 if numbers.ndim == 1 else numbers.shape[1]
    counted = tuple(range(width))
    if set(known) <= set(counted):  # True is 1, and 1.0 is 1
        return (False, True) if any(isinstance(k, bool) for k in known) else counted
    raise BadData(
        f"It is not known which of the classes {', '.join(map(repr, known[:5]))} the model's "
        f"answers (shape {numbers.shape}) stand for.",
        "Give it an attribute classes_ with the classes in the order of its outputs.",
    )


def _probable(numbers: np.ndarray) -> bool:
    """Whether numbers are probabilities already: of the second class, or of all classes."""
    import numpy as np

    if not len(numbers) or numbers.min() < 0 or numbers.max() > 1:
        return False
    return numbers.ndim == 1 or bool(np.allclose(numbers.sum(axis=1), 1, atol=1e-3))


def _softmax(numbers: np.ndarray) -> np.ndarray:
    import numpy as np

    powers = np.exp(numbers - numbers.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
