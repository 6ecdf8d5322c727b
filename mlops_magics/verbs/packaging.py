"""`package`: a version made ready to run elsewhere."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlops_magics import records, settings, store
from mlops_magics.errors import WrongUsage
from mlops_magics.records import Package
from mlops_magics.verbs import edge, imaging
from mlops_magics.verbs.declaration import Model, verb
from mlops_magics.verbs.steps import step

if TYPE_CHECKING:
    from mlops_magics.serving.manifest import Manifest
    from mlops_magics.store.versions import Version


@verb()
def package(
    model: Model,
    *,
    as_: Literal["folder", "image", "onnx"] = "folder",
    quantise: Literal["", "int8"] = "",
    tag: str = "",
    push: str = "",
    base: str = "",
    engine: Literal["", "podman", "buildah", "docker", "none"] = "",
    platform: str = "",
    dry_run: bool = False,
    output: str = "",
) -> Package:
    """Put a model, its exact requirements and its server into one folder that runs anywhere.

    The folder needs no MLflow for scikit-learn models, and holds a Dockerfile. With the extra
    ``onnx`` installed it also holds the model as an ONNX graph, where the model can be converted
    and the graph answers as it does on the recorded data: so it is served many times faster.
    Before it is called done, its own server answers the input example in a fresh process that
    has only the locked packages, and the answers must be the model's.

    As ``image`` it is an OCI image, written layer by layer, with a container engine or without one:
    the same model gives the same digest. It runs as nobody, on a root that can't be written to,
    and holds a bill of materials (CycloneDX). It has to answer the example before it is called
    done. Where the graph answers, the model's own libraries are left out of it.

    As ``onnx`` it is for small machines: an ONNX graph, its signature and a runner of one file,
    which need onnxruntime and numpy only. The graph must answer as the model does on all rows of
    the recorded dataset: the same labels, probabilities within 1e-5. Beside it is a page, ``web/``,
    that runs it in a browser from any server of plain files, with ONNX Runtime Web (14 MB).

    Parameters
    ----------
    model : model
        The version, for example ``credit@champion``.
    as_ : str
        The form of the package.
    quantise : str, optional
        With ``onnx``: weights in eight bits, for networks. It changes answers: how many, the
        record tells; with less than 99 % equal labels it is refused.
    tag : str, optional
        The image's name here; by default ``NAME:NUMBER``.
    push : str, optional
        A name in a registry, ``registry.example.org/team/credit``, to which the image goes. Log-ins
        are those of docker and podman.
    base : str, optional
        What the image stands on: a name in the engine's store or a registry, or a file (an OCI
        layout, an archive, a tar of a root file system). By default ``python:3.11-slim``, of the
        Python that packages.
    engine : str, optional
        Which container engine takes and tries the image; by default the first of podman, buildah
        and docker that works. ``none`` does without.
    platform : str, optional
        ``linux/amd64`` or ``linux/arm64``; by default this machine's.
    dry_run : bool
        Only tell what would be in the image, with sizes.
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
        If something that is no package is in the way, an argument belongs to another form, or the
        engine does not work.
    BadData
        If a part of the model can't be converted to ONNX, or a package has no wheel for the
        platform; names it.
    MissingExtra
        If what converts it is not installed.
    StepFailed
        If what is packaged does not answer as the model does, or a registry refuses it.
    """
    if quantise and as_ != "onnx":
        raise WrongUsage("Only an ONNX graph is quantised.", "Add --as onnx.")
    wanted = imaging.Wanted(tag=tag, push=push, base=base, engine=engine, platform=platform)
    if as_ != "image" and (dry_run or wanted != imaging.Wanted()):
        raise WrongUsage("Only an image has a tag, a base, an engine…", "Add --as image.")
    version = store.versions.resolve(reference(model))
    place = Path(output).expanduser().absolute() if output else default_place(version, as_)
    arguments = {"model": version.ref, "as": as_, "quantise": quantise, "output": output}
    follows = [version.run_id]
    if as_ == "image":
        folder = _folder(version)
        if dry_run:
            return imaging.outlined(folder, place, wanted)
        arguments |= dataclasses.asdict(wanted)
        follows = [version.run_id, folder.run_id]
        with step("package", experiment=version.name, arguments=arguments, follows=follows) as run:
            return imaging.image(folder, place, wanted, run)
    with step("package", experiment=version.name, arguments=arguments, follows=follows) as current:
        about = {
            "model": version.ref,
            "run_id": version.run_id,
            "package_run_id": current.run_id,
            "commit": store.runs.get(version.run_id).data.tags.get("mlflow.source.git.commit", ""),
            "created": records.now(),
        }
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        path = store.versions.local_path(version)
        replayed, notes = True, tuple[str, ...]()
        if as_ == "onnx":
            from mlops_magics.serving.package import bundling

            rows, notes = edge.reference(version, path)
            made = bundling.bundle(path, place, about, python, rows, quantise)
        else:
            from mlops_magics.serving.package import assembling

            made, replayed = assembling.assemble(
                path, place, about, python, lambda: edge.reference(version, path)
            )
        record = record_of(made, place, replayed=replayed, kind=as_, notes=notes)
        current.tags({"mlops.model": version.ref, "mlops.package.digest": made.digest})
        current.json("package.json", dataclasses.asdict(made))
        current.file(place / "requirements.txt", "package")
        current.summary = {"model": version.ref, "package": str(place), "size": record.size}
    return record


def _folder(version: Version) -> Package:
    """The version's folder, from which an image is made."""
    from mlops_magics.serving import manifest
    from mlops_magics.serving.package import assembling

    place = default_place(version)
    if not assembling.is_current(place, version.digest):
        return package(version.ref)
    made = manifest.checked(place)
    return record_of(made, place, replayed=manifest.answers(place) is not None)


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


def default_place(version: Version, kind: str = "folder") -> Path:
    """Where a version's package is, if nobody says otherwise."""
    name = f"{version.name}-{version.number}" + ("" if kind == "folder" else f"-{kind}")
    return settings.load().state / "packages" / name


def record_of(
    made: Manifest, place: Path, *, replayed: bool, kind: str = "folder", notes: Sequence[str] = ()
) -> Package:
    """The record of a package that is in place."""
    sizes = [(place / name).stat().st_size for name in made.files]
    unproven = () if replayed else ("There was no input example to replay.",)
    return Package(
        model=made.model,
        kind=kind,
        path=str(place),
        digest=made.digest,
        size=sum(sizes),
        files=tuple(sorted(made.files)),
        run_id=made.package_run_id,
        replayed=replayed,
        measured=made.measured,
        warnings=(*made.warnings, *unproven, *notes),
    )
