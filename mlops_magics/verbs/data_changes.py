"""What differs between the data of two trainings: content, schema, split, distributions."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from mlops_magics import store
from mlops_magics.errors import MlopsError
from mlops_magics.records import Dataset

log = logging.getLogger("mlops_magics")

#: What of a split is compared; the digests tell of the rows themselves.
_SPLIT = ("method", "seed", "group", "time", "train_rows", "test_rows", "test_digest")


def compare(before: Dataset | None, after: Dataset | None) -> dict[str, Any]:
    """See `records.Changes.data`."""
    found: dict[str, Any] = {"same": None, "before": _facts(before), "after": _facts(after)}
    if before is None or after is None:
        return found
    found["same"] = before.digest == after.digest
    found["split"] = {
        key: [before.split.get(key), after.split.get(key)]
        for key in _SPLIT
        if before.split.get(key) != after.split.get(key)
    }
    if before.target != after.target:
        found["target"] = [before.target, after.target]
    if found["same"]:
        return found
    old = {column.name: column.type for column in before.schema}
    new = {column.name: column.type for column in after.schema}
    found["columns"] = {
        "added": {name: type for name, type in new.items() if name not in old},
        "removed": {name: type for name, type in old.items() if name not in new},
        "retyped": [
            {"name": name, "before": old[name], "after": new[name]}
            for name in new
            if name in old and old[name] != new[name]
        ],
    }
    both = {n: p for n, p in before.profile.items() if n in old and n in new}
    found["distributions"], found["compared"] = _distributions(both, after)
    return found


def _facts(dataset: Dataset | None) -> dict[str, Any] | None:
    if dataset is None:
        return None
    return {
        "name": dataset.name,
        "digest": dataset.digest,
        "rows": dataset.rows,
        "run_id": dataset.run_id,
    }


def _distributions(profile: Mapping[str, Any], after: Dataset) -> tuple[list[dict[str, Any]], str]:
    """Column by column how far the training rows moved, and what that was read from."""
    from mlops_magics.drift import report

    try:
        log.info("Reading the rows of %s", after.name)
        rows, _ = store.datasets.frames(after)
    except MlopsError as error:
        both = {n: (p, after.profile[n]) for n, p in profile.items() if n in after.profile}
        found = [_of_profiles(name, old, new) for name, (old, new) in both.items()]
        return found, f"the recorded profiles ({error.message})"
    moved = report.compare(profile, rows)
    # To monitoring, what was before is the training; here both are.
    said = [{**f, "reason": f["reason"].replace(" in training", " before")} for f in moved]
    return said, "the training rows"


def _of_profiles(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What two profiles tell of a column: means, spread and gaps, but no test."""
    missing = [p["missing"] / p["rows"] if p["rows"] else None for p in (before, after)]
    found: dict[str, Any] = {
        "name": name,
        "type": after["type"],
        "drifted": False,
        "level": "not judged",
        "reference_missing": missing[0],
        "missing": missing[1],
    }
    moved = [f"missing {missing[0]:.1%} → {missing[1]:.1%}"] if _differ(*missing) else []
    for figure in ("mean", "std", "min", "max", "distinct"):
        old, new = before.get(figure), after.get(figure)
        if isinstance(old, int | float) and isinstance(new, int | float) and old != new:
            moved.append(f"{figure} {old:.4g} → {new:.4g}")
    if "mean" in before and "mean" in after:
        found |= {"reference_mean": before["mean"], "mean": after["mean"]}
    return found | {"reason": "; ".join(moved) or "The profiles are alike."}


def _differ(before: float | None, after: float | None) -> bool:
    return before is not None and after is not None and abs(before - after) >= 0.001
