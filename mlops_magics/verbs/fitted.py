"""Which model a piece of code left in its namespace."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mlops_magics import flavors
from mlops_magics.errors import UnknownName, WrongUsage

if TYPE_CHECKING:
    from mlops_magics.flavors import Flavor


@dataclass(frozen=True)
class Fitted:
    """The model that was found, its variable, and what the user should know of the choice."""

    model: Any = None
    flavor: Flavor | None = None
    variable: str = ""
    notes: tuple[str, ...] = ()


def find(
    namespace: Mapping[str, Any], before: Mapping[str, int], source: str, *, wanted: str = ""
) -> Fitted:
    """The fitted model that the code made or fitted again.

    Parameters
    ----------
    namespace : mapping
        The names after the code has run.
    before : mapping
        Each name's object id before it.
    source : str
        The code itself; its last assignment decides between several models.
    wanted : str
        The variable that the user named.

    Raises
    ------
    UnknownName
        If there is no variable `wanted`.
    WrongUsage
        If `wanted` is no fitted model.
    """
    if wanted:
        return _named(namespace, wanted)
    order = _names_in_order(source)
    touched = {
        name: value
        for name, value in namespace.items()
        if not name.startswith("_") and (before.get(name) != id(value) or name in order)
    }
    found: dict[int, tuple[str, Any, Flavor]] = {}
    unfitted: list[str] = []
    unknown: list[str] = []
    # The name bound last in the code comes last here, and names of one object count once.
    for name in sorted(touched, key=lambda n: order.get(n, -1)):
        flavor = flavors.recognise(touched[name])
        if flavor is None:
            if before.get(name) != id(touched[name]) and _looks_like_a_model(touched[name]):
                unknown.append(name)
            continue
        if not flavor.is_fitted(touched[name]):
            unfitted.append(name)
            continue
        found[id(touched[name])] = (name, touched[name], flavor)
    inner = {id(part) for _, model, flavor in found.values() for part in flavor.parts(model)}
    outer = [entry for key, entry in found.items() if key not in inner]
    if not outer:
        return Fitted(notes=(_nothing(touched, unfitted, unknown),))
    name, model, flavor = outer[-1]
    others = [n for n, _, _ in outer[:-1]]
    note = (
        f"The code left {len(outer)} models ({', '.join([*others, name])}); took {name!r}, the "
        f"last one. Choose with --model {others[-1]}."
        if others
        else ""
    )
    later = [n for n in unknown if order.get(n, -1) > order.get(name, -1)]
    notes = [note, *(_not_known(n, touched[n]) for n in later[-1:])]
    return Fitted(model, flavor, name, tuple(filter(None, notes)))


def unsaved(model: Any, error: Exception) -> str:
    """Why a model could not be saved, and what to do: the part of it that is to blame."""
    part = flavors.unpicklable.culprit(model)
    why = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    way = (
        f"{part} can't be pickled. Delete it before the cell ends, make it when it is needed, or "
        "leave it out in __getstate__"
        if part
        else why
    )
    return (
        f"The model could not be saved: {way}. The run and its metrics stand, but no version was "
        "registered."
    )


def _named(namespace: Mapping[str, Any], wanted: str) -> Fitted:
    if wanted not in namespace:
        models = [n for n, v in namespace.items() if flavors.recognise(v) is not None]
        raise UnknownName("variable", wanted, models, "Name a variable that holds a fitted model.")
    model = namespace[wanted]
    flavor = flavors.recognise(model)
    if flavor is None:
        raise WrongUsage(
            f"{wanted!r} is a {type(model).__name__}, and no installed flavor knows it as a model.",
            _HOW_TO_ADD,
        )
    if not flavor.is_fitted(model):
        raise WrongUsage(f"{wanted!r} is not fitted.", "Fit it in the cell.")
    return Fitted(model, flavor, wanted)


_HOW_TO_ADD = (
    "Wrap it in a mlflow.pyfunc.PythonModel, or register a Flavor for its class (entry point group "
    "mlops_magics.flavors; mlops_magics.testing.FlavorContract tests it)."
)


def _looks_like_a_model(value: Any) -> bool:
    """Whether it predicts, or is fitted and is no step of scikit-learn's that comes before."""
    kind = type(value)
    if isinstance(value, type | ModuleType) or kind.__module__.startswith(("scipy.", "optuna.")):
        return False
    if callable(getattr(kind, "predict", None)):
        return True
    return callable(getattr(kind, "fit", None)) and not flavors.plain.derives(
        value, "sklearn", "BaseEstimator"
    )


def _not_known(name: str, value: Any) -> str:
    return (
        f"{name!r} looks like a model, and no installed flavor knows the class "
        f"{type(value).__module__}.{type(value).__qualname__}. {_HOW_TO_ADD}"
    )


def _nothing(touched: Mapping[str, Any], unfitted: list[str], unknown: list[str]) -> str:
    if unknown:
        return f"{_not_known(unknown[-1], touched[unknown[-1]])} No version was registered."
    if unfitted:
        return f"{unfitted[-1]!r} is a model and is not fitted, so no version was registered."
    return (
        "The code left no model that an installed flavor recognises, so no version was registered. "
        "Assign the fitted model to a variable."
    )


def _names_in_order(source: str) -> dict[str, int]:
    """Each name that the code reads or writes, and where it is last bound (else last read)."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a cell with shell escapes or magics; object identity decides alone
        return {}
    order: dict[str, int] = {}
    for place, node in enumerate(_walk(tree)):
        if isinstance(node, ast.Name):
            written = isinstance(node.ctx, ast.Store)
            order[node.id] = max(order.get(node.id, 0), place if written else 0)
    return order


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """Depth first, in source order (``ast.walk`` goes by breadth)."""
    for child in ast.iter_child_nodes(node):
        yield child
        yield from _walk(child)
