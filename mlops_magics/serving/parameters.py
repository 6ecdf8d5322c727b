"""What a request passes under ``params``: for the model's own signature, or which method to ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlops_magics.errors import did_you_mean
from mlops_magics.flavors.predictors import Param
from mlops_magics.serving.refusals import BadRequest, shown

#: Ours, for classifiers: ``{"params": {"predict_method": "predict_proba"}}``.
METHOD = "predict_method"
METHODS = ("predict", "predict_proba")

_TYPES: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "string": (str,),
    "datetime": (str,),
}


def method(params: Any, parameters: Sequence[Param], probabilities: bool) -> str:
    """The method that a request asks for: ``predict`` unless it says otherwise.

    MLflow ignores parameters that the model does not declare, so a request that does not name
    this one is answered as MLflow answers it.

    Raises
    ------
    BadRequest
        If the method does not exist, or the model has no probabilities.
    """
    if not isinstance(params, dict) or METHOD not in params:
        return "predict"
    if any(p.name == METHOD for p in parameters):
        return "predict"  # it is the model's own parameter
    wanted = params[METHOD]
    if wanted not in METHODS:
        raise BadRequest(
            f"There is no {METHOD} {shown(wanted)}.", did_you_mean(str(wanted), METHODS)
        )
    if wanted == "predict_proba" and not probabilities:
        raise BadRequest("This model has no probabilities.", f"Leave {METHOD} out.")
    return str(wanted)


def values(params: Any, parameters: Sequence[Param]) -> dict[str, Any]:
    """A value for each of the model's own parameters; what it does not declare is ignored.

    Raises
    ------
    BadRequest
        If a value has the wrong type.
    """
    if not parameters:
        return {}
    given: Mapping[str, Any] = {} if params is None else params
    if not isinstance(given, dict):
        raise BadRequest(f"params must be an object, not {shown(params)}.")
    return {p.name: _checked(p, given.get(p.name, p.default)) for p in parameters}


def beside(holder: Mapping[str, Any], whose: str = "") -> Mapping[str, Any]:
    """What stands under ``parameters``, of a request, an input or an output of V2.

    Raises
    ------
    BadRequest
        If that is no object.
    """
    found = holder.get("parameters")
    if found is not None and not isinstance(found, dict):
        raise BadRequest(f"The parameters{whose} must be an object.")
    return found or {}


def _checked(parameter: Param, value: Any) -> Any:
    types = _TYPES.get(parameter.type)
    several = value if isinstance(parameter.default, list) else [value]
    if types is None or value is None or value == parameter.default:
        return value
    if not isinstance(several, list) or not all(_fits(v, types) for v in several):
        raise BadRequest(
            f"The parameter {parameter.name!r} takes {'a list of ' if several is value else ''}"
            f"{parameter.type} and got {shown(value)}."
        )
    return value


def _fits(value: Any, types: tuple[type, ...]) -> bool:
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))
