"""An image as files: its configuration, its manifest, and the folder or archive that holds them."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_magics.errors import BadData, NotIntact
from mlops_magics.serving.package.images.blobs import Blobs, Layer

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True)
class Image:
    """An image that was put together: documents, and the layers that they name.

    Attributes
    ----------
    config, manifest : bytes
        JSON, as it is hashed.
    """

    config: bytes
    manifest: bytes
    layers: Sequence[Layer]

    @property
    def digest(self) -> str:
        """By which it is pulled."""
        return digest(self.manifest)

    @property
    def size(self) -> int:
        """Bytes of all layers, unpacked."""
        return sum(layer.unpacked for layer in self.layers)


@dataclass(frozen=True)
class Found:
    """An image that lies in a folder.

    Attributes
    ----------
    said : mapping
        Its labels, which are its annotations too.
    size : int
        Bytes of all layers, unpacked.
    """

    digest: str
    tag: str
    architecture: str
    said: Mapping[str, str]
    size: int


def digest(content: bytes) -> str:
    """``sha256:…`` of a document."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def put_together(
    layers: Sequence[Layer],
    *,
    architecture: str,
    config: Mapping[str, Any],
    annotations: Mapping[str, str],
) -> Image:
    """An image of these layers; it holds no time, so that it is the same each time."""
    about = {
        "architecture": architecture,
        "os": "linux",
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [{"created_by": f"mlops package: {layer.what}"} for layer in layers],
    }
    document = _json(about)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest(document), "size": len(document)},
        "layers": [layer.descriptor() for layer in layers],
        "annotations": dict(annotations),
    }
    return Image(document, _json(manifest), tuple(layers))


def write(image: Image, folder: Path, blobs: Blobs, tag: str) -> None:
    """An OCI layout: https://github.com/opencontainers/image-spec/blob/main/image-layout.md."""
    place = folder / "blobs" / "sha256"
    place.mkdir(parents=True)
    for content in (image.config, image.manifest):
        (place / digest(content).partition(":")[2]).write_bytes(content)
    for layer in image.layers:
        target = place / layer.digest.partition(":")[2]
        if not target.exists():  # two layers may be the same
            _link(blobs.path(layer.digest), target)
    described = {
        "mediaType": MANIFEST,
        "digest": image.digest,
        "size": len(image.manifest),
        "annotations": {"org.opencontainers.image.ref.name": tag},
    }
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [described]}
    (folder / "index.json").write_bytes(_json(index))
    (folder / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))


def read(folder: Path) -> Found:
    """The image in a folder that `write` wrote, whose files are all as they were.

    Raises
    ------
    BadData
        If there is none.
    NotIntact
        If a part of it was changed or removed.
    """
    try:
        described = json.loads((folder / "index.json").read_bytes())["manifests"][0]
        tag = described["annotations"]["org.opencontainers.image.ref.name"]
        manifest = json.loads(_whole(folder, described["digest"]).read_bytes())
        about = json.loads(_whole(folder, manifest["config"]["digest"]).read_bytes())
        layers = [_whole(folder, layer["digest"]) for layer in manifest["layers"]]
        return Found(
            digest=described["digest"],
            tag=tag,
            architecture=about["architecture"],
            said=manifest.get("annotations", {}),
            size=sum(_unpacked(layer) for layer in layers),
        )
    except (FileNotFoundError, NotADirectoryError, ValueError, LookupError, TypeError) as error:
        raise BadData(f"{folder} holds no image of ours.", "Package a model --as image.") from error


def _whole(folder: Path, name: str) -> Path:
    """A part whose content is what its name says."""
    file = _blob(folder, name)
    if file.is_file():
        with file.open("rb") as stream:
            if f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}" == name:
                return file
    how = "was changed" if file.is_file() else "is missing"
    raise NotIntact(f"The image {folder} is not as it was made: {name} {how}.", "Package it again.")


def _unpacked(layer: Path) -> int:
    """What a gzip file says of its content at its very end, up to 4 GB."""
    with layer.open("rb") as stream:
        stream.seek(-4, os.SEEK_END)
        return int.from_bytes(stream.read(4), "little")


def _link(source: Path, target: Path) -> None:
    """The same file under two names where that is possible: blobs are never changed."""
    import shutil

    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


@contextmanager
def as_docker_archive(layout: Path, tag: str) -> Iterator[Path]:
    """What ``docker load`` has read ever since; gone afterwards."""
    index = json.loads((layout / "index.json").read_bytes())
    manifest = json.loads(_blob(layout, index["manifests"][0]["digest"]).read_bytes())
    config = manifest["config"]["digest"]
    names = [f"{one['digest'].partition(':')[2]}.tar.gz" for one in manifest["layers"]]
    about = f"{config.partition(':')[2]}.json"
    listed = [{"Config": about, "RepoTags": [tag], "Layers": names}]
    with tempfile.TemporaryDirectory(prefix="mlops-image-") as folder:
        archive = Path(folder) / "image.tar"
        note = Path(folder) / "manifest.json"
        note.write_bytes(_json(listed))
        with tarfile.open(archive, "w") as tar:
            tar.add(note, "manifest.json")
            tar.add(_blob(layout, config), about)
            for name, one in dict(zip(names, manifest["layers"], strict=True)).items():
                tar.add(_blob(layout, one["digest"]), name)
        yield archive


@contextmanager
def as_directory(layout: Path) -> Iterator[Path]:
    """The same in docker's words, for tools that read containers' ``dir:``; gone afterwards."""
    index = json.loads((layout / "index.json").read_bytes())
    manifest = json.loads(_blob(layout, index["manifests"][0]["digest"]).read_bytes())
    about = {
        "schemaVersion": 2,
        "mediaType": DOCKER,
        "config": {**manifest["config"], "mediaType": DOCKER_CONFIG},
        "layers": [{**one, "mediaType": DOCKER_LAYER} for one in manifest["layers"]],
    }
    parts = [manifest["config"], *manifest["layers"]]
    with tempfile.TemporaryDirectory(prefix="mlops-image-") as aside:
        folder = Path(aside)
        (folder / "version").write_text("Directory Transport Version: 1.1\n")
        (folder / "manifest.json").write_bytes(_json(about))
        for name in {one["digest"] for one in parts}:
            (folder / name.partition(":")[2]).symlink_to(_blob(layout, name).absolute())
        yield folder


def _blob(layout: Path, name: str) -> Path:
    return layout / "blobs" / name.replace(":", "/")


def _json(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
