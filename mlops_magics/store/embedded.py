"""Runs read straight from the SQLite file of the embedded store, and sorted there.

Without statistics, which a fresh file lacks, SQLite takes seconds for MLflow's own query for the
best of 10,000 runs, and MLflow can't leave out the trials of a search.
"""

# ruff: noqa: S608  # what is put into the statements are constants of this module

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from mlops_magics.store.entries import (
    ENDED_BADLY,
    MAKERS,
    Entry,
    Page,
    Scope,
    number,
    ordered,
)

#: The runs of a scope and what each is: ``kept``, a ``trial``, ``failed`` or an ``other`` step.
#: The lists are JSON, so that one statement serves any number of names.
_SCOPE = f"""
WITH named AS (
  SELECT value AS run_uuid FROM json_each(:run_ids)
  UNION SELECT run_id FROM model_versions
  WHERE name IN (SELECT value FROM json_each(:names)) AND current_stage <> 'Deleted_Internal'
), scope AS MATERIALIZED (
  SELECT r.run_uuid, r.start_time, CASE
    WHEN r.run_uuid IN (SELECT run_uuid FROM named) THEN 'kept'
    WHEN coalesce(v.value, '') = 'trial' THEN iif(:everything, 'kept', 'trial')
    WHEN coalesce(v.value, '') NOT IN {MAKERS} THEN 'other'
    WHEN r.status IN {ENDED_BADLY} THEN iif(:everything, 'kept', 'failed')
    ELSE 'kept' END AS kind
  FROM runs r LEFT JOIN tags v ON v.key = 'mlops.verb' AND v.run_uuid = r.run_uuid
  WHERE r.lifecycle_stage = 'active' AND (
    r.run_uuid IN (SELECT run_uuid FROM named) OR r.experiment_id IN (
      SELECT experiment_id FROM experiments
      WHERE lifecycle_stage = 'active' AND name IN (SELECT value FROM json_each(:names))))
)
"""


def _open(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=5)


def _given(scope: Scope) -> dict[str, Any]:
    return {
        "names": json.dumps(scope.names),
        "run_ids": json.dumps(scope.run_ids),
        "everything": scope.everything,
    }


def page(
    file: Path, scope: Scope, by: str, greater_is_better: bool, limit: int, offset: int
) -> Page:
    """See `mlops_magics.store.leaderboard.page`.

    Raises
    ------
    sqlite3.Error
        If the file is not laid out as expected.
    """
    given = _given(scope)
    order = "DESC" if greater_is_better else "ASC"
    with closing(_open(file)) as database:
        counts = dict(
            database.execute(f"{_SCOPE} SELECT kind, count(*) FROM scope GROUP BY kind", given)
        )
        chosen = database.execute(
            f"{_SCOPE} SELECT s.run_uuid FROM scope s LEFT JOIN latest_metrics m "
            "ON m.key = :by AND m.run_uuid = s.run_uuid WHERE s.kind = 'kept' "
            f"ORDER BY coalesce(m.is_nan, 2), m.value {order}, s.start_time DESC, s.run_uuid "
            "LIMIT :limit OFFSET :offset",
            {**given, "by": by, "limit": limit, "offset": offset},
        )
        return Page(
            entries=_whole(database, [str(run_id) for (run_id,) in chosen]),
            total=int(counts.get("kept", 0)),
            trials=int(counts.get("trial", 0)),
            failed=int(counts.get("failed", 0)),
        )


def metrics(file: Path, scope: Scope) -> dict[str, int]:
    """See `mlops_magics.store.leaderboard.metrics`."""
    with closing(_open(file)) as database:
        rows = database.execute(
            f"{_SCOPE} SELECT m.key, count(*) FROM scope s JOIN latest_metrics m "
            "ON m.run_uuid = s.run_uuid WHERE s.kind = 'kept' GROUP BY m.key",
            _given(scope),
        )
        return {str(name): int(count) for name, count in rows}


def _whole(database: sqlite3.Connection, run_ids: Sequence[str]) -> tuple[Entry, ...]:
    """The runs with all that was logged, in the order given."""
    wanted = (json.dumps(run_ids),)
    these = "run_uuid IN (SELECT value FROM json_each(?))"
    logged: dict[str, dict[str, dict[str, Any]]] = {
        table: {run_id: {} for run_id in run_ids} for table in ("params", "latest_metrics", "tags")
    }
    for table, found in logged.items():
        column = "iif(is_nan, NULL, value)" if table == "latest_metrics" else "value"
        for run_id, key, value in database.execute(
            f"SELECT run_uuid, key, {column} FROM {table} WHERE {these}",
            wanted,
        ):
            found[run_id][key] = value
    facts = {
        row[0]: row
        for row in database.execute(
            "SELECT run_uuid, e.name, r.name, status, start_time, end_time, artifact_uri "
            f"FROM runs r JOIN experiments e USING (experiment_id) WHERE {these}",
            wanted,
        )
    }
    return tuple(
        Entry(
            run_id=run_id,
            experiment=str(facts[run_id][1]),
            name=str(facts[run_id][2] or ""),
            status=str(facts[run_id][3]),
            started=int(facts[run_id][4] or 0),
            ended=facts[run_id][5],
            artifacts=str(facts[run_id][6] or ""),
            params=ordered(logged["params"][run_id]),
            metrics=ordered({k: number(v) for k, v in logged["latest_metrics"][run_id].items()}),
            tags=ordered(logged["tags"][run_id]),
        )
        for run_id in run_ids
    )
