"""The groups of a column, and which of them can be judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mlops_magics.errors import did_you_mean
from mlops_magics.goals.goal import Goal
from mlops_magics.goals.metrics import Metric
from mlops_magics.goals.parties import Party
from mlops_magics.goals.samples import Array, Undefined

#: A group of fewer rows says too little to be judged.
SMALLEST = 30
#: A column with more values than this names no groups.
MOST = 50


@dataclass(frozen=True)
class Group:
    """The rows that share a value; ``label`` as it is shown."""

    label: str
    rows: Array


@dataclass(frozen=True)
class Split:
    """The groups of a column: those to be judged, and why the others are not.

    Attributes
    ----------
    unmeasured : mapping
        Label → reason; a goal fails for these.
    empty : tuple of str
        Left out, as the user allowed.
    """

    groups: tuple[Group, ...]
    unmeasured: dict[str, str]
    empty: tuple[str, ...]


def split(features: pd.DataFrame, column: str) -> list[Group]:
    """The groups of a column, in order of their value; a missing value is a group too.

    A category that the column declares and no row has is an empty group.

    Raises
    ------
    Undefined
        If there is no such column, or it has too many values.
    """
    if column not in features.columns:
        raise Undefined(
            f"there is no column {column!r} to group by. "
            f"{did_you_mean(column, map(str, features.columns))}"
        )
    values = features[column]
    declared = values.cat.categories if isinstance(values.dtype, pd.CategoricalDtype) else None
    codes, kinds = pd.factorize(values, sort=declared is not None or _sortable(values))
    if len(kinds) > MOST:
        raise Undefined(
            f"{column} has {len(kinds)} different values, which are too many groups "
            f"({MOST} at most): make a column of ranges first"
        )
    groups = [Group(f"{column} = {k}", np.flatnonzero(codes == i)) for i, k in enumerate(kinds)]
    if declared is not None:
        unused = [k for k in declared if k not in set(kinds)]
        groups += [Group(f"{column} = {k}", np.array([], dtype=int)) for k in unused]
    if (codes == -1).any():
        groups.append(Group(f"{column} missing", np.flatnonzero(codes == -1)))
    return groups


def _sortable(values: pd.Series) -> bool:
    return pd.api.types.infer_dtype(values, skipna=True) not in ("mixed", "mixed-integer")


def parts(goal: Goal, metric: Metric, subject: Party, allow_small: bool) -> Split:
    """The groups that a goal asks for.

    Raises
    ------
    Undefined
        If they can't be told.
    """
    features = subject.subject.features
    if features is None:
        raise Undefined(f"the column {goal.by!r} is not known for these rows")
    groups = split(features, goal.by or "")
    fewest = 1 if allow_small or metric.of_any_size else SMALLEST
    small = [g for g in groups if len(g.rows) < fewest]
    return Split(
        tuple(g for g in groups if len(g.rows) >= fewest),
        {g.label: _too_small(g) for g in small if not allow_small},
        tuple(g.label for g in small if allow_small),
    )


def _too_small(group: Group) -> str:
    if not len(group.rows):
        return "no rows"
    count = "1 row" if len(group.rows) == 1 else f"{len(group.rows)} rows"
    return f"{count}, too small (under {SMALLEST})"


def missing(label: str, why: str) -> dict[str, Any]:
    """A group that could not be measured, as a result has it."""
    return {
        "group": label,
        "rows": None,
        "value": None,
        "interval": None,
        "joint_interval": None,
        "passed": False,
        "reason": f"Not measured: {why}.",
    }


def listed(unmeasured: Mapping[str, str]) -> str:
    """Those that could not be measured, and why."""
    return "; ".join(f"{label} ({reason})" for label, reason in unmeasured.items())


def and_not_measured(unmeasured: Mapping[str, str]) -> str:
    """The same as the last sentence of a reason; nothing where there is none."""
    return f" Not measured, so failed: {listed(unmeasured)}." if unmeasured else ""
