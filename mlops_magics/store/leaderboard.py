"""The best runs by a metric, a page at a time, and the versions that came from them.

The embedded store is read as a file (`mlops_magics.store.embedded`); any other store, and a file
that is not laid out as expected, is asked through MLflow. Both give the same order: values, then
NaN, then no value; among equals the newest first.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from mlops_magics import settings
from mlops_magics.errors import MlopsError
from mlops_magics.store import embedded, runs, versions
from mlops_magics.store.entries import (
    ENDED_BADLY,
    MAKERS,
    Entry,
    Page,
    Scope,
    number,
    ordered,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

__all__ = ["Entry", "Page", "Scope", "knows", "metrics", "page", "read_json", "versions_of"]

#: Runs that MLflow is asked for at a time, and ids that one of its filters holds.
_AT_ONCE, _IDS = 200, 100
#: Runs that are looked at for the names of their metrics, where MLflow must be asked.
_NEWEST = 1000


def page(scope: Scope, by: str, greater_is_better: bool, limit: int, offset: int = 0) -> Page:
    """The runs of the scope from the `offset`-th best on; without `by` from the newest on."""
    runs.connect()  # makes and migrates the store if need be
    if (file := settings.load().database) is not None:
        try:
            return embedded.page(file, scope, by, greater_is_better, limit, offset)
        except sqlite3.Error:  # the layout of another release: MLflow knows its own
            pass
    return _ask(scope, by, greater_is_better, limit, offset)


def metrics(scope: Scope) -> dict[str, int]:
    """The metrics that these runs have, and how many runs have each.

    Where MLflow must be asked, the 1,000 newest runs are looked at.
    """
    runs.connect()
    if (file := settings.load().database) is not None:
        try:
            return embedded.metrics(file, scope)
        except sqlite3.Error:
            pass
    counts: dict[str, int] = {}
    for entry in _ask(scope, "", True, _NEWEST, 0).entries:
        for name in entry.metrics:
            counts[name] = counts.get(name, 0) + 1
    return counts


def versions_of(run_ids: Sequence[str]) -> dict[str, list[versions.Version]]:
    """Run → the registered versions that came from it, newest first."""
    found: dict[str, list[versions.Version]] = {}
    with runs.reaching("give its versions") as client:
        registered = [
            version
            for some in _portions(run_ids)
            for version in client.search_model_versions(f"run_id IN ({some})", max_results=1000)
        ]
        # The search returns versions without their aliases on some stores; the model has them.
        aliases: dict[tuple[str, int], list[str]] = {}
        for name in {str(v.name) for v in registered}:
            for alias, number in client.get_registered_model(name).aliases.items():
                aliases.setdefault((name, int(number)), []).append(str(alias))
    for one in registered:
        version = versions.of_mlflow(one, aliases.get((str(one.name), int(one.version)), []))
        found.setdefault(version.run_id, []).append(version)
    for same_run in found.values():
        same_run.sort(key=lambda v: (v.created, v.number), reverse=True)
    return found


def knows(name: str) -> bool:
    """Whether there is an experiment or a registered model of that name."""
    with runs.reaching("look for a name") as client:
        found = client.get_experiment_by_name(name)
    return (found is not None and found.lifecycle_stage == "active") or bool(versions.of(name))


def read_json(entry: Entry, path: str) -> Any:
    """A JSON artifact of a run; ``None`` where it has none that can be read."""
    uri = urlparse(entry.artifacts)
    try:
        if uri.scheme in ("", "file"):
            text = Path(unquote(uri.path), path).read_text(encoding="utf-8")
        else:
            text = runs.fetch(entry.run_id, path).read_text(encoding="utf-8")
        return json.loads(text)
    except (OSError, ValueError, MlopsError):
        return None


def _portions(run_ids: Sequence[str]) -> Iterable[str]:
    """The ids as lists that a filter of MLflow takes."""
    known = [f"'{run_id}'" for run_id in run_ids if run_id.isalnum()]
    for at in range(0, len(known), _IDS):
        yield ", ".join(known[at : at + _IDS])


def _ask(scope: Scope, by: str, greater: bool, limit: int, offset: int) -> Page:
    with runs.reaching("search its runs") as client:
        experiments = [e for name in scope.names if (e := client.get_experiment_by_name(name))]
        names = {str(e.experiment_id): str(e.name) for e in experiments}
        named = {*scope.run_ids}
        for name in scope.names:
            named |= {v.run_id for v in versions.of(name) if v.run_id}
        kept: list[Entry] = []
        left_out = {"trial": 0, "failed": 0, "other": 0}
        exhausted = True
        # They come in order, so it is enough to look until the page is full.
        for run in _stream(client, list(names), by, greater):
            kind = _kind(run, scope, named)
            if kind != "kept":
                left_out[kind] += 1
                continue
            kept.append(_entry(run, names[str(run.info.experiment_id)]))
            if len(kept) > offset + limit:
                exhausted = False
                break
        kept += _elsewhere(client, sorted(named), names)
    kept.sort(key=lambda entry: _place(entry, by, greater))
    return Page(
        entries=tuple(kept[offset : offset + limit]),
        total=len(kept) if exhausted else None,
        trials=left_out["trial"],
        failed=left_out["failed"],
    )


def _stream(
    client: MlflowClient, experiments: list[str], by: str, greater: bool
) -> Iterable[MlflowRun]:
    direction = "DESC" if greater else "ASC"
    order = [*([f"metrics.`{by}` {direction}"] if by else []), "attributes.start_time DESC"]
    token: str | None = None
    while experiments:
        found = client.search_runs(
            experiments, max_results=_AT_ONCE, order_by=order, page_token=token
        )
        yield from found
        token = found.token
        if not token:
            return


def _elsewhere(
    client: MlflowClient, run_ids: Sequence[str], names: Mapping[str, str]
) -> list[Entry]:
    """The named runs that are in none of the experiments `names`."""
    if not run_ids:
        return []
    others = {
        str(e.experiment_id): str(e.name)
        for e in client.search_experiments()
        if e.experiment_id not in names
    }
    found: list[Entry] = []
    for some in _portions(run_ids) if others else ():
        there = client.search_runs(list(others), f"attributes.run_id IN ({some})")
        found += [_entry(run, others[str(run.info.experiment_id)]) for run in there]
    return found


def _kind(run: MlflowRun, scope: Scope, named: set[str]) -> str:
    verb = run.data.tags.get("mlops.verb", "")
    if run.info.run_id in named:
        return "kept"
    if verb == "trial":
        return "kept" if scope.everything else "trial"
    if verb not in MAKERS:
        return "other"
    if run.info.status in ENDED_BADLY:
        return "kept" if scope.everything else "failed"
    return "kept"


def _place(entry: Entry, by: str, greater: bool) -> tuple[int, float, int, str]:
    value = entry.metrics.get(by)
    if value is None or math.isnan(value):
        return (2 if value is None else 1, 0.0, -entry.started, entry.run_id)
    return (0, -value if greater else value, -entry.started, entry.run_id)


def _entry(run: MlflowRun, experiment: str) -> Entry:
    return Entry(
        run_id=str(run.info.run_id),
        experiment=experiment,
        name=str(run.info.run_name or ""),
        status=str(run.info.status),
        started=int(run.info.start_time or 0),
        ended=run.info.end_time,
        artifacts=str(run.info.artifact_uri or ""),
        params=ordered(run.data.params),
        metrics=ordered({k: number(v) for k, v in run.data.metrics.items()}),
        tags=ordered(run.data.tags),
    )
