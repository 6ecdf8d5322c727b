"""The package of a version, of the kind that a target takes: found, or made."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from mlops_magics import store
from mlops_magics.errors import WrongUsage
from mlops_magics.records import Deployment, Package
from mlops_magics.verbs import imaging, packaging

log = logging.getLogger("mlops_magics")

#: Kind of package → as sentences call it.
CALLED = {
    "folder": "a folder with a server",
    "image": "an image",
    "onnx": "an ONNX graph with a runner",
}


def of(model: Any, kind: str) -> Package:
    """The package of a version, made if it is not there as it should be.

    Parameters
    ----------
    model
        A version in any form, a package, or the path of one.
    kind : str
        ``folder``, ``image`` or ``onnx``.

    Raises
    ------
    WrongUsage
        If it is a package of another kind.
    """
    if isinstance(model, Package):
        if model.kind != kind:
            raise _other(model.path, model.kind, kind, model.model)
        return at(Path(model.path), kind)
    if isinstance(model, Path) or (isinstance(model, str) and _is_package(Path(model))):
        return at(Path(model).expanduser().absolute(), kind)
    version = store.versions.resolve(packaging.reference(model))
    place = packaging.default_place(version, kind)
    if not _is_current(place, version.digest, kind):
        return packaging.package(version.ref, as_=kind)  # type: ignore[arg-type]  # a target's
    log.info("%s is packaged already, in %s", version.ref, place)
    return at(place, kind)


def at(place: Path, kind: str = "folder") -> Package:
    """The package in a folder, whose files are all as they were when it was made.

    Raises
    ------
    BadData, NotIntact
        If there is none, or it was changed.
    WrongUsage
        If it is one of another kind.
    """
    from mlops_magics.serving import manifest

    if _is_image(place):
        image = imaging.found(place)
        if kind != "image":
            raise _other(place, "image", kind, image.model)
        return image
    made = manifest.checked(place)
    found = "folder" if (place / manifest.MODEL).is_dir() else "onnx"
    if found != kind:
        raise _other(place, found, kind, made.model)
    replayed = kind != "folder" or manifest.answers(place) is not None
    return packaging.record_of(made, place, replayed=replayed, kind=kind)


def name(model: Any) -> str:
    """The name of the model of a version in any form; nothing is packaged for it."""
    if isinstance(model, Path) or (isinstance(model, str) and _is_package(Path(model))):
        return _named(Path(model).expanduser()).rpartition("/")[0]
    if isinstance(model, Package):
        return model.model.rpartition("/")[0]
    return store.versions.resolve(packaging.reference(model)).name


def former(deployment: Deployment, kind: str) -> Package:
    """The package that a deployment was made from."""
    place = Path(deployment.package)
    gone = kind == "image" and not _is_image(place)
    return of(deployment.model, kind) if gone else at(place, kind)


def trained(package: Package) -> str:
    """The run that trained what is in a package."""
    from mlops_magics.serving import manifest

    if package.kind == "image":
        return store.versions.resolve(package.model).run_id
    return manifest.read(Path(package.path)).run_id


def _is_package(place: Path) -> bool:
    from mlops_magics.serving import manifest

    return _is_image(place) or (place.expanduser() / manifest.FILE).is_file()


def _is_image(place: Path) -> bool:
    return (place.expanduser() / "oci-layout").is_file()


def _named(place: Path) -> str:
    """The version that is in a package."""
    from mlops_magics.serving import manifest

    return imaging.found(place).model if _is_image(place) else manifest.read(place).model


def _is_current(place: Path, digest: str, kind: str) -> bool:
    """Whether it is there already, as it would be made now and here."""
    from mlops_magics.serving import manifest
    from mlops_magics.serving.package import assembling

    if kind == "folder":
        return assembling.is_current(place, digest)
    if kind == "image":
        return _is_image(place) and imaging.is_current(place, digest)
    if not _is_package(place):
        return False
    made = manifest.checked(place)
    # In eight bits it answers otherwise, which must be asked for.
    whole = made.server == assembling.VERSION and "int8" not in made.measured
    return whole and made.model_digest == digest


def _other(place: object, found: str, kind: str, model: str) -> WrongUsage:
    return WrongUsage(
        f"{place} is {CALLED.get(found, found)}, and the target takes {CALLED.get(kind, kind)}.",
        f"Deploy {model}, or package it --as {kind}.",
    )
