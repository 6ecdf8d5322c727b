"""Who is measured for a goal: the subject, the champion or the baseline, and on which answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mlops_magics.goals.bench import Bench
from mlops_magics.goals.figures import Figure, combined
from mlops_magics.goals.goal import Goal
from mlops_magics.goals.metrics import Metric
from mlops_magics.goals.samples import Array, Sample, Undefined
from mlops_magics.goals.subject import Subject


@dataclass(frozen=True)
class Party:
    """One whose answers are measured; `role` is ``""``, ``champion`` or ``baseline``."""

    role: str
    subject: Subject

    @property
    def called(self) -> str:
        """As a reason calls it: ``the champion credit/2``."""
        return f"the {self.role} {self.subject.name}".strip() if self.role else self.subject.name

    def figure(
        self,
        goal: Goal,
        metric: Metric,
        bench: Bench,
        place: str = "",
        at: Array | None = None,
    ) -> Figure:
        """The metric of its answers as the goal wants it: to what, and whether its loss.

        Parameters
        ----------
        place, at
            A group's label and its rows; all rows by default.

        Raises
        ------
        Undefined
            If it has no value.
        """
        params = dict(goal.params)

        def of(under: tuple[str, float] | None) -> Figure:
            rows = self.answers(metric, params, under, bench.seed)
            who = f"{self.role} {under or ''}"
            return bench.figure(metric, params, who, rows if at is None else rows.take(at), place)

        found = of(goal.under)
        if goal.spread != "drop":
            return found
        sign = 1 if metric.greater_is_better else -1
        return combined(lambda both: sign * (both[0] - both[1]), [of(None), found])

    def answers(
        self,
        metric: Metric,
        params: Mapping[str, Any],
        under: tuple[str, float] | None = None,
        seed: int = 0,
    ) -> Sample:
        """The answers that a metric is measured on, with the features if it looks at them.

        Raises
        ------
        Undefined
            If there are none; says whose.
        """
        subject = self.subject
        try:
            rows = subject.answers() if under is None else subject.under(under, seed)
        except Undefined as error:
            if not self.role:
                raise
            raise Undefined(f"{subject.name} can't be compared with: {error}") from error
        if not metric.wants_features(params):
            return rows
        if subject.features is None:
            raise Undefined(f"{metric.name} looks at the features, which are not known here")
        return replace(rows, features=subject.features)
