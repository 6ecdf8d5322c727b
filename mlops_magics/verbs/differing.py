"""`changes`: what differs between two versions or runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from mlops_magics import evidence, goals, store
from mlops_magics.errors import MlopsError, UnknownName, WrongUsage
from mlops_magics.records import Changes, Dataset, Run
from mlops_magics.verbs import data_changes, lineage, standings
from mlops_magics.verbs.declaration import Reference, verb

if TYPE_CHECKING:
    from mlops_magics.store.leaderboard import Entry
    from mlops_magics.store.versions import Version

if TYPE_CHECKING:
    from mlops_magics.store.versions import Version

#: A version or a run, by reference or as the record of a run.
RunRef = Annotated[Any, Reference("record")]

#: What of the recorded environment is compared; the interpreter's path says nothing.
_ENVIRONMENT = (
    *("python", "implementation", "os", "machine", "processor", "cores", "memory", "container"),
)


@verb()
def changes(a: RunRef, b: RunRef = "") -> Changes:
    """Tell what differs between two versions or runs.

    Data (content, columns, distributions, split), code cell by cell as a diff, parameters,
    libraries, Python, system and hardware, and metrics with whether they got better.

    Parameters
    ----------
    a : model or run
        What came later, for example ``credit@candidate``, ``credit/3`` or ``runs:/ID``.
    b : model or run, optional
        What it is compared with; by default the champion of the model of `a`.

    Returns
    -------
    Changes
        From `b` (before) to `a` (after).

    Raises
    ------
    UnknownName
        If there is no such model, version, alias or run; with the nearest.
    WrongUsage
        If `b` is not given and there is no champion, or it is `a` itself.
    """
    after = _side(_ref(a))
    before = _side(_ref(b)) if b else _champion(after)
    if after.entry.run_id == before.entry.run_id:
        raise WrongUsage(
            f"{after.ref} and {before.ref} are of one run, so nothing differs.",
            f"For example: mlops changes {after.ref} runs:/ID",
        )
    cells = evidence.cell_changes.compare(before.cells, after.cells)
    libraries = _pairs(before.known("packages"), after.known("packages"))
    imported = {*before.known("lock").get("imported", ()), *after.known("lock").get("imported", ())}
    return Changes(
        a=after.ref,
        b=before.ref,
        data=data_changes.compare(before.dataset, after.dataset),
        code=cells.found,
        unchanged_cells=cells.unchanged,
        git=_pairs(before.git, after.git),
        model=_pairs(before.model, after.model),
        params=_pairs(before.params, after.params),
        libraries=dict(sorted(libraries.items(), key=lambda kv: (kv[0] not in imported, kv[0]))),
        imported=tuple(name for name in sorted(libraries) if name in imported),
        environment=_pairs(before.environment, after.environment),
        metrics=_metrics(before, after),
        warnings=tuple(_warnings(before, after)),
    )


@dataclass(frozen=True)
class Side:
    """One of the two: its run, the version that it left, and what was recorded with it."""

    ref: str
    entry: Entry
    version: Version | None
    record: Mapping[str, Any]

    def known(self, part: str) -> Mapping[str, Any]:
        """A part of the run's record; empty where there is none."""
        found = self.record.get(part)
        return found if isinstance(found, Mapping) else {}

    @property
    def params(self) -> dict[str, Any]:
        """By name; a ``None`` as text, as the absence of a parameter is another thing."""
        values = {k: standings.value(v) for k, v in self.entry.params.items()}
        return {k: "None" if v is None else v for k, v in values.items()}

    @property
    def model(self) -> dict[str, Any]:
        """What it is and how it was stamped."""
        tags = {**self.entry.tags, **(self.version.tags if self.version else {})}
        size = tags.get("mlops.size", "")
        return {
            "estimator": tags.get("mlops.estimator") or self.record.get("estimator"),
            "framework": tags.get("mlops.flavor"),
            "task": tags.get("mlops.task"),
            "size": int(size) if size.isdigit() else None,
            "stamp": tags.get("mlops.trust"),
        }

    @property
    def git(self) -> dict[str, Any]:
        """Where the code came from."""
        git = self.known("git")
        return {"commit": git.get("commit"), "uncommitted": git.get("dirty")} if git else {}

    @property
    def environment(self) -> dict[str, Any]:
        """What it ran on."""
        host = {"host": self.known("who").get("host")}
        return {k: self.known("environment").get(k) for k in _ENVIRONMENT} | host

    @property
    def cells(self) -> list[dict[str, Any]]:
        """The cells that made it; of an older record its one source."""
        kept = store.leaderboard.read_json(self.entry, lineage.CELLS)
        if isinstance(kept, dict) and kept.get("cells"):
            return list(kept["cells"])
        source = self.known("cell").get("source")
        return [{"number": None, "id": None, "source": source}] if source else []

    @property
    def dataset(self) -> Dataset | None:
        """What it was trained on, if that is recorded."""
        run_id = standings.dataset_run(self.entry, [self.version] if self.version else [])
        try:
            return store.datasets.by_run(run_id) if run_id else None
        except MlopsError:
            return None


