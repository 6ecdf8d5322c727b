"""A metric of performance as it is estimated where the truth is not known yet.

``estimated(roc_auc) >= 0.75`` asks for the estimate, ``roc_auc >= 0.75`` for what was measured:
which of the two is meant is always written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlops_magics.errors import WrongUsage
from mlops_magics.goals import metrics, units
from mlops_magics.goals.measurements import Measurement
from mlops_magics.goals.regression import MeanLoss

if TYPE_CHECKING:
    from mlops_magics.goals.subject import Subject


class Estimated(Measurement):
    """What a metric is expected to be on rows without labels, as ``monitor`` estimates it.

    See `mlops_magics.drift.estimation` and `mlops_magics.drift.loss_model`.
    """

    name = "estimated"
    takes_column = True
    has_reference = False

    def about(self, column: str | None) -> metrics.Metric:
        """See `Metric`; in the unit of the metric that is estimated."""
        inner = metrics.find(str(column))
        made = Estimated()
        made.unit = inner.unit  # type: ignore[misc]  # of the instance: one class serves all
        made.natural_unit = inner.natural_unit  # type: ignore[misc]
        made.greater_is_better = inner.greater_is_better  # type: ignore[misc]
        return made

    def missing_column(self) -> str:
        """See `Metric`."""
        return "estimated is of a metric: estimated(roc_auc)."

    def wrong_column(self, column: str) -> str:
        """See `Metric`: why a metric can't be estimated."""
        if column == "*":
            return "estimated is of one metric: estimated(roc_auc)."
        try:
            inner = metrics.find(column)
        except WrongUsage as error:
            return str(error).strip()
        if inner.needs == "measurement":
            return f"{column} needs no truth, and is measured at once: leave out estimated()."
        if missing := inner.missing_parameter({}):
            return f"{missing.rstrip('.')}, and estimated takes none."
        losses = inner.needs != "values" or isinstance(inner, MeanLoss)
        if inner.needs_groups or inner.looped or not losses:
            return f"{column} can't be estimated without labels."
        return ""

    def measured(
        self, subject: Subject, column: str | None, params: Mapping[str, Any]
    ) -> tuple[float, str]:
        """See `Measurement`; with its interval, so that nobody takes it for measured."""
        key = self.key(column)
        value = subject.fact(key, self.name)
        reach = subject.intervals.get(key)
        told = f", {units.show(reach[0])} to {units.show(reach[1])}" if reach else ""
        return value, f"estimated{told}"
