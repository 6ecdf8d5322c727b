"""How a model was trained: the notebook and the parameters on record, to do it again."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics import settings, store
from mlops_magics.errors import MlopsError, WrongUsage
from mlops_magics.verbs import jobs, trained_by

if TYPE_CHECKING:
    from mlops_magics.store.versions import Version

log = logging.getLogger("mlops_magics")

#: The shipped training notebook.
TEMPLATE = "train"
#: The parameter that names what a training notebook learns from.
DATA = "data"

#: What an estimator's name contains → the template's word for it; boosting for all others.
ALGORITHMS = {"Logistic": "logistic", "Ridge": "logistic", "RandomForest": "forest"}


@dataclass(frozen=True)
class Recipe:
    """A notebook with its parameters.

    Attributes
    ----------
    shown : mapping
        The parameters as they may be written down: secrets masked.
    """

    notebook: str
    params: Mapping[str, Any] = field(default_factory=dict)
    shown: Mapping[str, Any] = field(default_factory=dict)


def recipe_of(
    version: Version, notebook: str, given: Mapping[str, Any], data: Any = None
) -> Recipe:
    """The notebook and the parameters by which a version can be trained again.

    Parameters
    ----------
    notebook : str
        The notebook that is asked for; empty for the one on record.
    given : mapping
        Parameters that come before those on record.
    data : data, optional
        What to learn from in place of what is on record.

    Raises
    ------
    UnknownName
        If the notebook that is asked for does not exist.
    WrongUsage
        If a recorded parameter was secret and is not given anew, or the notebook has no parameter
        for the data.
    """
    from mlops_magics.evidence import secrets
    from mlops_magics.notebooks import files, parameters

    recorded, had = trained_by.notebook(version)
    if notebook:
        path = files.find(notebook)
        had = had if recorded is not None and path == recorded else {}
    else:
        path = recorded or trained_by.cells(version) or files.find(TEMPLATE)
    if path == files.templates().get(TEMPLATE):
        had = {**_of_dataset(version), **had}
    known = parameters.declared(files.read(path))
    if data is not None:
        if DATA not in known:
            raise WrongUsage(
                f"{path} has no parameter {DATA!r}, by which it could be told the new data.",
                f"Let its parameters cell say `{DATA}: str = ...`, or name another --notebook.",
            )
        if DATA in given:
            raise WrongUsage(
                f"-p {DATA} names the new data, and so does --data, --since or --labels.",
                "Take one.",
            )
        given = {DATA: _readable(data, version.name), **given}
        had = _without_lost_columns(had, given[DATA])
    # A notebook may have lost a parameter since; what is given by hand is checked strictly.
    params = {**{k: v for k, v in had.items() if k in known}, **given}
    lost = [k for k, v in params.items() if v == secrets.MASK]
    if lost:
        raise WrongUsage(
            f"The parameter {lost[0]!r} was secret when {version.ref} was trained, and is not on "
            "record.",
            f"Give it anew: -p {lost[0]} …",
        )
    return Recipe(str(path), params, secrets.mask(params))


def _readable(data: Any, name: str) -> str:
    """New data as a notebook in another process can read it."""
    if isinstance(data, str | Path):
        return str(data)
    file = settings.load().state / "gathered" / f"{name}-{jobs.stamp()}.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    store.datasets.load(data).frame.to_parquet(file)
    return str(file)


def _without_lost_columns(had: Mapping[str, Any], data: str) -> dict[str, Any]:
    """The recorded parameters, but for columns to split by that the new data does not have."""
    asked = {parameter: column for parameter in ("time", "group") if (column := had.get(parameter))}
    if not asked:
        return dict(had)
    columns = store.datasets.load(data).frame.columns
    lost = {parameter: column for parameter, column in asked.items() if column not in columns}
    for parameter, column in lost.items():
        log.warning("The new data has no column %s: it is not split by %s.", column, parameter)
    return {k: v for k, v in had.items() if k not in lost}


def _of_dataset(version: Version) -> dict[str, Any]:
    """The template's parameters, from what is on record about the version's data."""
    if not version.dataset_run:
        return {"name": version.name}
    try:
        dataset = store.datasets.by_run(version.dataset_run)
    except MlopsError:  # its run is gone: the notebook will say what it needs
        return {"name": version.name}
    split = dataset.split
    found = {
        "name": version.name,
        # The place it came from may hold newer rows; without one, the recorded rows.
        "data": dataset.source if Path(dataset.source).is_file() else dataset.name,
        "target": dataset.target,
        "positive": dataset.positive,
        "metric": version.tags.get("mlops.metric"),
        "test": split.get("test"),
        "group": split.get("group"),
        "time": split.get("time"),
        "seed": split.get("seed"),
        "algorithm": next((a for e, a in ALGORITHMS.items() if e in version.estimator), "boosting"),
    }
    return {k: str(v) if k == "positive" else v for k, v in found.items() if v is not None}


def last_monitoring(
    name: str, tags: Mapping[str, str] | None = None
) -> tuple[str, Mapping[str, Any]] | None:
    """The run and the content of a model's last complete monitoring record, with these tags."""
    for run in store.runs.find(verb="monitor", experiment=name, tags=tags, limit=20):
        if run.info.status == "FINISHED":
            run_id = str(run.info.run_id)
            return run_id, store.runs.read_json(run_id, "monitoring.json")
    return None
