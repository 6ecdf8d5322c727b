"""``package.json``: what a package holds, with the digest of each file, and how to open it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mlops_magics import flavors
from mlops_magics.errors import BadData, NotIntact

FILE = "package.json"
MODEL = "model"
EXAMPLE = "input_example.json"
ANSWERS = "expected_answers.json"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A package's own account of itself.

    Attributes
    ----------
    model : str
        The version, ``name/number``.
    model_digest, digest : str
        Of the model's files, and of all files but this one: their names and content, no times.
    run_id, package_run_id : str
        The runs of `train` and of `package`.
    files : mapping
        Each file's sha256.
    measured : mapping
        What was measured when it was made, times among it: here, as no digest would hold them.
    why_no_graph : str
        Why the model is served by its own library and not as an ONNX graph; empty where it is.
    """

    model: str
    model_digest: str
    digest: str
    files: Mapping[str, str]
    run_id: str = ""
    package_run_id: str = ""
    commit: str = ""
    created: str = ""
    python: str = ""
    server: str = ""
    warnings: tuple[str, ...] = field(default=())
    measured: Mapping[str, Any] = field(default_factory=dict)
    why_no_graph: str = ""
    format: int = 1

    def write(self, folder: Path) -> None:
        """Write it into a folder that is not yet in use."""
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False)
        (folder / FILE).write_text(text + "\n", encoding="utf-8")


def read(folder: Path) -> Manifest:
    """The manifest of a package.

    Raises
    ------
    BadData
        If there is none or it can't be read.
    """
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if content.get("format") != 1:
            raise BadData(f"{folder} is a package of a format that this version does not know.")
        return Manifest(**{**content, "warnings": tuple(content.get("warnings", ()))})
    except FileNotFoundError as error:
        raise BadData(
            f"{folder} is no package: it has no {FILE}.", "`mlops package MODEL` makes one."
        ) from error
    except (ValueError, TypeError, AttributeError) as error:
        raise BadData(f"{folder / FILE} can't be read: {error}.") from error


def checked(folder: Path) -> Manifest:
    """The manifest of a package whose files are all as they were when it was made.

    Raises
    ------
    NotIntact
        If a file was changed, added or removed; nothing of it must be loaded then.
    """
    manifest = read(folder)
    found = hashes(folder)
    changed = [name for name, digest in manifest.files.items() if found.get(name) != digest]
    added = [name for name in found if name not in manifest.files]
    if changed or added:
        first = (changed or added)[0]
        how = (
            "was added" if not changed else ("is missing" if first not in found else "was changed")
        )
        raise NotIntact(
            f"The package {folder} is not as it was made: {first} {how}.", "Package it again."
        )
    if overall(found) != manifest.digest:
        raise NotIntact(f"The package {folder} is not as it was made: its digest differs.")
    return manifest


def hashes(folder: Path) -> dict[str, str]:
    """The sha256 of each file of a package but its manifest."""
    found = {}
    for name, file in flavors.folder.files(folder):
        if name != FILE:
            with file.open("rb") as stream:
                found[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def overall(files: Mapping[str, str]) -> str:
    """``sha256:…`` over the names and digests of all files."""
    lines = "".join(f"{name}\0{files[name]}\n" for name in sorted(files))
    return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"


def example(folder: Path) -> bytes:
    """The body that a package is tested with; empty when its model came without an example."""
    file = folder / EXAMPLE
    return file.read_bytes() if file.is_file() else b""


def answers(folder: Path) -> Any:
    """What the model answered to the example, when it was packaged; ``None`` without one."""
    file = folder / ANSWERS
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
