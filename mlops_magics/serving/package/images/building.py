"""A package's folder → an image, proven before it is shown."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from mlops_magics.errors import WrongUsage
from mlops_magics.serving import graph, manifest
from mlops_magics.serving.package.images import bases, engines, layouts, replaying, sbom, wheels
from mlops_magics.serving.package.images.blobs import Blobs, Layer
from mlops_magics.serving.package.images.layouts import Image
from mlops_magics.serving.package.images.replaying import APP

log = logging.getLogger("mlops_magics")

#: Who the server is in the image: nobody with a name, and not root.
USER = "10001"
PORT = 8080
#: What a folder has for people and for other builders.
_STAYS = ("Dockerfile", "README.md", "requirements.txt", graph.REQUIREMENTS)
_SECOND = 1_000_000_000
#: Labels by which a version is known again.
MODEL, DIGEST = "io.mlops-magics.model", "io.mlops-magics.model.digest"
SERVER = "io.mlops-magics.server"


@dataclass(frozen=True)
class Plan:
    """What is to be built.

    Attributes
    ----------
    package : Path
        A folder that `assembling` made.
    tag : str
        ``credit:3``.
    base : str
        A reference or a path.
    architecture : str
        ``amd64`` or ``arm64``.
    """

    package: Path
    made: manifest.Manifest
    tag: str
    base: str
    architecture: str


@dataclass(frozen=True)
class Built:
    """An image that was put together.

    Attributes
    ----------
    materials : str
        The bill of materials.
    notes : tuple of str
        What was not proven, and why.
    """

    image: Image
    base: bases.Base
    materials: str
    notes: tuple[str, ...] = ()


def plan(package: Path, tag: str, base: str, platform: str) -> Plan:
    """What is to be built, by the words of the one who asks.

    Raises
    ------
    WrongUsage
        If the platform is none.
    """
    made = manifest.checked(package)
    system, _, architecture = (platform or f"linux/{engines.here()}").partition("/")
    if system != "linux" or architecture not in engines.ARCHITECTURES.values():
        raise WrongUsage(
            f"Images are not built for {platform or engines.here()}.",
            "Choose linux/amd64 or linux/arm64.",
        )
    name, _, number = made.model.rpartition("/")
    return Plan(
        package=package,
        made=made,
        tag=tag or f"{name.lower().strip('._-')}:{number}",
        base=base or f"docker.io/library/python:{made.python}-slim",
        architecture=architecture,
    )


def put_together(planned: Plan, blobs: Blobs, engine: engines.Engine | None) -> Built:
    """The layers of an image, made or found in the cache, and its documents.

    Raises
    ------
    BadData
        If a package has no wheel for the platform, or the base is no image.
    StepFailed
        If the base or a wheel can't be fetched.
    """
    base = bases.find(planned.base, planned.architecture, blobs, engine)
    requirements = _requirements(planned.package)
    needed = wheels.gather(requirements, planned.architecture, planned.made.python)
    packages = _packages(needed, requirements, planned, blobs)
    with tempfile.TemporaryDirectory(prefix="mlops-image-") as name:
        app = Path(name) / APP
        _copy(planned, app)
        materials = sbom.document(planned.made, base, needed)
        (app / sbom.FILE).write_text(materials, encoding="utf-8")
        _write_manifest(planned.made, app)
        inside = _labels(planned, base, app)
        server = _server(app, Path(name) / "server", planned, blobs)
        top = blobs.tree("model", {APP: app})
    image = layouts.put_together(
        [*base.layers, packages, server, top],
        architecture=planned.architecture,
        config=_config(base, inside),
        annotations=inside,
    )
    return Built(image, base, materials)


def prove(
    planned: Plan, built: Built, place: Path, blobs: Blobs, engine: engines.Engine | None
) -> Built:
    """Write the image to `place`, hand it to the engine, and let it answer the example.

    Raises
    ------
    WrongUsage
        If something that is no image is in the way.
    StepFailed
        If it does not answer as the model does; nothing is left of it then.
    """
    if place.exists() and not (place / "oci-layout").is_file():
        raise WrongUsage(
            f"{place} exists and is no image, so it is not replaced.", "Choose another --output."
        )
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    trial = f"localhost/mlops-trial:{aside.name.rpartition('-')[2].lower().strip('_')}x"
    try:
        aside.chmod(0o755)
        layouts.write(built.image, aside, blobs, planned.tag)
        if engine is not None:
            engine.load(aside, trial)
        note = replaying.replay(
            built.image,
            planned.package,
            blobs,
            engine=engine,
            tag=trial,
            architecture=planned.architecture,
        )
        if engine is not None:
            engine.tag(trial, planned.tag)
        if place.exists():
            shutil.rmtree(place)
        os.replace(aside, place)
    finally:
        if engine is not None:
            engine.remove(trial)
        shutil.rmtree(aside, ignore_errors=True)
    return replace(built, notes=(*built.notes, *([note] if note else [])))


def _requirements(package: Path) -> str:
    """The short list where the graph answers alone."""
    lean = package / graph.REQUIREMENTS
    file = lean if lean.is_file() else package / "requirements.txt"
    return file.read_text(encoding="utf-8")


def _packages(
    needed: Sequence[wheels.Wheel], requirements: str, planned: Plan, blobs: Blobs
) -> Layer:
    """The layer that changes with the requirements only."""
    exact = "".join(f"{wheel.path.name} {wheel.sha256}\n" for wheel in needed)
    how = f"{planned.made.python} {_byte_code(planned)} {metadata.version('mlops_magics')}"
    key = f"packages {planned.architecture} {how}\n{exact}"
    if (known := blobs.remembered(key)) is not None:
        return known
    log.info("Packing %d wheels for linux/%s", len(needed), planned.architecture)
    with tempfile.TemporaryDirectory(prefix="mlops-wheels-") as name:
        folder = Path(name)
        wheels.unpack(list(needed), folder)
        wheels.compiled(folder, wheels.PLACE, planned.made.python)
        return blobs.remember(key, blobs.tree("packages", {wheels.PLACE: folder}))


def _server(app: Path, aside: Path, planned: Plan, blobs: Blobs) -> Layer:
    """The layer that changes with the server only; its files are taken out of `app`."""
    aside.mkdir()
    for folder in list(app.glob("mlops_magics*")):
        folder.rename(aside / folder.name)
    key = f"server {_byte_code(planned)} {manifest.overall(manifest.hashes(aside))}"
    if (known := blobs.remembered(key)) is not None:
        return known
    wheels.compiled(aside / "mlops_magics", f"{APP}/mlops_magics", planned.made.python)
    return blobs.remember(key, blobs.tree("server", {APP: aside}))


def _byte_code(planned: Plan) -> str:
    """Whether there will be byte code: only a Python of the same version can make it."""
    import sys

    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    return sys.implementation.cache_tag if planned.made.python == here else "source"


def _copy(planned: Plan, app: Path) -> None:
    """What serves, without what only helps to build it elsewhere."""
    app.mkdir()
    for name in sorted(planned.made.files):
        if name not in _STAYS:
            (app / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(planned.package / name, app / name)


def _write_manifest(made: manifest.Manifest, app: Path) -> None:
    """The package's account of itself, without the hour at which it was made."""
    files = manifest.hashes(app)
    replace(
        made,
        files=files,
        digest=manifest.overall(files),
        package_run_id="",
        created="",
        measured={},
    ).write(app)


