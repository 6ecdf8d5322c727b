"""A version as an image: its folder's package, put together, proven, and pushed if asked to."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics.errors import MlopsError
from mlops_magics.records import Package

if TYPE_CHECKING:
    from mlops_magics.serving.package.images.building import Built, Plan
    from mlops_magics.verbs.steps import Step

log = logging.getLogger("mlops_magics")


@dataclass(frozen=True)
class Wanted:
    """How an image is to be, in the words of `package`."""

    tag: str = ""
    push: str = ""
    base: str = ""
    engine: str = ""
    platform: str = ""


def outlined(folder: Package, place: Path, wanted: Wanted) -> Package:
    """What would be in the image, with sizes; nothing is written but what was fetched for it."""
    from mlops_magics.serving.package.images import blobs, building, engines

    planned = building.plan(Path(folder.path), wanted.tag, wanted.base, wanted.platform)
    built = building.put_together(planned, blobs.Blobs(), engines.find(wanted.engine))
    notes = ("Nothing was written: this is what would be in it.",)
    return replace(_record(folder, planned, built, place, notes), replayed=False)


def image(folder: Package, place: Path, wanted: Wanted, current: Step) -> Package:
    """Build the image of a package's folder, prove it, and push it.

    Raises
    ------
    WrongUsage
        If the engine, the platform, the base or the name makes no sense.
    BadData
        If a package has no wheel for the platform.
    StepFailed
        If the image does not answer as the model does, or a registry refuses it.
    """
    from mlops_magics.serving.package.images import blobs, building, engines, registries

    if wanted.push:
        registries.parsed(wanted.push)  # a wrong name is said before anything is built
    kept = blobs.Blobs()
    engine = engines.find(wanted.engine)
    planned = building.plan(Path(folder.path), wanted.tag, wanted.base, wanted.platform)
    log.info("Building %s %s", planned.tag, f"by {engine.name}" if engine else "without an engine")
    built = building.put_together(planned, kept, engine)
    built = building.prove(planned, built, place, kept, engine)
    record = _record(folder, planned, built, place, built.notes)
    if wanted.push:
        number = planned.made.model.rpartition("/")[2]
        pushed = registries.push(built.image, wanted.push, kept, number)
        record = replace(record, pushed=pushed)
    current.tags({"mlops.model": record.model, "mlops.package.digest": record.digest})
    current.json("image.json", json.loads(built.image.manifest))
    current.json("sbom.cdx.json", json.loads(built.materials))
    current.summary = {
        "model": record.model,
        "package": str(place),
        "tag": record.tag,
        "digest": record.digest,
        "size": record.size,
        **({"pushed": record.pushed} if record.pushed else {}),
    }
    return replace(record, run_id=current.run_id)


def found(place: Path) -> Package:
    """The record of an image that lies in a folder, whole.

    Raises
    ------
    BadData, NotIntact
        If there is none, or it was changed.
    """
    from mlops_magics.serving.package.images import building, engines, layouts

    image = layouts.read(place)
    return Package(
        model=image.said.get(building.MODEL, ""),
        kind="image",
        path=str(place),
        digest=image.digest,
        size=image.size,
        tag=image.tag,
        replayed=image.architecture == engines.here(),  # else nothing could run it here
    )


def is_current(place: Path, model_digest: str) -> bool:
    """Whether a folder holds an intact image of that model, with this server, for this machine."""
    from mlops_magics.serving.package import assembling
    from mlops_magics.serving.package.images import building, engines, layouts

    try:
        image = layouts.read(place)
    except MlopsError:
        return False
    told = (image.said.get(building.DIGEST), image.said.get(building.SERVER), image.architecture)
    return told == (model_digest, assembling.VERSION, engines.here())


def _record(
    folder: Package, planned: Plan, built: Built, place: Path, notes: tuple[str, ...]
) -> Package:
    found = built.image
    unproven = any("not replayed" in note or "no input example" in note for note in notes)
    facts: dict[str, Any] = {
        "base": built.base.name,
        "base_from": built.base.source,
        "platform": f"linux/{planned.architecture}",
    }
    return Package(
        model=folder.model,
        kind="image",
        path=str(place),
        digest=found.digest,
        size=found.size,
        tag=planned.tag,
        replayed=not unproven,
        measured=facts,
        layers=tuple(
            {k: v for k, v in asdict(layer).items() if k != "media_type"} for layer in found.layers
        ),
        warnings=(*folder.warnings, *notes),
    )
