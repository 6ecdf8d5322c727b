"""Running a package with what its ``requirements.txt`` names, and nothing else, installed.

A folder of links to just those packages takes the place of site-packages, so that a missing
requirement shows now and not on the machine where the package is put to work.
"""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name

#: Seconds that loading a model and answering once may take.
LONGEST = 300


@dataclass(frozen=True)
class Replayed:
    """How a package answered its example.

    Attributes
    ----------
    missing : str
        A package that was needed and is not among the requirements.
    """

    code: int
    output: str
    log: str
    missing: str = ""


def replay(package: Path, names: Iterable[str], command: Sequence[str] = ()) -> Replayed:
    """Let what is packaged, in a fresh process, answer the package's input example.

    Parameters
    ----------
    names : iterable of str
        Canonical names of the packages that it may use.
    command : sequence of str
        What Python is to run; by default the packaged server.
    """
    command = command or ("-m", "mlops_magics.serving", str(package), "--replay")
    with tempfile.TemporaryDirectory(prefix="mlops-replay-") as folder:
        _link(Path(folder), frozenset(names))
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("PYTHON")},
            "PYTHONPATH": os.pathsep.join((str(package), folder)),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        try:
            done = subprocess.run(
                # -S: without site-packages; what is linked is all there is.
                [sys.executable, "-S", *command],
                cwd=package,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=LONGEST,
            )
        except subprocess.TimeoutExpired:
            return Replayed(1, "", f"It did not answer within {LONGEST} s.")
    return Replayed(done.returncode, done.stdout, done.stderr, _missing(done.stderr))


def _link(folder: Path, names: frozenset[str]) -> None:
    linked: set[tuple[Path, str]] = set()
    for package in metadata.distributions():
        if canonicalize_name(package.metadata["Name"]) not in names:
            continue
        for parts in _files(package):
            if parts[0] in ("..", "__pycache__"):  # scripts, and byte code of single files
                continue
            site = Path(str(package.locate_file("")))
            if (site, parts[0]) not in linked and not _link_one(folder, site, parts):
                linked.add((site, parts[0]))


def _files(package: metadata.Distribution) -> Iterable[tuple[str, ...]]:
    """Its files' paths in parts; from its record itself, where it has one."""
    if (record := package.read_text("RECORD")) is None:
        return [file.parts for file in package.files or ()]
    return [tuple(row[0].split("/")) for row in csv.reader(record.splitlines()) if row]


def _link_one(folder: Path, site: Path, parts: tuple[str, ...]) -> bool:
    """Link the top folder, or file by file where packages share one without ``__init__``.

    Returns
    -------
    bool
        Whether it is one that is shared.
    """
    top = site / parts[0]
    shared = top.is_dir() and not (top / "__init__.py").exists() and "." not in parts[0]
    target = folder.joinpath(*parts) if shared else folder / parts[0]
    source = site.joinpath(*parts) if shared else top
    if not target.exists() and source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source)
    return shared


def _missing(log: str) -> str:
    """The package of the module that Python did not find, if there is one."""
    found = re.findall(r"No module named '([\w.]+)'|needs the module '([\w.]+)'", log)
    for match in reversed(found):
        top = next(filter(None, match)).partition(".")[0]
        if packages := metadata.packages_distributions().get(top):
            return canonicalize_name(packages[0])
    return ""
