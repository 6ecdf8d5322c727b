"""Whether an image answers its model's example, before anybody is given it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlops_magics.errors import StepFailed
from mlops_magics.serving import manifest
from mlops_magics.serving.package.comparing import differs
from mlops_magics.serving.package.images import engines, wheels
from mlops_magics.serving.package.images.blobs import Blobs
from mlops_magics.serving.package.images.layouts import Image

APP = "app"
COMMAND = ("python", "-m", "mlops_magics.serving", ".", "--replay")
#: Seconds for loading a model and answering once.
LONGEST = 300


def replay(
    image: Image,
    package: Path,
    blobs: Blobs,
    *,
    engine: engines.Engine | None,
    tag: str,
    architecture: str,
) -> str:
    """Let an image answer the example of the package that it was made from.

    Returns
    -------
    str
        Why it was not, or not wholly, tried; empty if it was.

    Raises
    ------
    StepFailed
        If it does not answer, or not as the model does.
    """
    expected = manifest.answers(package)
    if expected is None:
        return "There was no input example to replay."
    if architecture != engines.here():
        return f"It was not replayed: it is for {architecture}, and this is {engines.here()}."
    note = ""
    if engine is not None:
        done = engine.answer(tag, COMMAND)
    elif os.getuid() == 0:
        done = _in_root(image, blobs)
    else:
        done = _by_this_python(image, blobs)
        note = "It was replayed with this Python: without an engine only root can use the base's."
    _check(done, expected)
    return note


def _check(done: subprocess.CompletedProcess[str], expected: Any) -> None:
    if done.returncode != 0:
        raise StepFailed(
            f"The image does not answer the input example: {engines.said(done)}.",
            "Nothing was kept, tagged or pushed.",
        )
    if difference := differs(expected, json.loads(done.stdout)):
        raise StepFailed(
            f"The image answers differently from the model: {difference}.",
            "Nothing was kept, tagged or pushed.",
        )


def _in_root(image: Image, blobs: Blobs) -> subprocess.CompletedProcess[str]:
    """In the image's own files, as the user that it names."""
    environment = dict(e.split("=", 1) for e in json.loads(image.config)["config"]["Env"])
    with tempfile.TemporaryDirectory(prefix="mlops-image-") as name:
        root = Path(name)
        root.chmod(0o755)
        unpacked(image, blobs, root)
        inside = ["chroot", "--userspec=10001:10001", name, "/usr/bin/env", "-C", f"/{APP}"]
        return _run([*inside, *COMMAND], environment, root)


def _by_this_python(image: Image, blobs: Blobs) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory(prefix="mlops-image-") as name:
        root = Path(name)
        unpacked(image, blobs, root, but="base")
        environment = {"PYTHONPATH": f"{root / APP}:{root / wheels.PLACE}", "HOME": name}
        return _run([sys.executable, "-S", *COMMAND[1:]], environment, root / APP)


def _run(
    command: Sequence[str], environment: dict[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no answer within {LONGEST} s")


def unpacked(image: Image, blobs: Blobs, folder: Path, but: str = "") -> None:
    """The files of an image's layers, those of `but` left out; deletions of layers are kept to."""
    for layer in image.layers:
        if layer.what == but:
            continue
        with tarfile.open(blobs.path(layer.digest), "r|*") as tar:
            for member in tar:
                place = Path(member.name)
                if place.name.startswith(".wh."):
                    _remove(folder / place.with_name(place.name.removeprefix(".wh.")))
                elif member.isdev() or ".." in place.parts:
                    continue
                else:
                    # Links lead to places in the image, absolute ones too.
                    tar.extract(member, folder, filter="fully_trusted")


def _remove(path: Path) -> None:
    import shutil

    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
