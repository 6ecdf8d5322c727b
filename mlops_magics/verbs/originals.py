"""A recorded training as it is needed to run it again: its code, its data, what came of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_magics import store
from mlops_magics.errors import StoreUnreachable, WrongUsage
from mlops_magics.evidence import secrets
from mlops_magics.records import Dataset, Run
from mlops_magics.verbs import evaluation


@dataclass(frozen=True, kw_only=True)
class Original:
    """One recorded training.

    Attributes
    ----------
    ref : str
        ``name/number``, or ``runs:/ID`` where no version came of it.
    slice : mapping
        Its ``mlops/cells.json``; empty where no cells were recorded.
    record : mapping
        Its ``mlops/record.json``.
    prepared : tuple of str
        The `prepare` runs that it builds on, nearest first.
    """

    ref: str
    run_id: str
    name: str
    version: store.versions.Version | None
    metrics: Mapping[str, float]
    params: Mapping[str, str]
    record: Mapping[str, Any]
    slice: Mapping[str, Any] = field(default_factory=dict)
    prepared: tuple[str, ...] = ()

    @property
    def dataset(self) -> Dataset | None:
        """The dataset that measured it."""
        run_id = self.version.dataset_run if self.version else next(iter(self.prepared), "")
        return store.datasets.by_run(run_id) if run_id else None

    @property
    def folder(self) -> Path:
        """Where it ran, if that is still there; else the working directory."""
        recorded = Path(str(self.record.get("folder") or ""))
        return recorded if recorded.is_absolute() and recorded.is_dir() else Path.cwd()

    @property
    def stale(self) -> str:
        """Why its cells are not known to be those that made it; empty if they are."""
        if self.slice.get("stamp") in ("clean", None):
            return ""
        return " ".join(map(str, self.slice.get("reasons", ())))

    @property
    def masked(self) -> bool:
        """Whether a secret stood in its cells, which is not recorded."""
        return any(secrets.MASK in str(c.get("source")) for c in self.slice.get("cells", ()))

    def lock(self) -> str:
        """Its environment lock."""
        return store.runs.fetch(self.run_id, "mlops/requirements.txt").read_text(encoding="utf-8")

    def cells(self) -> tuple[Sequence[Mapping[str, Any]], str]:
        """The cells in an order that runs, and the code that has to stand before them."""
        cells = [dict(cell) for cell in self.slice.get("cells", ())]
        opened = self.record.get("cell") or {}
        if "written" in opened:  # the best trial of a search, as a cell of its own
            cells[-1]["source"] = opened["written"]
        script = str(self.slice.get("script") or "")
        if not script:
            return cells, ""
        path = self.folder / script
        before = f"import sys\n__file__ = {str(path)!r}\nsys.path.insert(0, {str(path.parent)!r})"
        if opened.get("script"):
            # `mlops train NAME SCRIPT`: what opened the run does not stand in the script.
            cells[-1]["source"] = f"{self._opening()}\n{cells[-1]['source']}"
        return cells, before

    def _opening(self) -> str:
        """The ``%%train`` line that does what the command line did."""
        arguments = self.record.get("arguments", {})
        given = {option: str(arguments.get(option) or "") for option in ("data", "metric", "model")}
        if given["data"].startswith("<"):  # an object, of which the record shows only the type
            given["data"] = self.dataset.name if self.dataset else ""
        words = [w for option, v in given.items() if v for w in (f"--{option}", shlex.quote(v))]
        return " ".join(["%%train", self.name, *words])


def find(ref: Any) -> Original:
    """The training that `ref` names: a version, ``runs:/ID`` or the record of a run.

    Raises
    ------
    UnknownName
        If there is no such model, version, alias or run.
    WrongUsage
        If it is no finished training, or left nothing to compare with.
    """
    version: store.versions.Version | None
    if isinstance(ref, Run) and not ref.model:
        ref = f"runs:/{ref.run_id}"
    named = evaluation.reference_of(ref)
    if named is None:
        raise WrongUsage(
            f"A {type(ref).__name__} was not recorded, so it can't be reproduced.",
            "Name a version, for example credit/1, or runs:/ID.",
        )
    if named.startswith("runs:/"):
        run = store.runs.get(named.removeprefix("runs:/").split("/")[0])
        version = _version_of(str(run.info.run_id))
    else:
        version = store.versions.resolve(named)
        run = store.runs.get(version.run_id)
    run_id, tags = str(run.info.run_id), run.data.tags
    shown = version.ref if version else f"runs:/{run_id}"
    verb = tags.get("mlops.verb", "")
    if verb != "train":
        what = f"is a run of `{verb}`" if verb else "was not recorded by a verb of this package"
        raise WrongUsage(f"{shown} {what}; what is reproduced is training.", "Name a run of train.")
    if run.info.status != "FINISHED":
        status = tags.get("mlops.status", str(run.info.status).lower())
        raise WrongUsage(f"{shown} is {status}; there is nothing to compare with.")
    if version is None and not run.data.metrics:
        raise WrongUsage(f"{shown} left neither a model nor metrics to compare with.")
    record = store.runs.read_json(run_id, "mlops/record.json")
    return Original(
        ref=shown,
        run_id=run_id,
        name=str(record["experiment"]),
        version=version,
        metrics=dict(run.data.metrics),
        params=dict(run.data.params),
        record=record,
        slice=_cells_of(run_id),
        prepared=tuple(store.seeding.prepared(run)),
    )


def _version_of(run_id: str) -> store.versions.Version | None:
    try:
        return store.versions.resolve(f"runs:/{run_id}")
    except WrongUsage:  # the run is there, and left no model
        return None


def _cells_of(run_id: str) -> Mapping[str, Any]:
    try:
        return dict(store.runs.read_json(run_id, "mlops/cells.json"))
    except StoreUnreachable:  # it has just answered: this run has none
        return {}
