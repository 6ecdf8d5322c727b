"""Child runs, many at a time: the trials of a search below the run of the search.

MLflow's client takes three calls and as many transactions for one finished run, which is more than
a quick trial itself takes. Into the embedded store a whole batch is written in one transaction; a
server, or a store whose tables are not as expected, gets it through the client.
"""

from __future__ import annotations

import hashlib
import math
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.entities import Metric, Param
from mlflow.store.tracking import SEARCH_MAX_RESULTS_THRESHOLD

from mlops_magics import settings
from mlops_magics.store import runs

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: The tag by which a child is found again: the key that its caller gave it.
KEY = "mlops.child"
GROUP = "mlops.group"

# MLflow's limits of a name's letters, and of what one call takes.
_KEY, _BATCH = 250, 100

#: How many runs are sent to a server at a time.
_AT_ONCE = 8


@dataclass(frozen=True, kw_only=True)
class Child:
    """A run that has ended.

    Attributes
    ----------
    key : str
        Tells it from its siblings: of two with one key in one group only the first is written.
    status : str
        ``finished``, ``failed``, ``interrupted`` or ``killed``.
    started, ended : int
        Milliseconds since the epoch, UTC.
    metrics : sequence
        Name, value, step, and milliseconds since the epoch.
    """

    key: str
    name: str
    status: str
    started: int
    ended: int
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Sequence[tuple[str, float, int, int]] = ()
    tags: Mapping[str, Any] = field(default_factory=dict)


def write(parent: str, group: str, children: Sequence[Child]) -> dict[str, str]:
    """Write ended runs below `parent`; those of the group that are there already are left alone.

    Parameters
    ----------
    parent : str
        The run id of the parent.
    group : str
        What the keys are unique in, such as the id of a search.

    Returns
    -------
    dict
        Key → run id, of all that were given.

    Raises
    ------
    StoreUnreachable
        If the store does not take them; none of a batch is there then in an embedded store.
    """
    if not children:
        return {}
    with runs.reaching("take child runs") as client:
        file = settings.load().database
        if file is not None:
            try:
                return _insert(file, client, parent, group, children)
            except sqlite3.OperationalError:
                pass  # other tables than this release knows, or locked for long: the client's turn
        return _call(client, parent, group, children)


def active() -> str:
    """The id of the run to which the user's own `mlflow.log_*` calls go; empty for none."""
    run = mlflow.active_run()
    return run.info.run_id if run else ""


def adopt(parent: str, outer: str) -> None:
    """End the runs that the user's own `mlflow` calls opened since `outer`, and put them below.

    Left open, they would take the calls of the next trial too, and refuse its parameters.
    """
    if active() == outer:
        return
    with runs.reaching("close a run"):
        while active() not in (outer, ""):
            mlflow.set_tag("mlflow.parentRunId", parent)
            mlflow.end_run()


def of(experiment: str, group: str) -> dict[str, str]:
    """Key → run id of the children of a group that the store has whole."""
    with runs.reaching("search its runs") as client:
        found = client.get_experiment_by_name(experiment)
        present = _present(client, str(found.experiment_id), group) if found else {}
        return {key: run_id for key, (run_id, whole) in present.items() if whole}


def _present(
    client: MlflowClient, experiment_id: str, group: str, since: int = 0
) -> dict[str, tuple[str, bool]]:
    """Key → run id, and whether it is whole: a run that is still open was cut off."""
    present: dict[str, tuple[str, bool]] = {}
    token = None
    while True:
        page = client.search_runs(
            [experiment_id],
            filter_string=f"tags.`{GROUP}` = '{group}' and attributes.start_time >= {since}",
            max_results=SEARCH_MAX_RESULTS_THRESHOLD,
            page_token=token,
        )
        present |= {
            str(r.data.tags[KEY]): (str(r.info.run_id), r.info.status != "RUNNING") for r in page
        }
        token = page.token
        if not token:
            return present


def _tags(child: Child, parent: str, group: str) -> dict[str, str]:
    tags = {
        "mlflow.runName": child.name,
        "mlflow.parentRunId": parent,
        GROUP: group,
        KEY: child.key,
        "mlops.status": child.status,
        **child.tags,
    }
    return {_key(k): runs.short_param(v) for k, v in tags.items()}


def _params(child: Child) -> dict[str, str]:
    return {_key(k): runs.short_param(v) for k, v in child.params.items()}


def _key(name: str) -> str:
    """A name as MLflow takes it."""
    return re.sub(r"[^\w\-. :/]", "_", name)[:_KEY]


