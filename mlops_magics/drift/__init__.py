"""How data differs from what a model was trained on: distributions and quality."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from mlops_magics.drift import (
        calibrating,
        categorical,
        changes,
        checks,
        estimation,
        exact,
        facts,
        labels,
        loss_model,
        multivariate,
        numeric,
        overlap,
        places,
        quality,
        reading,
        report,
        seen,
        segments,
        shares,
        tallies,
        times,
        windows,
    )

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    [
        "calibrating",
        "categorical",
        "changes",
        "checks",
        "estimation",
        "exact",
        "facts",
        "labels",
        "loss_model",
        "multivariate",
        "numeric",
        "overlap",
        "places",
        "quality",
        "reading",
        "report",
        "seen",
        "segments",
        "shares",
        "tallies",
        "times",
        "windows",
    ],
)
