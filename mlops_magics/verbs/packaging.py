"""`package`: a version made ready to run elsewhere."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlops_magics import records, settings, store
from mlops_magics.errors import WrongUsage
from mlops_magics.records import Package
from mlops_magics.verbs.declaration import Model, verb
from mlops_magics.verbs.steps import step

if TYPE_CHECKING:
    from mlops_magics.serving.manifest import Manifest
    from mlops_magics.store.versions import Version


@verb()
def package(model: Model, *, as_: Literal["folder"] = "folder", output: str = "") -> Package:
    """Put a model, its exact requirements and its server into one folder that runs anywhere.

    The folder needs no MLflow for scikit-learn models, and holds a Dockerfile. Before it is
    called done, its own server answers the input example in a fresh process that has only the
    locked packages, and the answers must be the model's.

    Parameters
    ----------
    model : model
        The version, for example ``credit@champion``.
    as_ : str
        The form of the package.
    output : path, optional
        Where it is to be; a package that is there is replaced. By default the project's state
        folder.

    Returns
    -------
    Package

    Raises
    ------
    UnknownName
        If there is no such version.
    WrongUsage
        If something that is no package is in the way.
    StepFailed
        If the packaged server does not answer as the model does.
    """
    version = store.versions.resolve(reference(model))
    place = Path(output).expanduser().absolute() if output else default_place(version)
    arguments = {"model": version.ref, "as": as_, "output": output}
    follows = [version.run_id]
    with step("package", experiment=version.name, arguments=arguments, follows=follows) as current:
        from mlops_magics.serving.package import assembling

        about = {
            "model": version.ref,
            "run_id": version.run_id,
            "package_run_id": current.run_id,
            "commit": store.runs.get(version.run_id).data.tags.get("mlflow.source.git.commit", ""),
            "created": records.now(),
        }
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        made, replayed = assembling.assemble(
            store.versions.local_path(version), place, about, python
        )
        record = record_of(made, place, replayed=replayed)
        current.tags({"mlops.model": version.ref, "mlops.package.digest": made.digest})
        current.json("package.json", dataclasses.asdict(made))
        current.file(place / "requirements.txt", "package")
        current.summary = {"model": version.ref, "package": str(place), "size": record.size}
    return record


def reference(model: Any) -> str:
    """The reference that a text or a record of a step gives.

    Raises
    ------
    WrongUsage
        If it is a model that lives only in memory, or no model at all.
    """
    if isinstance(model, Path):
        return str(model)
    if isinstance(model, records.Promotion):
        return model.version
    found = getattr(model, "model", None) if isinstance(model, records.Record) else model
    if isinstance(found, str) and found:
        return found
    raise WrongUsage(
        f"A {type(model).__name__} is no registered version.",
        "Name one, for example credit@champion; %%train registers the model of a cell.",
    )


def default_place(version: Version) -> Path:
    """Where a version's package is, if nobody says otherwise."""
    return settings.load().state / "packages" / f"{version.name}-{version.number}"


def record_of(made: Manifest, place: Path, *, replayed: bool) -> Package:
    """The record of a package that is in place."""
    sizes = [(place / name).stat().st_size for name in made.files]
    notes = () if replayed else ("There was no input example to replay.",)
    return Package(
        model=made.model,
        kind="folder",
        path=str(place),
        digest=made.digest,
        size=sum(sizes),
        files=tuple(sorted(made.files)),
        run_id=made.package_run_id,
        replayed=replayed,
        warnings=(*made.warnings, *notes),
    )
