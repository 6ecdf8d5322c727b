"""What the flavors have in common: telling classes by name, and putting values in plain form."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

#: Longest shown value of a hyperparameter, in characters.
LONGEST = 250


def derives(obj: Any, module: str, name: str) -> bool:
    """Whether a class of that name, from that module or package, is among the object's classes.

    Told by name, so that the framework need not be imported.
    """
    return not isinstance(obj, type) and any(
        c.__name__ == name and f"{c.__module__}.".startswith(f"{module}.")
        for c in type(obj).__mro__
    )


def made_by(obj: Any, package: str) -> bool:
    """Whether the object's own class, not one of its parents, is the package's."""
    return type(obj).__module__.partition(".")[0] == package


def task_of(y: Any) -> str:
    """``classification`` or ``regression``, by what the truth holds; ``none`` without truth."""
    if y is None:
        return "none"
    import pandas as pd

    from mlops_magics.evidence import splitting

    return splitting.task(y if isinstance(y, pd.Series) else pd.Series(_flat(y)))


def classes_of(y: Any) -> tuple[Any, ...]:
    """The distinct values of the truth, sorted."""
    from mlops_magics.goals import samples

    return tuple(samples.distinct(_flat(y)).tolist())


def said(obj: Any) -> str:
    """The task that an object's attribute ``task`` names; empty when it names none."""
    named = getattr(obj, "task", "")
    return named if named in ("classification", "regression", "none") else ""


def column(values: Any) -> np.ndarray:
    """An array; of one column its values (n,)."""
    import numpy as np

    array = np.asarray(values)
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def rows(X: Any) -> Any:
    """Rows as everybody takes them: a tensor as an array, everything else as it is."""
    return X.detach().cpu().numpy() if hasattr(X, "detach") else X


def categorised(X: Any) -> Any:
    """Rows with text as categories, for models that were fitted on such: a server has text."""
    if not hasattr(X, "select_dtypes"):
        return X
    text = X.select_dtypes(include=["object", "string"]).columns
    return X.astype(dict.fromkeys(text, "category")) if len(text) else X


def truth(y: Any) -> Any:
    """The truth, one value a row: a column (n, 1) as its values, one-hot rows as their place."""
    y = rows(y)
    if getattr(y, "ndim", 1) != 2:
        return y
    import numpy as np

    array = np.asarray(y)
    if array.shape[1] == 1:
        return array[:, 0]
    one_hot = np.isin(array, (0, 1)).all() and (array.sum(axis=1) == 1).all()
    return array.argmax(axis=1) if one_hot else y


def _flat(values: Any) -> np.ndarray:
    import numpy as np

    return np.asarray(values).reshape(-1)


def attributes(obj: Any) -> dict[str, Any]:
    """The public attributes that are plain values."""
    return {
        name: value(found)
        for name, found in sorted(getattr(obj, "__dict__", {}).items())
        if not name.startswith("_") and isinstance(found, bool | int | float | str)
    }


def values(found: Mapping[str, Any]) -> dict[str, Any]:
    """Hyperparameters in plain form, sorted by name."""
    return {str(name): value(found[name]) for name in sorted(found, key=str)}


def value(found: Any) -> Any:
    """A hyperparameter as JSON has it: a number, truth value or text of bounded length."""
    if found is None or isinstance(found, bool | int | str):
        return found if not isinstance(found, str) else bounded(found)
    if isinstance(found, float):
        return found if math.isfinite(found) else str(found)
    if hasattr(found, "item") and getattr(found, "ndim", None) == 0:  # a numpy scalar
        return value(found.item())
    return bounded(named(found))


def named(found: Any) -> str:
    """A value in words: estimators by class, also inside lists of steps."""
    if derives(found, "sklearn", "BaseEstimator"):
        return type(found).__name__
    if isinstance(found, tuple) and len(found) in (2, 3) and isinstance(found[0], str):
        return f"{found[0]}: {named(found[1])}"
    if isinstance(found, list) and found and all(isinstance(v, tuple) for v in found):
        return ", ".join(map(named, found))
    if callable(found) and hasattr(found, "__qualname__"):
        return f"{found.__module__}.{found.__qualname__}"
    return repr(found)


def bounded(text: str) -> str:
    """The text, cut where it is too long to be shown."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def number(text: Any) -> Any:
    """A text as the whole number or fraction that it writes; anything else as it is."""
    if not isinstance(text, str):
        return text
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def installed(names: set[str]) -> list[str]:
    """The packages of modules as they are installed: ``name==version``, sorted."""
    from mlops_magics.flavors import graph

    return [f"{name}=={version}" for name, version in sorted(graph.packages(names).items())]
