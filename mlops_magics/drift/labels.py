"""Whether the target is distributed as it was in training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mlops_magics.drift import report, shares
from mlops_magics.evidence import columns, splitting
from mlops_magics.records import DataCheck

#: Fewer rows of a class say little about it.
FEW = 30
#: Of a large shift, PSI less chance; of one that is worth a word (`report.Rule`).
_RULE = report.Rule()

_REMEDY = (
    "Precision, accuracy and every amount depend on it: judge it on rows as they come in "
    "production, or train on such rows."
)


def check(
    now: pd.Series, before: pd.Series | None, profile: Mapping[str, Any] | None, task: str
) -> DataCheck:
    """Hold the labels beside those of training.

    Parameters
    ----------
    before : Series or None
        The labels of training, where they can be had.
    profile : mapping or None
        Their profile, which is enough for numbers and named classes.
    task : str
        ``classification`` or ``regression``; found out from the labels where it is empty.
    """
    kind = task if task and task != "none" else splitting.task(now)
    if kind == "classification":
        known = _counts(before) if before is not None else _named(profile)
        return _classes(_counts(now), known)
    if profile is None:
        found = "The labels of training are not known, so these can't be compared with them."
        return DataCheck(name="labels", status="warned", found=found)
    (found_,) = report.compare({"target": profile}, now.to_frame("target"))
    status: Any = {"large": "failed", "changed": "failed", "moderate": "warned"}.get(
        found_["level"], "passed"
    )
    return DataCheck(
        name="labels",
        status=status,
        found=found_["reason"],
        remedy="" if status == "passed" else _REMEDY,
        facts={k: found_[k] for k in ("psi", "drift", "ks", "p") if k in found_},
    )


def _counts(values: pd.Series) -> dict[str, int]:
    """Class → rows; numbers by their value, whatever type holds them."""
    if columns.type_of(values) in ("integer", "number"):
        values = pd.Series(columns.numbers(values)).map(lambda v: f"{v:g}", na_action="ignore")
    counted = values.dropna().astype(str).value_counts()
    return {str(name): int(count) for name, count in counted.items() if count}


def _named(profile: Mapping[str, Any] | None) -> dict[str, int]:
    """As the profile has them; nothing where it counted classes together, or as numbers."""
    if profile is None or "categories" not in profile or profile["other"]:
        return {}
    return {str(name): int(count) for name, count in profile["categories"].items()}


def _classes(now: Mapping[str, int], before: Mapping[str, int]) -> DataCheck:
    facts: dict[str, Any] = {"now": dict(now), "before": dict(before)}
    if not before:
        found = "The labels of training are not known, so these can't be compared with them."
        return DataCheck(name="labels", status="warned", found=found, facts=facts)
    if new := {name: count for name, count in now.items() if name not in before}:
        what = ", ".join(f"{name!r} ({count:,} rows)" for name, count in list(new.items())[:5])
        return DataCheck(
            name="labels",
            status="failed",
            found=f"The model was trained without the class {what}, and can't answer with it.",
            remedy="Leave these rows out, or train on such rows too.",
            facts=facts,
        )
    names = list(before)
    was, is_ = (np.array([side.get(n, 0) for n in names], float) for side in (before, now))
    moved = shares.stability(was, is_)
    facts |= {"psi": moved.psi, "drift": moved.drift}
    told = _shares(names, was, is_)
    if moved.drift >= _RULE.moderate:
        return DataCheck(
            name="labels",
            status="failed" if moved.drift >= _RULE.large else "warned",
            found=f"{told} (PSI {moved.psi:.3f}).",
            remedy=_REMEDY,
            facts=facts,
        )
    if few := [n for n in names if now.get(n, 0) < FEW]:
        rarest = min(few, key=lambda n: now.get(n, 0))
        return DataCheck(
            name="labels",
            status="warned",
            found=f"Of {rarest!r} there are {now.get(rarest, 0)} rows only.",
            remedy="Figures of so few rows are uncertain: look at their intervals.",
            facts=facts,
        )
    return DataCheck(name="labels", status="passed", found=f"{told}.", facts=facts)


def _shares(names: list[str], before: np.ndarray, now: np.ndarray) -> str:
    """The class whose share moved most, in words."""
    was, is_ = before / before.sum(), now / max(now.sum(), 1.0)
    at = int(np.argmax(np.abs(is_ - was)))
    return f"{names[at]!r} is {is_[at]:.1%} of the rows, and was {was[at]:.1%} in training"