def _labels(planned: Plan, base: bases.Base, app: Path) -> dict[str, str]:
    """OCI's own words, and ours; as labels for engines and as annotations for registries."""
    made = planned.made
    materials = hashlib.sha256((app / sbom.FILE).read_bytes()).hexdigest()
    said = {
        "org.opencontainers.image.title": made.model,
        "org.opencontainers.image.version": made.model.rpartition("/")[2],
        "org.opencontainers.image.revision": made.commit,
        "org.opencontainers.image.base.name": base.name,
        MODEL: made.model,
        DIGEST: made.model_digest,
        "io.mlops-magics.run": made.run_id,
        SERVER: made.server,
        "io.mlops-magics.sbom": f"/{APP}/{sbom.FILE}",
        "io.mlops-magics.sbom.digest": f"sha256:{materials}",
    }
    return {name: value for name, value in said.items() if value}


def _config(base: bases.Base, labels: Mapping[str, str]) -> dict[str, Any]:
    own = {
        "PYTHONPATH": f"/{wheels.PLACE}",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": "/tmp",  # noqa: S108  # all that a read-only container may have
    }
    kept = [line for line in base.env if line.partition("=")[0] not in own]
    ask = (
        f"from urllib.request import urlopen as get; get('http://127.0.0.1:{PORT}/ping', timeout=2)"
    )
    serve = ["python", "-m", "mlops_magics.serving", ".", "--host", "0.0.0.0"]  # noqa: S104  # a container's network decides
    return {
        "User": USER,
        "WorkingDir": f"/{APP}",
        "Env": [*kept, *(f"{name}={value}" for name, value in own.items())],
        "Cmd": [*serve, "--port", str(PORT), "--open"],
        "ExposedPorts": {f"{PORT}/tcp": {}},
        "StopSignal": "SIGTERM",
        "Healthcheck": {
            "Test": ["CMD", "python", "-c", ask],
            "Interval": 10 * _SECOND,
            "Timeout": 3 * _SECOND,
            "StartPeriod": 20 * _SECOND,
            "Retries": 3,
        },
        "Labels": dict(labels),
    }
