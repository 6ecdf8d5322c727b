"""The base image: of an engine's store, a registry, or a file here."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from mlops_magics.errors import BadData, WrongUsage
from mlops_magics.serving.package.images.blobs import Blobs, Layer

if TYPE_CHECKING:
    from mlops_magics.serving.package.images.engines import Engine

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: Where Debian keeps the libraries of one architecture → the architecture.
_MARKS = {"lib/x86_64-linux-gnu": "amd64", "lib/aarch64-linux-gnu": "arm64"}


@dataclass(frozen=True, kw_only=True)
class Base:
    """What an image stands on.

    Attributes
    ----------
    name : str
        As it was asked for: a reference, or a file's name without its folder.
    layers : sequence of Layer
        The lowest first.
    env : sequence of str
        ``NAME=value``.
    source : str
        Where it came from, in words.
    """

    name: str
    layers: Sequence[Layer]
    env: Sequence[str] = (_PATH,)
    source: str = ""


def find(wanted: str, architecture: str, blobs: Blobs, engine: Engine | None) -> Base:
    """The base of that name: a file or folder, else of the engine's store, else of a registry.

    Raises
    ------
    WrongUsage
        If it is for another architecture.
    BadData
        If a file is no image.
    StepFailed
        If no registry gives it.
    """
    place = Path(wanted).expanduser()
    if place.is_dir():
        return _of_file(place, architecture, blobs)
    if place.exists():
        about = place.stat()
        key = f"{place.absolute()} {about.st_size} {about.st_mtime_ns}"
        return _once(key, architecture, blobs, lambda: _of_file(place, architecture, blobs))
    if engine is not None and (known := engine.knows(wanted)):
        found = _once(
            known, architecture, blobs, lambda: _of_engine(wanted, architecture, blobs, engine)
        )
        return replace(found, name=wanted, source=f"the store of {engine.name}")
    from mlops_magics.serving.package.images import registries

    return registries.pulled(wanted, architecture, blobs)


def _once(key: str, architecture: str, blobs: Blobs, look: Callable[[], Base]) -> Base:
    """What was found under `key` the last time, if its layers are here; else what is found now."""
    key = f"found {architecture} {key}"
    if noted := blobs.noted(key):
        layers = [Layer(**layer) for layer in noted.pop("layers")]
        if all(blobs.has(layer) for layer in layers):
            return Base(layers=layers, **noted)
    found = look()
    blobs.note(key, asdict(found))
    return found


def _of_engine(wanted: str, architecture: str, blobs: Blobs, engine: Engine) -> Base:
    with tempfile.TemporaryDirectory(prefix="mlops-base-") as folder:
        archive = Path(folder) / "base.tar"
        engine.save(wanted, archive)
        return _of_file(archive, architecture, blobs)


def _of_file(place: Path, architecture: str, blobs: Blobs) -> Base:
    try:
        with _opened(place) as folder:
            if (folder / "oci-layout").is_file():
                found = _of_layout(folder, architecture, blobs)
            elif (folder / "manifest.json").is_file():
                found = _of_archive(folder, architecture, blobs)
            else:
                found = _of_files(place, architecture, blobs)
    except (tarfile.TarError, KeyError, IndexError, ValueError, EOFError) as error:
        raise BadData(
            f"{place} is no image: {error}.",
            "A base is an OCI layout, an archive of an engine, or a tar of a root file system.",
        ) from error
    return replace(found, name=place.name, source="a file")


@contextmanager
def _opened(place: Path) -> Iterator[Path]:
    """An archive's folder; an empty one for a tar that holds no image but files."""
    if place.is_dir():
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="mlops-base-") as name:
        with tarfile.open(place) as tar:
            if {"manifest.json", "oci-layout"} & {m.name.removeprefix("./") for m in tar}:
                tar.extractall(name, filter="data")
        yield Path(name)


