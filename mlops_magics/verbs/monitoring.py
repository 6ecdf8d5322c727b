"""`monitor`: what comes to a model, beside what it was trained on."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mlops_magics import alerts, goals, records, store
from mlops_magics.errors import BadGoal
from mlops_magics.records import Deployment, Monitoring
from mlops_magics.verbs import alerting, beside, goal_texts, observing, repeating
from mlops_magics.verbs.closely import Ways
from mlops_magics.verbs.declaration import Data, DeploymentName, is_given, verb
from mlops_magics.verbs.steps import Step, step

if TYPE_CHECKING:
    from mlops_magics.goals.goal import Goal
    from mlops_magics.store.versions import Version

log = logging.getLogger("mlops_magics")

#: Characters that MLflow takes in the name of a metric.
_METRIC_NAME = re.compile(r"[\w\-./: ]+", re.ASCII)


@verb(body="thresholds")
def monitor(
    name: DeploymentName,
    *,
    since: str = "7d",
    data: Data = "",
    labels: Data = "",
    on: str = "",
    thresholds: str = "",
    exact: bool = False,
    window: str = "",
    time: str = "",
    by: str = "",
    multivariate: bool = False,
    alert: Sequence[str] = (),
    remind: str = "",
    watch: bool = False,
    every: str = "1h",
) -> Monitoring:
    """Compare what comes to a model with what it was trained on.

    Drift of each feature and of the predictions, data quality, latency and errors of the service
    and, once labels are given, the measured performance. While labels are wanting, performance is
    estimated from rows that were held out: it does not see a change in what the inputs mean.

    Parameters
    ----------
    name : deployment
        The deployment whose captured requests are looked at; with `data` a model will do.
    since : str
        Where to begin: ``7d``, ``12h``, ``30m`` or a date; empty for all time.
    data : data, optional
        Rows to look at in place of captured requests. A Parquet or Feather file of more than a
        million is read in parts.
    labels : data, optional
        The truth, as it is known by now: a column of labels, and one of keys.
    on : str, optional
        The key by which labels belong to rows; ``request_id`` by default.
    thresholds : str, optional
        What must hold, one goal a line, or a file of them: ``drift(Income) <= 0.2``,
        ``p95_latency <= 20 ms``, ``error_rate <= 1%``, ``missing(Income) <= 10%``,
        ``roc_auc >= 0.75`` with labels, ``estimated(roc_auc) >= 0.75`` without.
        Where no threshold is given, no feature may have drifted.
    exact : bool
        Compare with the rows of training themselves, as scipy does, and not with their profile.
    window : str, optional
        Cut the rows into windows of this length (``1d``, ``1h``, ``1w``), judge each, and name
        the one in which a feature changed. Without thresholds the newest must not have drifted.
    time : str, optional
        The column of given data by which it is cut; captured rows have a time of their own.
    by : str, optional
        Judge each segment of this column beside the rows of training of the same segment; more
        than ten numbers are cut at the quarters of training.
    multivariate : bool
        Have a classifier tell the rows from those of training, which sees how columns go
        together; a threshold such as ``multivariate_drift <= 0.6`` (its AUC) asks for it too.
    alert : sink, optional
        Whom to tell when a threshold breaks, and when all is well again; as often as needed, beside
        the setting ``alerts``: ``command:./page-me.sh`` (the record on its standard input),
        ``https://…`` (the record as a POST), ``slack:https://…``, ``mailto:team@example.org`` (the
        setting ``smtp``). ``env:NAME`` takes one from a variable, so that its key stands nowhere.
    remind : str, optional
        Tell again of what stays broken after so long: ``1d``; by default only what changes is told.
    watch : bool
        Look again and again until Ctrl-C; then the last record stands.
    every : str
        How often, with `watch`: ``1h``, ``15m``.

    Returns
    -------
    Monitoring

    Raises
    ------
    UnknownName
        If there is no such deployment, model, data or column.
    BadGoal
        If a threshold can't be read.
    WrongUsage
        If `since` is no time, `window`, `remind` or `every` no span of it or `alert` no place, or
        labels can't be joined.
    """
    # Only a name comes from the command line; a notebook may hand over a record.
    called = name.name if isinstance(name, Deployment) else str(name)
    asked_for = _thresholds(thresholds)
    ways = Ways(window=window, time=time, by=by, multivariate=multivariate)
    ways.check()
    sinks = alerts.sending.read([alert] if isinstance(alert, str) else alert)
    again = observing.span(remind) if remind else None
    given = is_given(data)
    arguments = {"name": called, "since": since, "data": data, "labels": labels, "on": on}
    arguments |= {"thresholds": thresholds, "exact": exact, "window": window, "time": time}
    arguments |= {"by": by, "multivariate": multivariate}
    arguments |= {"alert": sinks.labels, "remind": remind}

    def look() -> Monitoring:
        begin = observing.beginning(since)
        deployment, version = observing.find(called, captured=not given)
        training = store.datasets.by_run(version.dataset_run) if version.dataset_run else None
        follows = [version.run_id, deployment.run_id if deployment else ""]
        with step(
            "monitor", experiment=version.name, arguments=arguments, follows=follows
        ) as current:
            beside_it = beside.Look(version, training)
            if deployment is None or given:
                seen = beside_it.given(data)
            else:
                seen = observing.captured(deployment, begin)
            record = beside_it.judge(seen, labels, on, asked_for, exact=exact, ways=ways)
            record = replace(
                record,
                deployment=called,
                since="" if given or begin is None else begin.isoformat(timespec="seconds"),
                until=records.now(),
                run_id=current.run_id,
            )
            record = alerting.told(current, record, sinks, again)
            _keep(current, version, record, thresholds)
        return record

    if watch:
        return repeating.until_stopped(look, observing.span(every))
    log.info("Looking at %s", "the given data" if given else f"the requests to {called}")
    return look()


def _thresholds(text: str) -> tuple[Goal, ...]:
    asked_for = goals.grammar.parse(goal_texts.read(text)) if text.strip() else ()
    for goal in asked_for:
        if goal.reference:
            raise BadGoal(
                f"{goal.text!r} compares with the {goal.reference}, and nothing else answered the "
                "same requests.",
                "Give a number here; `validate` compares models.",
            )
    return asked_for


def _keep(current: Step, version: Version, record: Monitoring, thresholds: str) -> None:
    """Store the record with its run."""
    drifted = [f["name"] for f in record.features if f["drifted"]]
    current.json("monitoring.json", record)
    if thresholds.strip():
        current.text(goal_texts.FILE, goal_texts.read(thresholds))
    figures: dict[str, float] = {
        f"drift/{f['name']}": f["drift"] for f in record.features if f.get("drift") is not None
    }
    figures |= {"rows": record.rows, "drifted": len(drifted)}
    figures |= dict(record.performance.get("metrics", {}))
    estimated = record.performance.get("estimated", {}).get("metrics", {})
    figures |= {f"estimated/{name}": found["value"] for name, found in estimated.items()}
    figures |= {f"latency_ms/{k}": v for k, v in record.service.get("latency_ms", {}).items()}
    if record.multivariate.get("auc") is not None:
        figures["multivariate_drift"] = record.multivariate["auc"]
    if record.service.get("error_rate") is not None:
        figures["error_rate"] = record.service["error_rate"]
    current.metrics({k: v for k, v in figures.items() if _METRIC_NAME.fullmatch(k)})
    current.tags(
        {
            "mlops.model": version.ref,
            "mlops.deployment": record.deployment,
            "mlops.passed": str(record.passed).lower(),
        }
    )
    current.summary = {
        "model": version.ref,
        "passed": record.passed,
        "rows": record.rows,
        "drifted": ", ".join(drifted) or None,
        "changes": " ".join(c["reason"] for c in record.changes[:3]) or None,
        "told": ", ".join(a["sink"] for a in record.alerts if a["status"] == "sent") or None,
    }
    current.extra["monitoring"] = {
        "passed": record.passed,
        "rows": record.rows,
        "drifted": drifted,
        "service": {k: v for k, v in record.service.items() if k != "over_time"},
        "performance": record.performance,
        "goals": record.goals,
        "multivariate": record.multivariate,
        "changes": record.changes,
        "alerts": record.alerts,
    }
