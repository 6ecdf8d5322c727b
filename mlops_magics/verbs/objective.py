"""What a trial is: the code run in names of its own, and the number that it is judged by."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from mlops_magics import goals
from mlops_magics.errors import BadData, WrongUsage
from mlops_magics.verbs import copies, fitted, search_code

if TYPE_CHECKING:
    from mlops_magics.verbs.holdout import Holdout
    from mlops_magics.verbs.search_code import Code

#: The rows as the code knows them; in a trial both pairs are what was kept back.
HELD = (("X_valid", "y_valid"), ("X_test", "y_test"))
LEARNED = ("X_train", "y_train")


class Unmeasurable(WrongUsage):
    """A trial gave nothing that could be compared, and so will every other."""


class Left(NamedTuple):
    """What a run of the code left: its names, their object ids before it, and what it returned."""

    names: dict[str, Any]
    before: dict[str, int]
    returned: Any


@dataclass(frozen=True)
class Objective:
    """A search's code with the names that it needs, and how a trial is judged.

    Attributes
    ----------
    names : mapping
        The names that the code finds; trials get copies of what they can change.
    holdout : Holdout or None
        The training rows, to be taken apart; ``None`` where the code scores itself by rows that
        it chooses.
    own : frozenset of str
        The functions among `names` that read their globals from them.
    model : str
        The variable that holds the model, when the code leaves more than one.
    positive : object
        The class counted as positive, where two are told apart.
    """

    code: Code
    metric: str
    names: Mapping[str, Any] = field(repr=False)
    holdout: Holdout | None = field(default=None, repr=False)
    own: frozenset[str] = frozenset()
    model: str = ""
    positive: Any = None

    def __call__(self, trial: Any) -> float:
        """The trial's value: the mean over the parts of the training rows, mostly one."""
        values = [self._value(trial, p) for p in (self.holdout.parts if self.holdout else [None])]
        return math.fsum(values) / len(values)

    def _value(self, trial: Any, part: Any) -> float:
        left = self.run(trial, self.rows(part))
        value = self._score(left)
        if value is not None:
            return value
        model = self.model_of(left)
        if self.holdout is None:
            raise Unmeasurable(
                f"There are no training rows to measure {self.metric} on: neither X_train and "
                "y_train nor a prepared dataset.",
                "Run %prepare first, or let the code bind `score`.",
            )
        return measure(model, self.metric, *self.holdout.take(part.held), self.positive)

    def rows(self, part: Any, held: Iterable[tuple[str, str]] = HELD) -> dict[str, Any]:
        """The rows of one part of the training rows by name; `held` are those kept back."""
        if self.holdout is None or part is None:
            return {}
        rows = dict(zip(LEARNED, self.holdout.take(part.learned), strict=True))
        for names in held:
            rows |= dict(zip(names, self.holdout.take(part.held), strict=True))
        return rows

    def run(self, trial: Any, rows: Mapping[str, Any]) -> Left:
        """Run the code once, in names of its own; `rows` are bound in the place of others."""
        namespace, closed = self.prepared(rows)
        before = {n: id(v) for n, v in namespace.items()}
        return Left(namespace, before, self.code.run(namespace, trial, closed))

    def prepared(
        self, rows: Mapping[str, Any], kept: Iterable[str] = ()
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The names for one run of the code, and what its function closes over.

        Parameters
        ----------
        rows : mapping
            Names that are bound to these values instead of the notebook's.
        kept : iterable of str
            Names whose very objects the code gets, instead of copies.
        """
        namespace = {**self.names, **rows}
        read = search_code.used(self.code.names, namespace)
        closed = {**search_code.closure(self.code.function), **rows}
        shared = {*rows, *kept}
        # One copying for both, so that what they share stays shared.
        copied = copies.made(
            {
                **{(n, "name"): namespace[n] for n in read - shared},
                **{(n, "closed"): v for n, v in closed.items() if n not in shared},
            }
        )
        namespace |= {n: v for (n, where), v in copied.items() if where == "name"}
        closed |= {n: v for (n, where), v in copied.items() if where == "closed"}
        for name in read & self.own:
            namespace[name] = search_code.rebound(namespace[name], namespace, {})
        return namespace, closed

    def _score(self, left: Left) -> float | None:
        """The number that the code has bound or returned, if there is one."""
        if self.code.function is not None:
            return float(left.returned) if is_number(left.returned) else None
        for name in (self.metric, "score"):
            if name not in self.code.binds or name not in left.names:
                continue
            value = left.names[name]
            if not is_number(value):
                raise Unmeasurable(
                    f"The code binds {name!r} to a {type(value).__name__}, not to a number.",
                    f"A cross-validation gives one a fold: {name} = cross_val_score(…).mean()",
                )
            return float(value)
        return None

    def model_of(self, left: Left) -> fitted.Fitted:
        """The model that a run of the code left or returned.

        Raises
        ------
        Unmeasurable
            If there is none.
        """
        if self.code.function is not None:
            found = fitted.find({"model": left.returned}, {}, "")
        else:
            found = fitted.find(left.names, left.before, self.code.source, wanted=self.model)
        if found.model is not None and found.flavor is not None:
            return found
        if self.code.function is not None:
            raise Unmeasurable(
                f"{self.code.function.__name__} returned a {type(left.returned).__name__}, neither "
                "a fitted model nor a number.",
                "Return the fitted model, or the number to be optimised.",
            )
        raise Unmeasurable(
            "The code leaves neither a fitted model nor a score.",
            f"Assign the fitted model to a variable, or bind {self.metric!r} or 'score' to a "
            "number.",
        )

    def portable(self) -> Objective:
        """The objective for other processes: with only the names that the code needs.

        Raises
        ------
        WrongUsage
            If one of them can't be pickled, or only works in the notebook's own process.
        """
        from mlops_magics.engines import pickling

        needed = search_code.used(self.code.names, self.names)
        if "get_ipython" in self.code.names:
            raise WrongUsage(
                "A !command needs the notebook, and trials run in other processes here.",
                "Use subprocess.run, or leave out --jobs and --on.",
            )
        for name in sorted(needed):
            if isinstance(self.names[name], ModuleType):
                continue
            try:
                pickling.dumps(self.names[name])
            except Exception as error:  # whatever a class raises while it is pickled
                raise WrongUsage(
                    f"{name!r} (a {type(self.names[name]).__name__}) can't be sent to another "
                    f"process: {(str(error).splitlines() or [type(error).__name__])[0]}.",
                    "Make it inside the code of the search, or leave out --jobs and --on.",
                ) from error
        basic = {"__name__", "__file__"}
        return replace(
            self,
            names={n: v for n, v in self.names.items() if n in needed or n in basic},
            own=self.own & needed,
        )


def is_number(value: Any) -> bool:
    """Whether it is one number, NumPy's included."""
    if isinstance(value, bool):
        return False
    return isinstance(value, numbers.Real) or (
        hasattr(value, "item") and getattr(value, "shape", None) == () and value.dtype.kind in "fiu"
    )


def measure(found: fitted.Fitted, metric: str, X: Any, y: Any, positive: Any) -> float:
    """One metric of a model on rows that it has not seen.

    Raises
    ------
    Unmeasurable
        If the metric does not belong to what the model does.
    BadData
        If it has no value here, such as for predictions that are missing.
    """
    model, flavor = found.model, found.flavor
    assert flavor is not None
    if (columns := list(flavor.columns(model))) and hasattr(X, "columns"):
        X = X[columns]
    asked = flavor.predictor(model, flavor.observe(model, X, y))
    task: Any = asked.task
    if task not in ("classification", "regression"):
        raise Unmeasurable(
            f"A {type(model).__name__} neither classifies nor predicts numbers, so {metric} can't "
            "be measured.",
            "Let the code bind `score`.",
        )
    measured = goals.metrics.measure(
        task, y, asked.predict(X), asked.scores(X), asked.classes, positive, [metric]
    )
    if metric in measured:
        return measured[metric]
    reason = measured.undefined[metric]
    needs = goals.metrics.find(metric).needs
    misfit = (needs == "values") != (task == "regression")
    raise (Unmeasurable if misfit else BadData)(f"{metric} was not measured: {reason}.")
