"""Views of single steps: data, runs, promotions, packages, deployments."""

from __future__ import annotations

import itertools
from typing import Any

from mlops_magics.doors.views import graphs, layers, used
from mlops_magics.doors.views.card import (
    Bars,
    Card,
    Status,
    Table,
    percent,
    short,
    show,
    size,
)
from mlops_magics.records import (
    Dataset,
    Logged,
    Package,
    Prediction,
    Record,
    Run,
)

#: How a run ended → its tone.
TONES: dict[str, Any] = {
    "finished": "good",
    "failed": "bad",
    "killed": "bad",
    "interrupted": "warn",
    "timed out": "bad",
    "running": "plain",
    "up": "good",
    "down": "bad",
    "stopped": "plain",
}
#: What is known of the cells that made a model → its tone.
STAMPS: dict[str, Any] = {"clean": "good", "stale": "warn"}


def plain(record: Record) -> Card:
    """Any record: its fields as they are."""
    body = record.to_dict()
    facts = {k: v for k, v in body.items() if k not in ("record", "schema_version", "warnings")}
    return Card(kind=body["record"], title="", facts=facts, notes=record.warnings)


def dataset(record: Dataset) -> Card:
    """Rows, target, split, and what each column holds."""
    split = record.split
    facts = {
        "rows": record.rows,
        "target": f"{record.target} ({record.task})" if record.target else "none",
        **({"positive class": record.positive} if record.positive is not None else {}),
        "split": f"{split.get('method', '')}: {show(split.get('train_rows'))} to train, "
        f"{show(split.get('test_rows'))} unseen, seed {split.get('seed', 0)}"
        if split
        else "none",
        "content": short(record.digest),
        **({"bound": ", ".join(record.bindings)} if record.bindings else {}),
    }
    table = columns(record)
    return Card(
        "Dataset", record.name, None, "", facts, (table,), record.warnings, f"run {record.run_id}"
    )


def columns(record: Dataset, title: str = "") -> Table:
    """What each column holds."""
    rows = [
        (
            column.name,
            column.type,
            percent(column.missing / record.rows) if column.missing else "–",
            column.distinct,
            _distribution(record.profile.get(column.name, {})),
            _summary(record.profile.get(column.name, {})),
        )
        for column in record.schema
    ]
    names = ("column", "type", "missing", "distinct", "distribution", "values")
    return Table(names, rows, title)


def _distribution(profile: Any) -> Any:
    histogram = profile.get("histogram") or {}
    counts, edges = histogram.get("counts"), histogram.get("edges") or ()
    if counts and sum(counts):
        labels = [f"{show(float(a))} to {show(float(b))}" for a, b in itertools.pairwise(edges)]
        return _one_sided(labels, counts)
    categories = profile.get("categories") or {}
    top = dict(sorted(categories.items(), key=lambda kv: -kv[1])[:12])
    return _one_sided(list(top), list(top.values())) if top and len(categories) <= 50 else "–"


def _one_sided(labels: list[str], counts: list[int]) -> Bars:
    total = sum(counts) or 1
    shares = [c / total for c in counts]
    return Bars(labels, shares, shares)


def _summary(profile: Any) -> str:
    if profile.get("mean") is not None:
        low, mean, high = (show(float(profile[k])) for k in ("min", "mean", "max"))
        return f"{low} … {high}, mean {mean}"
    categories = sorted((profile.get("categories") or {}).items(), key=lambda kv: -kv[1])
    shown = ", ".join(f"{k} {show(v)}" for k, v in categories[:3])
    return shown + (" …" if len(categories) > 3 else "")


def run(record: Run) -> Card:
    """The model, its metrics on unseen rows, and how far the record can be trusted."""
    stamp, _, why = str(record.trust.get("cells", "")).partition(": ")
    metrics = Table(
        ("metric on unseen rows", "value"), [(k, float(v)) for k, v in record.metrics.items()]
    )
    facts = {
        **({"model": f"{record.model} (@candidate)"} if record.model else {}),
        **({"estimator": record.estimator} if record.estimator else {}),
        **({"data": f"{record.dataset} {short(record.digest)}"} if record.dataset else {}),
        **record.trust,
        **({"cells": Status(stamp, STAMPS.get(stamp, "plain"))} if stamp else {}),
        "took": used.line(record.resources),
        "parameters": f"{len(record.params)} recorded" if record.params else "none recorded",
    }
    return Card(
        "Run",
        record.name,
        Status(record.status, TONES.get(record.status, "plain")),
        "",
        facts,
        (metrics,),
        (*filter(None, [why]), *record.warnings),
        f"run {record.run_id}",
    )


def logged(record: Logged) -> Card:
    """What was added, and to which run."""
    values = Table(
        ("kind", "name", "value"),
        [
            *(("metric", k, show(float(v))) for k, v in record.metrics.items()),
            *(("parameter", k, show(v)) for k, v in record.params.items()),
            *(("tag", k, v) for k, v in record.tags.items()),
            *(("file", f, "attached") for f in record.files),
        ],
    )
    facts = {} if record.step is None else {"step": record.step}
    return Card(
        "Logged", record.name, None, "", facts, (values,), record.warnings, f"run {record.run_id}"
    )


def package(record: Package) -> Card:
    """Where it lies and what is in it."""
    facts = {
        "kind": record.kind,
        "path": record.path,
        "size": size(record.size),
        "content": short(record.digest),
        **({"files": len(record.files)} if record.files else {}),
        **({"tag": record.tag} if record.tag else {}),
        **({"pushed": record.pushed} if record.pushed else {}),
        "replayed": "on the input example, same answers" if record.replayed else "not replayed",
        **graphs.facts(record.measured),
        **layers.facts(record),
    }
    return Card(
        "Package",
        record.model,
        Status("replayed", "good") if record.replayed else Status("not replayed", "warn"),
        "",
        facts,
        (*graphs.tables(record.measured), *layers.tables(record)),
        record.warnings,
        f"run {record.run_id}",
    )


def prediction(record: Prediction) -> Card:
    """The answers, the first twenty."""
    rows = [(i, show(p)) for i, p in enumerate(record.predictions[:20])]
    facts = {"model": record.model, "rows": len(record.predictions)}
    if record.latency_ms:
        facts["took"] = f"{record.latency_ms:.1f} ms"
    more = len(record.predictions) - len(rows)
    return Card(
        "Prediction",
        record.deployment,
        None,
        "",
        facts,
        (Table(("row", "prediction"), rows),),
        [*record.warnings, *([f"{more} more rows are not shown."] if more > 0 else [])],
        f"request {record.request_id}" if record.request_id else "",
    )
