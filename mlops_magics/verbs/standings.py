"""What is known of each run in a comparison, and whether its figures can be set beside others."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mlops_magics import store
from mlops_magics.errors import MlopsError

if TYPE_CHECKING:
    from mlops_magics.store.entries import Entry
    from mlops_magics.store.versions import Version

#: Parameters that only repeat what the estimator is made of.
_STRUCTURE = frozenset({"steps", "transformers", "transformer_list", "estimators"})
#: What is taken for the main metric where none was named, in this order among equally frequent.
_USUAL = (
    *("roc_auc", "average_precision", "balanced_accuracy", "accuracy", "f1", "log_loss"),
    *("rmse", "mae", "r2"),
)
#: How MLflow says that a run ended, where we did not say it ourselves.
_STATUS = {"KILLED": "killed", "FAILED": "failed", "FINISHED": "finished"}


def rows(
    entries: Sequence[Entry],
    versions: Mapping[str, Sequence[Version]],
    *,
    names: Sequence[str],
    by: str,
    offset: int,
) -> list[dict[str, Any]]:
    """One row a run, as `records.Comparison` has them.

    Parameters
    ----------
    names : sequence of str
        The models that were asked for: a run of several versions is shown as the one of these.
    """
    found: list[dict[str, Any]] = []
    for place, entry in enumerate(entries):
        own = versions.get(entry.run_id, ())
        version = next((v for v in own if v.name in names), own[0] if own else None)
        found.append({"rank": None, **_row(entry, version, by)})
        figure = entry.metrics.get(by)
        if figure is not None and not math.isnan(figure):
            before = found[-2] if place else None
            tied = before is not None and before["metrics"].get(by) == figure
            found[-1]["rank"] = before["rank"] if tied and before else offset + place + 1
    measured = [test_rows(e, versions.get(e.run_id, ())) for e in entries]
    reference = next((digest for digest in measured if digest), "")
    for row, measured_on in zip(found, measured, strict=True):
        row["comparable"] = measured_on == reference if measured_on and reference else None
        name = row["model"] or row["name"] or row["run_id"][:8]
        row["label"] = f"{row['rank']}. {name}" if row["rank"] else str(name)
    labels = [row["label"] for row in found]
    for row in found:
        if labels.count(row["label"]) > 1:
            row["label"] += f" ({row['run_id'][:8]})"
    return found


def _row(entry: Entry, version: Version | None, by: str) -> dict[str, Any]:
    tags = {**entry.tags, **(version.tags if version else {})}
    record = store.leaderboard.read_json(entry, "mlops/record.json") if _ours(entry) else None
    known = record if isinstance(record, dict) else {}
    resources = known.get("resources") or {}
    whole = (entry.ended - entry.started) / 1000 if entry.ended else None
    passed = tags.get("mlops.verdict.passed", "")
    return {
        "model": version.ref if version else None,
        "run_id": entry.run_id,
        "name": entry.name,
        "aliases": list(version.aliases) if version else [],
        "estimator": tags.get("mlops.estimator") or known.get("estimator") or "",
        "params": {k: value(v) for k, v in entry.params.items()},
        "metrics": dict(sorted(entry.metrics.items(), key=lambda m: m[0] != by)),
        "duration": resources.get("wall_s", whole),
        "resources": resources,
        "dataset": tags.get("mlops.dataset", ""),
        "digest": entry.tags.get("mlops.digest", ""),
        "verdict": {"true": "passed", "false": "failed"}.get(passed.lower(), ""),
        "size": int(tags["mlops.size"]) if tags.get("mlops.size", "").isdigit() else None,
        "trust": tags.get("mlops.trust", ""),
        "trust_reason": tags.get("mlops.trust_reason", ""),
        "reproduction": tags.get("mlops.reproduction", ""),
        "started": _iso(entry.started),
        "actor": tags.get("mlops.actor") or tags.get("mlflow.user", ""),
        "status": tags.get("mlops.status") or _STATUS.get(entry.status, entry.status.lower()),
    }


def _ours(entry: Entry) -> bool:
    return "mlops.verb" in entry.tags


def value(text: str) -> Any:
    """A parameter as it was before MLflow made it text, where that can be told."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if found is None or isinstance(found, bool | int | float) else text


def _iso(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def place(metric: str) -> int:
    """Where a metric stands among those that people usually look at first."""
    return _USUAL.index(metric) if metric in _USUAL else len(_USUAL)


def usual(counts: Mapping[str, int]) -> str:
    """The most frequent of the usual metrics, else of all; empty when there is none.

    Parameters
    ----------
    counts : mapping
        Metric → how many runs have it.
    """
    known = [name for name in counts if name in _USUAL]
    own = [name for name in counts if not name.startswith("system/")]
    return min(known or own, key=lambda name: (-counts[name], place(name), name), default="")


def dataset_run(entry: Entry, versions: Sequence[Version]) -> str:
    """The `prepare` run of the data that a run used; empty where it is not recorded."""
    prepared = versions[0].dataset_run if versions else ""
    if prepared or not entry.tags.get("mlops.digest"):
        return prepared
    return entry.tags.get("mlops.follows", "").partition(" ")[0]


def test_rows(entry: Entry, versions: Sequence[Version]) -> str:
    """What the metrics were measured on: the test rows' digest, as far as it is recorded."""
    if entry.tags.get("mlops.verb") == "trial":  # its search keeps rows back for all its trials
        return f"held back by {entry.tags.get('mlops.group')}"
    digest = entry.tags.get("mlops.digest", "")
    prepared = dataset_run(entry, versions)
    if not digest or not prepared:
        return digest
    try:
        return str(store.datasets.by_run(prepared).split.get("test_digest") or digest)
    except MlopsError:
        return digest


def varying(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The parameters of which these rows have more than one value, those most rows have first."""
    seen: dict[str, list[str]] = {}
    for row in rows:
        for name, value in row["params"].items():
            seen.setdefault(name, []).append(repr(value))
    found = [
        name
        for name, values in seen.items()
        if len(set(values)) > 1 and name.rpartition("__")[2] not in _STRUCTURE
    ]
    return tuple(sorted(found, key=lambda name: (-len(seen[name]), name)))


def curves(rows: Sequence[Mapping[str, Any]], entries: Sequence[Entry]) -> dict[str, Any]:
    """Kind of curve → label → points, of those of the rows that have any."""
    found: dict[str, dict[str, Any]] = {}
    for row, entry in zip(rows, entries, strict=True):
        kept = store.leaderboard.read_json(entry, "mlops/curves.json") if _ours(entry) else None
        for kind, points in (kept if isinstance(kept, dict) else {}).items():
            if kind != "rows":
                found.setdefault(kind, {})[row["label"]] = points
    return found