def _of_layout(folder: Path, architecture: str, blobs: Blobs) -> Base:
    manifest = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    while "manifests" in manifest:
        chosen = choose(manifest["manifests"], architecture, folder.name)
        manifest = json.loads(_blob(folder, chosen["digest"]).read_text(encoding="utf-8"))
    config = json.loads(_blob(folder, manifest["config"]["digest"]).read_text(encoding="utf-8"))
    for one in manifest["layers"]:
        if not blobs.path(one["digest"]).exists():
            source = _blob(folder, one["digest"])
            with blobs.incoming() as (file, keep), source.open("rb") as content:
                shutil.copyfileobj(content, file)
                keep(one["digest"])
    return described(manifest, config, architecture, blobs)


def _blob(folder: Path, digest: str) -> Path:
    file = folder / "blobs" / digest.replace(":", "/")
    with file.open("rb") as stream:
        if f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}" != digest:
            raise BadData(f"The base image is not whole: its blob {digest} differs.")
    return file


def described(
    manifest: Mapping[str, Any], config: Mapping[str, Any], architecture: str, blobs: Blobs
) -> Base:
    """The base that a manifest and a configuration describe, whose layers are here."""
    _check(config.get("architecture", architecture), architecture)
    layers = []
    for one, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
        if one["mediaType"].endswith("zstd"):
            raise BadData("The base image is pressed by zstd, which is not read here.")
        # Pressed anew, so that an engine's copy of it gives the same image.
        layers.append(_pressed(blobs.path(one["digest"]), blobs, diff_id))
    return Base(name="", layers=layers, env=config.get("config", {}).get("Env") or (_PATH,))


def _of_archive(folder: Path, architecture: str, blobs: Blobs) -> Base:
    """What ``docker save`` writes: tars that are not compressed."""
    said = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))[0]
    config = json.loads((folder / said["Config"]).read_text(encoding="utf-8"))
    _check(config["architecture"], architecture)
    layers = [
        _pressed(folder / name, blobs, diff_id)
        for name, diff_id in zip(said["Layers"], config["rootfs"]["diff_ids"], strict=True)
    ]
    return Base(name="", layers=layers, env=config.get("config", {}).get("Env") or (_PATH,))


def _of_files(place: Path, architecture: str, blobs: Blobs) -> Base:
    """A tar of a root file system is a layer as it is."""
    with tarfile.open(place) as tar:
        found = {
            _MARKS[n]
            for m in tar
            if (n := m.name.removeprefix("./").removeprefix("usr/")) in _MARKS
        }
    if found and architecture not in found:
        _check(found.pop(), architecture)
    return Base(name="", layers=[_pressed(place, blobs)])


def _pressed(file: Path, blobs: Blobs, diff_id: str = "") -> Layer:
    with _plain(file) as stream:
        diff_id = diff_id or f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"  # type: ignore[arg-type]  # gzip's too
    if (known := blobs.remembered(f"base {diff_id}")) is not None:
        return known

    def write(stream: IO[bytes]) -> None:
        with _plain(file) as content:
            shutil.copyfileobj(content, stream, 1 << 20)

    layer = blobs.pressed("base", write)
    if layer.diff_id != diff_id:
        raise BadData(f"The base image is not whole: its layer {diff_id} differs.")
    return blobs.remember(f"base {diff_id}", layer)


def _plain(file: Path) -> IO[bytes]:
    with file.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    return gzip.open(file, "rb") if packed else file.open("rb")  # type: ignore[return-value]  # read alike


def choose(
    manifests: Sequence[Mapping[str, Any]], architecture: str, name: str
) -> Mapping[str, Any]:
    """Of several manifests the one for Linux on that architecture.

    Raises
    ------
    WrongUsage
        If there is none.
    """
    if len(manifests) == 1 and "platform" not in manifests[0]:
        return manifests[0]
    there = []
    for one in manifests:
        platform = one.get("platform", {})
        there.append(f"{platform.get('os')}/{platform.get('architecture')}")
        if there[-1] == f"linux/{architecture}":
            return one
    known = ", ".join(sorted(t for t in set(there) if "unknown" not in t))
    raise WrongUsage(
        f"The base {name} is not there for linux/{architecture}.", f"It is there for {known}."
    )


def _check(found: str, architecture: str) -> None:
    if found != architecture:
        raise WrongUsage(
            f"The base image is for {found}, and the image is to be for {architecture}.",
            "Choose another --base, or another --platform.",
        )
