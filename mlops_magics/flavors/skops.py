"""Whether a model can be saved without pickle, and how MLflow is told of it."""

from __future__ import annotations

from typing import Any

from mlops_magics.flavors import plain


def options(obj: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """skops where every type is on our list; else cloudpickle, and the reason why.

    Returns
    -------
    arguments, metadata : dict
        For MLflow's flavors of estimators.
    """
    from mlops_magics.flavors import graph

    own = graph.local_code(graph.modules(obj))
    arguments: dict[str, Any] = {"code_paths": own} if own else {}
    types, reason = _without_pickle(obj)
    if reason:
        return (
            {**arguments, "serialization_format": "cloudpickle"},
            {"mlops.cloudpickle_because": reason},
        )
    return {**arguments, "serialization_format": "skops", "skops_trusted_types": types}, {}


def _without_pickle(obj: Any) -> tuple[list[str], str]:
    """The types that a reader must trust to load `obj` by skops, or why it can't be."""
    from mlops_magics.flavors import trust

    io = trust.import_skops()
    try:
        data = io.dumps(obj)
        types = list(io.get_untrusted_types(data=data))
    except Exception as error:  # whatever an attribute's own reducer raises
        return [], f"skops can't save it ({type(error).__name__}: {error})"[: plain.LONGEST]
    if strange := trust.refused(types):
        more = f" and {len(strange) - 3} more" if len(strange) > 3 else ""
        return [], (
            f"it holds {', '.join(strange[:3])}{more}, which is not on the list of types that are "
            "loaded without pickle"
        )
    return types, ""
