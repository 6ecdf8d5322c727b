"""`status`: everything at a glance."""

from __future__ import annotations

from typing import Any

from mlops_magics import settings, store, targets
from mlops_magics.records import Overview
from mlops_magics.verbs import approving, releasing, scheduled_runs
from mlops_magics.verbs.declaration import verb


@verb()
def status() -> Overview:
    """Show models, aliases, last verdicts, deployments and their health, and schedules.

    Runs whose process is gone are closed as killed, and runs that were kept while the store was
    away are delivered; both are named.

    Returns
    -------
    Overview
    """
    closed = store.outbox.sweep()
    delivered = store.outbox.deliver_kept()
    kept = [f"Run {p.run_id} is kept in {p.folder}: not delivered." for p in store.outbox.kept()]
    return Overview(
        store=settings.load().tracking_uri,
        models=tuple(_model(name) for name in store.versions.names()),
        deployments=tuple(releasing.keep_stopped(d) for d in targets.state.all()),
        schedules=tuple(scheduled_runs.all()),
        closed_runs=tuple(closed),
        delivered=tuple(d.run_id for d in delivered),
        warnings=(*(n for d in delivered for n in d.notes), *kept),
    )


def _model(name: str) -> dict[str, Any]:
    versions = store.versions.of(name)
    if not versions:
        return {"name": name, "version": 0, "aliases": [], "verdict": None}
    newest = versions[0]
    passed = newest.tags.get("mlops.verdict.passed")
    return {
        "name": name,
        "version": newest.number,
        "aliases": [f"{a} = {v.number}" for v in versions for a in v.aliases],
        "verdict": None if passed is None else passed.lower() == "true",
        "estimator": newest.estimator,
        "metric": newest.tags.get("mlops.metric", ""),
        "held": [
            {
                "version": request.version,
                "alias": request.alias,
                "agreed": len(request.approvals),
                "needed": request.told["needed"],
            }
            for request in approving.waiting(name)
        ],
    }
