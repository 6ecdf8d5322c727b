"""Wheels for the image's platform, which may be another than this one's."""

from __future__ import annotations

import email
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

import platformdirs

from mlops_magics.errors import BadData, StepFailed

#: Where the packages are in the image; on Python's path by PYTHONPATH.
PLACE = "opt/packages"
#: The newest C library whose wheels are taken, 2.x: Debian 12's.
GLIBC = 36
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
#: Processes that compile byte code.
_COMPILERS = 4
_FOLDERS = ("purelib", "platlib")
#: pip's ways to say that there is none.
_NONE = re.compile(
    r"No matching distribution found for (\S+)|"
    r"Could not find a version that satisfies the requirement (\S+)"
)


@dataclass(frozen=True)
class Wheel:
    """A wheel that goes into an image; `facts` are its metadata."""

    path: Path
    name: str
    version: str
    facts: Message

    @property
    def sha256(self) -> str:
        """Of the file."""
        with self.path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()


def gather(requirements: str, architecture: str, python: str) -> list[Wheel]:
    """The wheel of each requirement, from pip's own sources, in order of name.

    Parameters
    ----------
    requirements : str
        Lines of ``name==version``; nothing that they need besides is looked for.
    python : str
        ``3.11``.

    Raises
    ------
    BadData
        If a package has no wheel for this platform; names it.
    StepFailed
        If pip fails otherwise.
    """
    digest = hashlib.sha256(f"{requirements}\n{architecture} {python}".encode()).hexdigest()
    folder = Path(platformdirs.user_cache_dir("mlops_magics")) / "wheels" / digest[:32]
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as aside:
            _download(requirements, Path(aside), architecture, python)
            Path(aside).chmod(0o755)
            if not folder.is_dir():
                os.rename(aside, folder)
                Path(aside).mkdir()  # what the context is about to remove
    found = [_read(path) for path in sorted(folder.glob("*.whl"))]
    return sorted(found, key=lambda wheel: wheel.name.lower())


def platforms(architecture: str) -> list[str]:
    """Tags of the platform, the newest first, as pip takes them."""
    machine = _MACHINES.get(architecture)
    if machine is None:
        raise BadData(
            f"There are no wheels for linux/{architecture}.",
            f"Choose one of {', '.join(f'linux/{a}' for a in _MACHINES)}.",
        )
    newer = [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC, 4, -1)]
    return [*newer, f"manylinux2014_{machine}", f"manylinux2010_{machine}", f"linux_{machine}"]


def _download(requirements: str, folder: Path, architecture: str, python: str) -> None:
    file = folder / "requirements.txt"
    file.write_text(requirements, encoding="utf-8")
    tags = [word for tag in platforms(architecture) for word in ("--platform", tag)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
            *("--disable-pip-version-check", "--no-input", "--only-binary", ":all:"),
            *("--implementation", "cp", "--python-version", python, *tags),
            *("--dest", str(folder), "--requirement", str(file)),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    file.unlink()
    if done.returncode == 0:
        return
    if missing := _NONE.search(done.stderr):
        name = missing[1] or missing[2]
        raise BadData(
            f"{name} has no wheel for Python {python} on linux/{architecture}.",
            "Train with a version that has one, or build an image from the folder's Dockerfile.",
        )
    lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    raise StepFailed(f"pip could not fetch the packages: {(lines or ['no word'])[-1]}.")


def _read(path: Path) -> Wheel:
    with zipfile.ZipFile(path) as wheel:
        inside = next(n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
        facts = email.message_from_bytes(wheel.read(inside))
    return Wheel(path, facts["Name"], facts["Version"], facts)


def unpack(wheels: list[Wheel], folder: Path) -> None:
    """Put the modules of all wheels into one folder; programs and headers are left out."""
    for one in wheels:
        with zipfile.ZipFile(one.path) as wheel:
            for info in wheel.infolist():
                top, _, rest = info.filename.partition("/")
                name = info.filename
                if top.endswith(".data"):
                    kind, _, name = rest.partition("/")
                    if kind not in _FOLDERS:
                        continue
                target = (folder / name).resolve()
                if info.is_dir() or not target.is_relative_to(folder.resolve()):
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with wheel.open(info) as source, target.open("wb") as copy:
                    while part := source.read(1 << 20):
                        copy.write(part)


def compiled(folder: Path, at: str, python: str) -> None:
    """Byte code beside the modules, the same each time: a container can't write it, and starts
    twice as slowly without. Only a Python of the image's own version can make it.
    """
    if python != f"{sys.version_info.major}.{sys.version_info.minor}":
        return
    modules = sorted(path.as_posix() for path in folder.rglob("*.py"))
    command = [
        *(sys.executable, "-m", "compileall", "-q", "-j", "1"),
        *("--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", f"/{at}"),
    ]
    # What a process compiled before decides some bytes: so each has the same part each time.
    with tempfile.TemporaryDirectory() as lists:
        running = []
        for number in range(_COMPILERS):
            part = Path(lists) / str(number)
            part.write_text("\n".join(modules[number::_COMPILERS]))
            running.append(
                subprocess.Popen(
                    [*command, "-i", str(part)],
                    env={**os.environ, "PYTHONHASHSEED": "0"},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,  # some packages carry files for other Pythons
                    stderr=subprocess.DEVNULL,
                )
            )
        for process in running:
            process.wait()
