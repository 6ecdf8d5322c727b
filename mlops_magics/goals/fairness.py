"""Figures of fairness by the names that fairlearn gave them: how far groups lie apart.

Each is a spread (`mlops_magics.goals.spreads`) of a metric or two over the groups of a column, for
example ``equalized_odds_difference <= 0.1 by Marital``, with our intervals. A rate that has no
value in a group (no positive row there) leaves the goal unmeasured, where fairlearn takes 0.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from mlops_magics.goals.metrics import Metric
from mlops_magics.goals.samples import Sample, Undefined


class Disparity(Metric):
    """A spread of metrics over groups; of several metrics the worst one counts."""

    greater_is_better = False
    unit = "ratio"
    needs_groups = True
    #: The metrics whose values are compared between the groups.
    of: ClassVar[tuple[str, ...]]
    spread: ClassVar[Literal["gap", "ratio"]] = "gap"

    def value(self, rows: Sample, **params: Any) -> float:
        """Has no value without groups.

        Raises
        ------
        Undefined
            Always.
        """
        raise Undefined(f"{self.name} is between groups: add by COLUMN")


class DemographicParityDifference(Disparity):
    """The gap of the selection rates: the share of rows called positive."""

    name = "demographic_parity_difference"
    of = ("selection_rate",)


class DemographicParityRatio(Disparity):
    """The lowest selection rate over the highest; the four-fifths rule asks for 0.8."""

    name = "demographic_parity_ratio"
    greater_is_better = True
    of = ("selection_rate",)
    spread = "ratio"


class EqualOpportunityDifference(Disparity):
    """The gap of the true positive rates (Hardt, Price and Srebro, 2016)."""

    name = "equal_opportunity_difference"
    of = ("recall",)


class EqualOpportunityRatio(Disparity):
    """The lowest true positive rate over the highest."""

    name = "equal_opportunity_ratio"
    greater_is_better = True
    of = ("recall",)
    spread = "ratio"


class EqualizedOddsDifference(Disparity):
    """The larger of the gaps of true and of false positive rates (Hardt et al., 2016)."""

    name = "equalized_odds_difference"
    of = ("recall", "false_positive_rate")


class EqualizedOddsRatio(Disparity):
    """The smaller of the ratios of true and of false positive rates."""

    name = "equalized_odds_ratio"
    greater_is_better = True
    of = ("recall", "false_positive_rate")
    spread = "ratio"
