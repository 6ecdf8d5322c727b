"""A fresh environment made from a recorded lock, and the kernel that runs in it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops_magics.errors import MlopsError
from mlops_magics.evidence.installed import normalised
from mlops_magics.notebooks.kernels import NATIVE, Kernel

#: This package; what of its requirements a training needs was imported by the recorded one.
OURS = "mlops-magics"

#: What a kernel and its magics need beside what a script's process had imported.
_KERNEL = ("ipykernel", "ipython", "cyclopts")

#: What is not installed with the rest: the installers themselves, and this package.
_APART = {"pip", "uv", OURS}

#: Variables by which an environment would take up modules or settings of another.
_FOREIGN = re.compile(r"PYTHON(PATH|HOME|STARTUP)|VIRTUAL_ENV|CONDA_.*|PIP_(TARGET|PREFIX|USER)")

#: What stands before the reason that uv gives.
_UV = re.compile(r"(╰─▶|├─▶|cause:)\s*")

#: Seconds that the installer gets.
LONGEST = 1800


class NotMadeError(MlopsError):
    """The environment can't be made; says why in the installer's words."""


@dataclass(frozen=True)
class Fresh:
    """An environment that was made.

    Attributes
    ----------
    python : str
        Its interpreter.
    kernel : Kernel
        Which runs in it.
    environment : dict
        Variables that its processes get beside this process's, or in their place.
    """

    python: str
    kernel: Kernel
    environment: dict[str, str]


def make(folder: Path, lock: str, imported: Collection[str], python: str) -> Fresh:
    """Install what a recorded process had imported, with all that it needs, exactly as locked.

    Parameters
    ----------
    folder : Path
        Empty; the environment is made in it.
    lock : str
        The recorded ``requirements.txt``.
    imported : collection of str
        The distributions that were imported.
    python : str
        The recorded version of Python.

    Raises
    ------
    NotMadeError
        If something can't be had any more, or there is no such Python.
    """
    place = folder / "environment"
    environment = {k: v for k, v in os.environ.items() if not _FOREIGN.fullmatch(k)}
    uv = shutil.which("uv")
    program = str(place / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    if uv:
        _do([uv, "venv", "--quiet", "--python", _minor(python), str(place)], environment)
        install = [uv, "pip", "install", "--quiet", "--python", program]
    else:
        if _minor(python) != f"{sys.version_info[0]}.{sys.version_info[1]}":
            raise NotMadeError(
                f"It was recorded on Python {python}, and this is Python "
                f"{sys.version_info[0]}.{sys.version_info[1]}.",
                "Install uv, which brings any Python.",
            )
        _do([sys.executable, "-m", "venv", str(place)], environment)
        # Used once: only what is imported is worth compiling.
        options = ("--quiet", "--disable-pip-version-check", "--no-compile")
        install = [program, "-m", "pip", "install", *options]
    lines = _lines(lock)
    if OURS not in lines:
        raise NotMadeError(f"The recorded lock lacks {OURS} itself.")
    wanted, rest = folder / "wanted.txt", folder / "constraints.txt"
    names = sorted({*imported, *_KERNEL} - _APART)
    wanted.write_text("".join(f"{lines.get(name, name)}\n" for name in names))
    rest.write_text("".join(f"{line}\n" for line in lines.values() if "@" not in line))
    _do([*install, "-r", str(wanted), "-c", str(rest)], environment)
    _do([*install, "--no-deps", lines[OURS]], environment)
    own = {
        **{k: "" for k in os.environ if _FOREIGN.fullmatch(k)},
        "VIRTUAL_ENV": str(place),
        "PATH": f"{Path(program).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONNOUSERSITE": "1",
    }
    return Fresh(program, _kernel(folder / "kernels", program), own)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _lines(lock: str) -> dict[str, str]:
    """Name → requirement; comments, and hashes, which a part of the lock can't keep, left out."""
    found = {}
    for line in lock.splitlines():
        text = line.partition(" \\")[0].strip()
        if match := re.match(r"([A-Za-z0-9][\w.\-]*)\s*(==|@)", text):
            found[normalised(match[1])] = text
    return found


def _kernel(folder: Path, program: str) -> Kernel:
    (folder / NATIVE).mkdir(parents=True)
    words = [program, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": words, "display_name": "Recorded environment", "language": "python"}
    (folder / NATIVE / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    return Kernel(NATIVE, "python", program, str(folder))


def _do(words: Sequence[str], environment: dict[str, str]) -> None:
    try:
        done = subprocess.run(
            words,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotMadeError(f"The environment could not be made: {error}.") from error
    if done.returncode != 0:
        raise NotMadeError(f"The environment could not be made: {_decisive(done.stderr)}")


def _decisive(output: str) -> str:
    """The line of an installer that says why."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.partition(":")[2].strip() for line in lines if line.startswith("ERROR:")]
    because = next((i for i, line in enumerate(lines) if _UV.match(line)), None)
    if because is not None:  # uv's reason may go on over lines
        text = _UV.sub("", " ".join(lines[because:]), count=1)
    else:
        text = (errors or lines or ["the installer ended without a word."])[-1]
    return text if len(text) <= 400 else f"{text[:399]}…"
