"""What is known about a step, gathered without knowing MLflow or IPython."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from mlops_magics.evidence import (
        alterations,
        canonical,
        code,
        columns,
        data,
        environment,
        features,
        installed,
        keys,
        leakage,
        loaded,
        lock,
        manifests,
        predictors,
        profile,
        resources,
        seal,
        secrets,
        snapshots,
        splitting,
        streams,
        tables,
    )

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    [
        "alterations",
        "canonical",
        "code",
        "columns",
        "data",
        "environment",
        "features",
        "installed",
        "keys",
        "leakage",
        "loaded",
        "lock",
        "manifests",
        "predictors",
        "profile",
        "resources",
        "seal",
        "secrets",
        "snapshots",
        "splitting",
        "streams",
        "tables",
    ],
)
