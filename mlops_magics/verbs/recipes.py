"""How a model was trained: the notebook and the parameters on record, to do it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics import store
from mlops_magics.errors import MlopsError, UnknownName, WrongUsage

if TYPE_CHECKING:
    from mlops_magics.store.versions import Version

#: The shipped training notebook.
TEMPLATE = "train"

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


def recipe_of(version: Version, notebook: str, given: Mapping[str, Any]) -> Recipe:
    """The notebook and the parameters by which a version can be trained again.

    Parameters
    ----------
    notebook : str
        The notebook that is asked for; empty for the one on record.
    given : mapping
        Parameters that come before those on record.

    Raises
    ------
    UnknownName
        If the notebook that is asked for does not exist.
    WrongUsage
        If a recorded parameter was secret and is not given anew.
    """
    from mlops_magics.evidence import secrets
    from mlops_magics.notebooks import files, parameters

    recorded, had = _recorded(version)
    if notebook:
        path = files.find(notebook)
        had = had if recorded is not None and path == recorded else {}
    else:
        path = recorded or files.find(TEMPLATE)
    if path == files.templates().get(TEMPLATE):
        had = {**_of_dataset(version), **had}
    known = parameters.declared(files.read(path))
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


def _recorded(version: Version) -> tuple[Path | None, dict[str, Any]]:
    """The headless notebook that trained a version, if it is still there, and its parameters."""
    tags = version.tags
    if tags.get("mlops.headless", "").lower() != "true" or not tags.get("mlops.notebook"):
        return None, {}
    path = Path(tags["mlops.notebook"])
    if not path.is_file():
        return None, {}
    try:
        event = store.runs.get(version.run_id).data.tags.get("mlops.execution", "")
    except UnknownName:  # the run was deleted
        event = ""
    runs = store.runs.find(verb="execute", tags={"mlops.execution": event}, limit=1)
    return path.resolve(), dict(runs[0].data.params) if event and runs else {}


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
