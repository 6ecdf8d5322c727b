"""Notebooks as files: finding, reading, and writing them whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import nbformat

from mlops_magics.errors import BadData, MlopsError, UnknownName

SUFFIX = ".ipynb"


def templates() -> dict[str, Path]:
    """The notebooks that ship with the package, by name.

    A wheel carries them inside the package, a checkout beside it.
    """
    package = Path(str(files("mlops_magics")))
    for folder in (package / "templates", package.parent / "templates"):
        found = {file.stem: file for file in sorted(folder.glob(f"*{SUFFIX}"))}
        if found:
            return found
    return {}


def find(name: str) -> Path:
    """The notebook of that path, or the shipped template of that name.

    Raises
    ------
    UnknownName
        If there is none; with the nearest in the same folder, and the templates.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path.resolve()
    shipped = templates()
    if path.name == name and path.stem in shipped and path.suffix in {"", SUFFIX}:
        return shipped[path.stem]
    with_suffix = path.with_name(f"{path.name}{SUFFIX}") if path.name else path
    if with_suffix.is_file():
        return with_suffix.resolve()
    beside = path.parent if path.parent.is_dir() else Path()
    near = [str(file) for file in beside.glob(f"*{SUFFIX}")]
    raise UnknownName("notebook", name, [*near, *shipped])


def read(path: Path) -> nbformat.NotebookNode:
    """A notebook in the current format (4.5: every cell has an id).

    Raises
    ------
    BadData
        If the file can't be read or is no notebook.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(f"{path} can't be read: {error}.") from error
    return reads(text, str(path))


def reads(text: str, name: str = "The text") -> nbformat.NotebookNode:
    """Like `read`, from the file's text."""
    try:
        notebook = nbformat.reads(text, as_version=4)
        nbformat.validate(notebook, relax_add_props=True)
        return nbformat.v4.upgrade(notebook)
    except (nbformat.ValidationError, nbformat.reader.NotJSONError) as error:
        why = str(error).splitlines()[0].rstrip(".:")
    except (AttributeError, KeyError, TypeError, ValueError):
        why = "it has not the parts that a notebook has"
    raise BadData(f"{name} is not a notebook: {why[:200]}.", "Give the path of an .ipynb file.")


def text_of(notebook: Mapping[str, Any]) -> str:
    """A notebook as the text of its file, laid out as every notebook is."""
    return str(nbformat.writes(nbformat.from_dict(dict(notebook)))) + "\n"


def dumps(notebook: dict[str, Any]) -> bytes:
    """A notebook's JSON, as it was parsed, as a file's bytes again."""
    layout: dict[str, Any] = {"indent": 1, "sort_keys": True, "separators": (",", ": ")}
    try:
        return (json.dumps(notebook, ensure_ascii=False, **layout) + "\n").encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair, which UTF-8 has no form for
        return (json.dumps(notebook, ensure_ascii=True, **layout) + "\n").encode("utf-8")


def write(path: Path, content: bytes) -> None:
    """Write a file so that whoever looks sees the old one or the whole new one.

    Raises
    ------
    MlopsError
        If it can't be written, because the disk is full for instance; nothing is left behind.
    """
    aside = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fchmod(descriptor, 0o666 & ~_umask())  # mkstemp's 0600 is for secrets
            os.fsync(descriptor)
        os.replace(aside, path)
        aside = None
        _sync_folder(path.parent)
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        raise MlopsError(
            f"{path} can't be written: {error.strerror or error}.",
            "Make room and run it again." if full else "Choose another place with --output.",
        ) from error
    finally:
        if aside is not None:
            with contextlib.suppress(OSError):
                os.unlink(aside)


def _umask() -> int:
    # There is no way to ask for it but to set it, which would be felt in other threads.
    with contextlib.suppress(OSError, StopIteration, ValueError):
        status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return int(next(line for line in status if line.startswith("Umask:")).split()[1], 8)
    return 0o022


def _sync_folder(folder: Path) -> None:
    """Make the new name outlive a power cut, where folders can be synced."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
