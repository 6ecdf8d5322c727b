"""The goal language: its grammar, its metrics, and the statistics behind a comparison."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from mlops_magics.goals import (
        answers,
        baselines,
        checking,
        classification,
        curves,
        directions,
        goal,
        grammar,
        groups,
        judging,
        latency,
        measurements,
        metrics,
        moments,
        probabilities,
        regression,
        samples,
        scorers,
        statistics,
        subject,
        units,
    )

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    [
        "answers",
        "baselines",
        "checking",
        "classification",
        "curves",
        "directions",
        "goal",
        "grammar",
        "groups",
        "judging",
        "latency",
        "measurements",
        "metrics",
        "moments",
        "probabilities",
        "regression",
        "samples",
        "scorers",
        "statistics",
        "subject",
        "units",
    ],
)