def _ref(given: Any) -> str:
    if isinstance(given, Run):
        return given.model or f"runs:/{given.run_id}"
    if isinstance(given, str):
        return given
    raise WrongUsage(
        f"A {type(given).__name__} has no record to compare.",
        "Name a version (credit/3, credit@champion) or a run (runs:/ID).",
    )


def _side(ref: str) -> Side:
    if ref.startswith("runs:/"):
        run_id = ref.removeprefix("runs:/").partition("/")[0]
        store.runs.get(run_id)  # says so if there is no such run
        own = store.leaderboard.versions_of([run_id]).get(run_id, ())
        version = own[0] if own else None
    else:
        version = store.versions.resolve(ref)
        run_id, ref = version.run_id, version.ref
    found = store.leaderboard.page(store.leaderboard.Scope(run_ids=(run_id,)), "", True, 1).entries
    if not found:
        raise WrongUsage(
            f"The run of {ref} is deleted, so nothing is known of how it was made.",
            "Restore the run in MLflow, or name another.",
        )
    record = store.leaderboard.read_json(found[0], "mlops/record.json")
    return Side(ref, found[0], version, record if isinstance(record, dict) else {})


def _champion(after: Side) -> Side:
    if after.version is None:
        raise WrongUsage(
            f"{after.ref} left no model, so there is no champion to compare it with.",
            f"Name both, for example: mlops changes {after.ref} credit@champion",
        )
    name = after.version.name
    try:
        return _side(f"{name}@champion")
    except UnknownName:
        others = [v.ref for v in store.versions.of(name) if v.ref != after.version.ref]
        example = f"For example: mlops changes {after.ref} {others[0]}" if others else ""
        raise WrongUsage(
            f"{name} has no champion to compare {after.ref} with: name what to compare it with.",
            example,
        ) from None


def _pairs(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What differs: name → before and after, ``None`` where there was none."""
    return {
        name: [before.get(name), after.get(name)]
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name) or (name in before) != (name in after)
    }


def _metrics(before: Side, after: Side) -> dict[str, dict[str, Any]]:
    """Every metric of either; the one that the newer was trained for first."""
    old, new = before.entry.metrics, after.entry.metrics
    main = after.version.tags.get("mlops.metric", "") if after.version else ""
    order = sorted({*old, *new}, key=lambda name: (name != main, standings.place(name), name))
    return {name: _metric(name, old.get(name), new.get(name)) for name in order}


def _metric(name: str, old: float | None, new: float | None) -> dict[str, Any]:
    difference = None if old is None or new is None else new - old
    if difference is not None and not math.isfinite(difference):
        difference = None
    better: bool | None = None
    if difference:
        direction = goals.directions.of(name)
        if not direction.assumed:
            better = (difference > 0) == direction.greater_is_better
    return {"before": old, "after": new, "difference": difference, "better": better}


def _warnings(before: Side, after: Side) -> list[str]:
    found = [
        f"{side.ref} has no record of how it was made: only its parameters, metrics and tags are "
        "compared."
        for side in (before, after)
        if not side.record
    ]
    rows = [
        standings.test_rows(side.entry, [side.version] if side.version else [])
        for side in (before, after)
    ]
    if all(rows) and rows[0] != rows[1]:
        found.append(
            "The metrics were measured on different rows, so their differences tell of the data "
            "as well as of the model."
        )
    return found