# The embedded store.


def _insert(
    file: Path,
    client: MlflowClient,
    parent: str,
    group: str,
    children: Sequence[Child],
) -> dict[str, str]:
    above = client.get_run(parent).info
    experiment_id = int(above.experiment_id)
    place = str(above.artifact_uri).rstrip("/").removesuffix(f"/{parent}/artifacts")
    # The id follows from group and key, so that a second writing finds the first.
    ids = {c.key: hashlib.sha256(f"{group}/{c.key}".encode()).hexdigest()[:32] for c in children}
    with closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        try:
            marks = ",".join("?" * len(ids))
            query = f"SELECT run_uuid FROM runs WHERE run_uuid IN ({marks})"  # noqa: S608
            there = {row[0] for row in database.execute(query, [*ids.values()])}
            new = [c for c in children if ids[c.key] not in there]
            database.executemany(
                "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, "
                "user_id, status, start_time, end_time, source_version, lifecycle_stage, "
                "artifact_uri, experiment_id) "
                "VALUES (?, ?, 'UNKNOWN', '', '', ?, ?, ?, ?, '', 'active', ?, ?)",
                [
                    (
                        ids[c.key],
                        c.name[:_KEY],
                        above.user_id,
                        runs.STATUS[c.status],
                        c.started,
                        c.ended,
                        f"{place}/{ids[c.key]}/artifacts",
                        experiment_id,
                    )
                    for c in new
                ],
            )
            database.executemany(
                "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)",
                [(k, v, ids[c.key]) for c in new for k, v in _tags(c, parent, group).items()],
            )
            database.executemany(
                "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)",
                [(k, v, ids[c.key]) for c in new for k, v in _params(c).items()],
            )
            rows = [(ids[c.key], *row) for c in new for row in _metrics(c)]
            database.executemany(
                "INSERT INTO metrics (run_uuid, key, step, timestamp, value, is_nan) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )
            # The rows of one metric are ordered, so the last is its latest.
            database.executemany(
                "INSERT INTO latest_metrics (run_uuid, key, step, timestamp, value, is_nan) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                list({row[:2]: row for row in rows}.values()),
            )
            database.execute("COMMIT")
        except BaseException:
            database.execute("ROLLBACK")
            raise
    return ids


def _metrics(child: Child) -> Iterable[tuple[str, int, int, float, bool]]:
    """As MLflow keeps them, in the order in which it would call one newer than another."""
    found = set()
    for name, value, step, at in child.metrics:
        # What SQL has no number for is kept as MLflow does: NaN marked, infinity as the largest.
        largest = math.copysign(1.7976931348623157e308, value) if math.isinf(value) else value
        kept = 0.0 if math.isnan(value) else largest
        found.add((_key(name), step, at, kept, math.isnan(value)))
    return sorted(found)


# Any store.


def _call(
    client: MlflowClient, parent: str, group: str, children: Sequence[Child]
) -> dict[str, str]:
    experiment_id = str(client.get_run(parent).info.experiment_id)
    # A batch that was cut off is given again, with the same times.
    present = _present(client, experiment_id, group, min(c.started for c in children))

    def one(child: Child) -> str:
        run_id, whole = present.get(child.key, ("", False))
        return run_id if whole else _call_one(client, experiment_id, parent, group, child, run_id)

    # A server takes several at a time, and most of a call is waiting for its answer.
    server = settings.load().tracking_uri.startswith(("http://", "https://"))
    with ThreadPoolExecutor(_AT_ONCE if server else 1) as threads:
        ids = list(threads.map(one, children))
    return {child.key: run_id for child, run_id in zip(children, ids, strict=True)}


def _call_one(
    client: MlflowClient, experiment_id: str, parent: str, group: str, child: Child, run_id: str
) -> str:
    """Write one run; into the run of that id where a writing was cut off."""
    if not run_id:
        run = client.create_run(
            experiment_id,
            start_time=child.started,
            run_name=child.name,
            tags=_tags(child, parent, group),
        )
        run_id = str(run.info.run_id)
    metrics = [Metric(_key(n), v, at, step) for n, v, step, at in child.metrics]
    params = [Param(k, v) for k, v in _params(child).items()]
    for at in range(0, max(len(metrics), len(params)), _BATCH):
        block = slice(at, at + _BATCH)
        client.log_batch(run_id, metrics=metrics[block], params=params[block])
    client.set_terminated(run_id, runs.STATUS[child.status], end_time=child.ended)
    return run_id
