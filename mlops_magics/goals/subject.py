"""What is judged: a model on rows whose truth is known, or the facts of a service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_magics.goals import latency, robustness
from mlops_magics.goals.samples import Floats, Sample, Undefined, distinct, shown

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is judged, and what is known of it.

    Attributes
    ----------
    name : str
        As it is called in reasons.
    sample : Sample or None
        Truth and answers; ``None`` where no labels are known.
    features : DataFrame or None
        The columns of the same rows, from which groups are taken.
    inputs : DataFrame or None
        The same rows as the model takes them; `features` by default.
    predict : callable or None
        Asked with rows of `inputs` for the latency.
    ask : callable or None
        Inputs → the sample that the model answers to them, beside the same truth; for goals
        ``under noise`` and ``under missing``.
    footprint : callable or None
        The bytes of memory that a process of its own needs to load the model and to answer.
    training : DataFrame or None
        The columns of the rows that it was trained on, where they are recorded.
    facts : mapping
        What was measured elsewhere, in base units (seconds, bytes, shares): ``model_size``,
        ``p95_latency``, ``error_rate``, ``drift(Income)``, ``missing(Income)``, ``requests``…
    unknown : mapping
        Why a fact is not there, by the same names; by the metric's name for all its columns.
    intervals : mapping
        Where a fact that is an estimate may lie, by the same names.
    problem : str
        Why the model's answers can't be had, where they can't.
    """

    name: str = "the model"
    sample: Sample | None = None
    features: pd.DataFrame | None = None
    inputs: pd.DataFrame | None = None
    predict: Callable[[pd.DataFrame], Any] | None = None
    ask: Callable[[pd.DataFrame], Sample] | None = None
    footprint: Callable[[], float] | None = None
    training: pd.DataFrame | None = None
    facts: Mapping[str, float] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    problem: str = ""
    _once: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def latencies(self, batch: int = 1) -> Floats:
        """Seconds of answers to so many rows each, measured once.

        Raises
        ------
        Undefined
            If the model can't be asked.
        """
        inputs = self.features if self.inputs is None else self.inputs
        if self.predict is None or inputs is None:
            raise Undefined(self.problem or "there is no model to ask")
        key = ("latency", batch)
        if key not in self._once:
            self._once[key] = latency.measure(self.predict, inputs, batch)
        return self._once[key]  # type: ignore[no-any-return]

    def memory(self) -> float:
        """Bytes that a process of its own needs to load the model and to answer, measured once.

        Raises
        ------
        Undefined
            If there is no saved model, or it can't be measured.
        """
        if self.footprint is None:
            raise Undefined(self.problem or "only a saved model is loaded in a process of its own")
        if "memory" not in self._once:
            self._once["memory"] = float(self.footprint())
        return self._once["memory"]  # type: ignore[no-any-return]

    def under(self, what: tuple[str, float], seed: int) -> Sample:
        """Truth and answers when the inputs are disturbed; the model is asked once for each.

        Parameters
        ----------
        what : tuple of (str, float)
            The kind and its amount, as `mlops_magics.goals.robustness.disturbed` takes them.

        Raises
        ------
        Undefined
            If the model has no answer to them.
        """
        self.answers()  # what is wrong without any disturbance is said first
        if self.ask is None or self.inputs is None:
            raise Undefined(f"{self.name} can't be asked again, with other inputs")
        key = (what, seed)
        if key not in self._once:
            kind, amount = what
            inputs = robustness.disturbed(self.inputs, kind, amount, self.training, seed)
            try:
                found = self.ask(inputs)
                reason = found.problem()
            except Undefined as error:
                found, reason = None, str(error)
            self._once[key] = (found, reason and f"under {kind} {amount:.4g}: {reason}")
        found, reason = self._once[key]
        if reason:
            raise Undefined(reason)
        return found  # type: ignore[no-any-return]

    def fact(self, key: str, metric: str) -> float:
        """What was measured elsewhere under `key`, one of the figures of `metric`.

        Raises
        ------
        Undefined
            If it is not known; says why.
        """
        value = self.facts.get(key)
        if value is not None and np.isfinite(value):
            return float(value)
        for name in (key, metric):
            if name in self.unknown:
                raise Undefined(self.unknown[name])
        raise Undefined(f"{key} is not known here")

    def answers(self) -> Sample:
        """Truth and answers, if there are any to judge.

        Raises
        ------
        Undefined
            If not; says why.
        """
        if self.problem or self.sample is None:
            raise Undefined(self.problem or "no labels were given")
        problem = self.sample.problem()
        if problem:
            raise Undefined(problem)
        known = self.sample.classes
        if known is not None:
            unseen = [v for v in distinct(self.sample.y_true) if not (known == v).any()]
            if unseen:
                raise Undefined(
                    f"the data has the class{'es' if len(unseen) > 1 else ''} "
                    f"{', '.join(map(shown, unseen[:5]))}, which {self.name} does not know: "
                    f"it knows {', '.join(map(shown, known[:5]))}"
                )
        return self.sample
