"""The only room that knows MLflow: runs, versions and aliases, datasets, history."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from mlops_magics.store import (
        datasets,
        deployments,
        descriptions,
        history,
        journal,
        leaderboard,
        ledger,
        locks,
        models,
        offered,
        outbox,
        runs,
        seeding,
        values,
        versions,
    )

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    [
        "children",
        "datasets",
        "deployments",
        "descriptions",
        "history",
        "journal",
        "leaderboard",
        "locks",
        "ledger",
        "models",
        "offered",
        "outbox",
        "runs",
        "seeding",
        "values",
        "versions",
    ],
)
