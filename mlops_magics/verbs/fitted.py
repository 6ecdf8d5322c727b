"""Which model a piece of code left in its namespace."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
    unfitted = []
    # The name bound last in the code comes last here, and names of one object count once.
    for name in sorted(touched, key=lambda n: order.get(n, -1)):
        flavor = flavors.recognise(touched[name])
        if flavor is None or isinstance(touched[name], type):
            continue
        if not flavor.is_fitted(touched[name]):
            unfitted.append(name)
            continue
        found[id(touched[name])] = (name, touched[name], flavor)
    inner = {id(part) for _, model, _ in found.values() for part in _parts(model)}
    outer = [entry for key, entry in found.items() if key not in inner]
    if not outer:
        return Fitted(notes=(_nothing(unfitted),))
    name, model, flavor = outer[-1]
    others = [n for n, _, _ in outer[:-1]]
    note = (
        f"The code left {len(outer)} models ({', '.join([*others, name])}); took {name!r}, the "
        f"last one. Choose with --model {others[-1]}."
        if others
        else ""
    )
    return Fitted(model, flavor, name, (note,) if note else ())


def _named(namespace: Mapping[str, Any], wanted: str) -> Fitted:
    if wanted not in namespace:
        models = [n for n, v in namespace.items() if flavors.recognise(v) is not None]
        raise UnknownName("variable", wanted, models, "Name a variable that holds a fitted model.")
    model = namespace[wanted]
    flavor = flavors.recognise(model)
    if flavor is None:
        raise WrongUsage(
            f"{wanted!r} is a {type(model).__name__}, and no installed flavor knows it as a model.",
            "A flavor plugin can add it: see `mlops_magics.flavors`.",
        )
    if not flavor.is_fitted(model):
        raise WrongUsage(f"{wanted!r} is not fitted.", "Fit it in the cell.")
    return Fitted(model, flavor, wanted)


def _nothing(unfitted: list[str]) -> str:
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


def _parts(model: Any) -> Iterator[Any]:
    """The models that a model is made of: steps of a pipeline, the best of a search."""
    with_params = getattr(model, "get_params", None)
    if callable(with_params):
        yield from with_params(deep=True).values()
    yield from (
        (v for k, v in vars(model).items() if k.endswith("_")) if hasattr(model, "__dict__") else ()
    )
