"""A function of the user's as a metric: what it takes is read from its signature.

::

    def lost_money(y_true, y_pred, X, share=1.0):
        granted = y_pred == "good"
        return share * X["Amount"][granted & (y_true == "bad")].sum()

is asked for as ``lost_money <= 50000`` or ``lost_money(share=0.6) <= 30000``.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from numbers import Real
from typing import Any

import numpy as np

from mlops_magics.errors import WrongUsage
from mlops_magics.goals import directions
from mlops_magics.goals.metrics import Metric, Statistic
from mlops_magics.goals.samples import Floats, Sample, Undefined

#: Names of arguments that are filled in, and with what.
_FILLED: dict[str, Callable[[Sample], Any]] = {
    "y_true": lambda rows: rows.y_true,
    "y_pred": lambda rows: rows.predictions,
    **dict.fromkeys(("scores", "y_score", "y_proba", "y_prob"), lambda rows: _scores(rows)),
    **dict.fromkeys(("X", "features"), lambda rows: rows.features),
    "classes": lambda rows: rows.classes,
    "positive": lambda rows: rows.positive,
}
_WEIGHTS = "sample_weight"
_INT = (int, "int")  # as an annotation is, or is written


def _scores(rows: Sample) -> Floats:
    if rows.scores is None:
        raise Undefined("it needs probabilities, and this model gives none")
    return rows.scores


class FunctionMetric(Metric):
    """A plain function as a metric.

    Its first two arguments are the truth and the predictions, whatever they are called; others
    are filled by their names: ``scores`` (or ``y_score``, ``y_proba``), ``X`` (or ``features``, a
    DataFrame of the same rows), ``classes``, ``positive``, ``sample_weight``. What is left is a
    parameter of the goal, a number or a word. One that takes ``sample_weight`` is resampled by
    weights, else the rows are repeated as they were drawn.

    Parameters
    ----------
    where : str
        Where it is defined, as messages say it.

    Raises
    ------
    WrongUsage
        If it can't be called with a truth and predictions.
    """

    needs = "rows"

    def __init__(self, name: str, function: Callable[..., Any], where: str) -> None:
        self.name = name  # type: ignore[misc]  # of the instance: one class serves all functions
        self.function = function
        self.where = where
        self.greater_is_better = directions.of_word(name).greater_is_better  # type: ignore[misc]
        kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        given = [p for p in inspect.signature(function).parameters.values() if p.kind not in kinds]
        if len(given) < 2:
            raise WrongUsage(
                f"The function {name!r} of {where} is no metric: it takes "
                f"{len(given)} argument{'s' * (len(given) != 1)}.",
                "A metric takes the truth and the predictions: def metric(y_true, y_pred): …",
            )
        self._first = [p.name for p in given[:2]]
        self._filled = [p.name for p in given[2:] if p.name in _FILLED]
        self.weighted = any(p.name == _WEIGHTS for p in given[2:])
        self._own = {p.name: p for p in given[2:] if p.name not in _FILLED and p.name != _WEIGHTS}
        self.uses_features = bool({"X", "features"} & set(self._filled))  # type: ignore[misc]
        self.parameters = {n: _type(p) for n, p in self._own.items()}  # type: ignore[misc]

    @property
    def looped(self) -> bool:
        """See `Metric`; it is called once a resample in any case."""
        return True

    def value(self, rows: Sample, **params: Any) -> float:
        """See `Metric`; a failure of the function is told in a sentence, with its line."""
        if rows.rows == 0:
            raise Undefined("there are no rows")
        return self._called(rows, None, params)

    def statistic(self, rows: Sample, **params: Any) -> Statistic:
        """See `Metric`."""
        if not self.weighted:
            return super().statistic(rows, **params)

        def one(weights: Floats) -> float:
            drawn = weights > 0  # as a metric may divide by what only other rows have
            try:
                return self._called(rows.take(drawn), weights[drawn], params)
            except Undefined:
                return float("nan")

        return lambda weights: np.array([one(row) for row in weights])

    def wrong_parameter(self, name: str, value: float | str) -> str:
        """See `Metric`."""
        wrong = super().wrong_parameter(name, value)
        if not wrong and self.parameters[name] is str and not isinstance(value, str):
            return f"{name} of {self.name} is a word, not {value!r}."
        if not wrong and self._own[name].annotation in _INT and not float(value).is_integer():
            return f"{name} of {self.name} is a whole number, not {value!r}."
        return wrong

    def missing_parameter(self, params: Mapping[str, Any]) -> str:
        """See `Metric`."""
        empty = inspect.Parameter.empty
        missing = [n for n, p in self._own.items() if p.default is empty and n not in params]
        if not missing:
            return ""
        return f"{self.name} needs {', '.join(missing)}: {self.name}({missing[0]}=…)."

    def _called(self, rows: Sample, weights: Floats | None, params: Mapping[str, Any]) -> float:
        rows = replace(rows, features=_numbered(rows))
        options = {name: _FILLED[name](rows) for name in self._filled} | dict(params)
        if self.weighted:
            options[_WEIGHTS] = np.ones(rows.rows) if weights is None else weights
        # A goal's numbers are floats, which are no good for counting.
        options |= {n: int(v) for n, v in params.items() if self._counts(n) and v.is_integer()}
        try:
            found = self.function(rows.y_true, rows.predictions, **options)
        except Undefined:
            raise
        except Exception as error:  # the user's code
            first = (str(error).splitlines() or [""])[0]
            at = f", line {line}" if (line := self._line(error)) else ""
            raise Undefined(
                f"the function {self.name} ({self.where}{at}) raised "
                f"{type(error).__name__}: {first}"
            ) from error
        return self._number(found)

    def _counts(self, name: str) -> bool:
        """Whether a parameter is a whole number, by its annotation or, without one, its default."""
        parameter = self._own[name]
        if parameter.annotation is inspect.Parameter.empty:
            return type(parameter.default) is int
        return parameter.annotation in _INT

    def _line(self, error: BaseException) -> int | None:
        """The line of the function, counted from its ``def`` in its file or cell, that failed."""
        code = inspect.unwrap(self.function).__code__
        frames = traceback.extract_tb(error.__traceback__)
        return next((f.lineno for f in reversed(frames) if f.filename == code.co_filename), None)

    def _number(self, found: Any) -> float:
        if isinstance(found, np.ndarray | np.generic) and found.ndim == 0:
            found = found.item()
        if not isinstance(found, Real):
            kind = f"an array of shape {found.shape}" if hasattr(found, "shape") else repr(found)
            raise Undefined(
                f"the function {self.name} ({self.where}) gave {kind[:60]}, "
                "and a metric is a number"
            )
        number = float(found)
        if not np.isfinite(number):
            raise Undefined(f"the function {self.name} ({self.where}) gave {number}")
        return number


def _numbered(rows: Sample) -> Any:
    """The features with rows counted from 0, so that arrays and columns go together by place."""
    return None if rows.features is None else rows.features.reset_index(drop=True)


def _type(parameter: inspect.Parameter) -> type:
    by_name = {"str": str, "float": float, "int": float, "bool": float}
    annotated = parameter.annotation
    if annotated in (str, float, int, bool):
        return str if annotated is str else float
    if isinstance(annotated, str) and annotated in by_name:
        return by_name[annotated]
    default = parameter.default
    if isinstance(default, str):
        return str
    return float if isinstance(default, Real) else object
