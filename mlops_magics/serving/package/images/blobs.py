"""Blobs by their digest: what an image is made of, kept from one build to the next."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import platformdirs

from mlops_magics.serving.package.images import pressing

GZIPPED = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer of an image.

    Attributes
    ----------
    what : str
        ``base``, ``packages`` or ``model``.
    digest, diff_id : str
        Of the bytes as they travel, and of the tar in them: ``sha256:…``.
    size, unpacked : int
        Bytes, likewise.
    """

    what: str
    digest: str
    diff_id: str
    size: int
    unpacked: int
    media_type: str = GZIPPED

    def descriptor(self) -> dict[str, Any]:
        """What a manifest says of it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


class Blobs:
    """A folder of blobs, and of notes by which they are found again.

    Parameters
    ----------
    folder : Path, optional
        By default a folder in the user's cache: what is in it can be made again.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or Path(platformdirs.user_cache_dir("mlops_magics")) / "images"
        (self.folder / "sha256").mkdir(parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        """Where a blob is, or would be."""
        return self.folder / digest.replace(":", "/")

    @contextmanager
    def incoming(self) -> Iterator[tuple[IO[bytes], Callable[[str], Path]]]:
        """A file to write to, and what keeps it under its digest; it is gone if nobody did."""
        descriptor, name = tempfile.mkstemp(dir=self.folder, prefix=".incoming-")
        aside = Path(name)

        def keep(digest: str) -> Path:
            file.flush()
            os.replace(aside, self.path(digest))
            return self.path(digest)

        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file, keep
        finally:
            aside.unlink(missing_ok=True)

    def remembered(self, key: str) -> Layer | None:
        """The layer that was made for `key`, if it is still whole."""
        try:
            layer = Layer(**self.noted(key))
        except TypeError:
            return None
        return layer if self.has(layer) else None

    def remember(self, key: str, layer: Layer) -> Layer:
        """Find the layer again by `key`."""
        self.note(key, asdict(layer))
        return layer

    def has(self, layer: Layer) -> bool:
        """Whether a layer is here, whole."""
        try:
            return self.path(layer.digest).stat().st_size == layer.size
        except OSError:
            return False

    def noted(self, key: str) -> dict[str, Any]:
        """What was noted under `key`; nothing if nothing was."""
        try:
            found = json.loads(self._note(key).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def note(self, key: str, facts: Mapping[str, Any]) -> None:
        """Keep some facts for the next time."""
        with self.incoming() as (file, keep):
            file.write(json.dumps(facts).encode())
            os.replace(keep(f"sha256:{uuid4().hex}"), self._note(key))

    def _note(self, key: str) -> Path:
        # A layer that is pressed otherwise has another digest.
        key = hashlib.sha256(f"{pressing.FORM}\n{key}".encode()).hexdigest()
        return self.folder / f"{key}.json"

    def pressed(self, what: str, write: Callable[[IO[bytes]], None]) -> Layer:
        """A layer of the tar that `write` writes, compressed the same way each time."""
        with self.incoming() as (file, keep):
            outer = _Hashed(file)
            with pressing.Gzip(outer) as packed:  # type: ignore[arg-type]  # it only writes
                inner = _Hashed(packed)
                write(inner)  # type: ignore[arg-type]  # they only write
            keep(outer.digest)
        return Layer(
            what=what,
            digest=outer.digest,
            diff_id=inner.digest,
            size=outer.size,
            unpacked=inner.size,
        )

    def tree(self, what: str, folders: dict[str, Path]) -> Layer:
        """A layer of folders, each at its place in the image; times and owners are left out."""

        def write(stream: IO[bytes]) -> None:
            with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar:
                made: set[str] = set()
                for at in sorted(folders):
                    for parent in reversed(Path(at).parents[:-1]):
                        _add_folder(tar, made, parent.as_posix())
                    _add_folder(tar, made, at)
                    root = folders[at]
                    for path in sorted(root.rglob("*"), key=lambda p: p.relative_to(root).parts):
                        name = f"{at}/{path.relative_to(root).as_posix()}"
                        if path.is_dir():
                            _add_folder(tar, made, name)
                        else:
                            with path.open("rb") as content:
                                info = tarfile.TarInfo(name)
                                info.mode, info.size = 0o644, path.stat().st_size
                                tar.addfile(info, content)

        return self.pressed(what, write)


def _add_folder(tar: tarfile.TarFile, made: set[str], name: str) -> None:
    if name not in made:
        made.add(name)
        info = tarfile.TarInfo(name)
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(info)


class _Hashed:
    """Passes on what is written, and knows its digest and size."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self.size += len(data)
        self._file.write(data)
        return len(data)

    def flush(self) -> None:
        self._file.flush()

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"
