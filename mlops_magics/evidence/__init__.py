"""What is known about a step, gathered without knowing MLflow or IPython."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from mlops_magics.evidence import (
        canonical,
        code,
        columns,
        data,
        environment,
        features,
        leakage,
        predictors,
        profile,
        resources,
        secrets,
        seal,
        snapshots,
        secrets,
        splitting,
        tables,
    )

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    [
        "canonical",
        "code",
        "columns",
        "data",
        "environment",
        "features",
        "leakage",
        "predictors",
        "profile",
        "resources",
        "secrets",
        "seal",
        "snapshots",
        "secrets",
        "splitting",
        "tables",
    ],
)
