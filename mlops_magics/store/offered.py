"""The names that completion offers, at once: read from the file, without importing MLflow."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from mlops_magics import settings


def models() -> list[str]:
    """``credit``, ``credit@champion``, ``credit/3``…; empty where looking would take long."""
    file = settings.load().database
    if file is None or not file.is_file():
        return []
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=0.5)) as database:
            names = [str(n) for (n,) in database.execute("SELECT name FROM registered_models")]
            aliases = database.execute("SELECT name, alias FROM registered_model_aliases")
            by_alias = [f"{n}@{a}" for n, a in aliases]
            versions = database.execute(
                "SELECT name, version FROM model_versions WHERE current_stage <> 'Deleted_Internal'"
            )
            return [*names, *by_alias, *(f"{n}/{v}" for n, v in versions)]
    except sqlite3.Error:
        return []


def deployments() -> list[str]:
    """The names of the deployments on this machine."""
    folder = settings.load().state / "deployments"
    return sorted(f.parent.name for f in folder.glob("*/deployment.json"))


def datasets() -> list[str]:
    """The names of the prepared datasets."""
    file = settings.load().database
    if file is None or not file.is_file():
        return []
    query = (
        "SELECT DISTINCT e.name FROM experiments e JOIN runs r USING (experiment_id) "
        "JOIN tags t USING (run_uuid) WHERE t.key = 'mlops.verb' AND t.value = ?"
    )
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=0.5)) as database:
            return [str(n) for (n,) in database.execute(query, ("prepare",))]
    except sqlite3.Error:
        return []
