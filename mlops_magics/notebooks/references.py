"""Secrets by reference: a parameter says where its value lies, and only the kernel gets it.

``env:NAME`` is a variable of this process, ``file:PATH`` the content of a file. A text that begins
so itself is written with one more colon: ``env::NAME``. A ``file://`` URI is a text like any other.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mlops_magics.errors import WrongUsage
from mlops_magics.evidence import secrets

#: The largest file that is taken for a secret, in bytes.
LARGEST = 1_000_000


def resolve(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Read what the references among parameters name.

    Returns
    -------
    values : dict
        Every parameter with its value.
    references : dict
        Of those that are references: name → reference.

    Raises
    ------
    WrongUsage
        If there is no such variable or file, or it holds nothing.
    """
    references = {name: value for name, value in given.items() if secrets.is_reference(value)}
    values = {
        name: _read(name, value) if name in references else unescape(value)
        for name, value in given.items()
    }
    return values, references


def unseen(params: Mapping[str, Any], references: Iterable[str]) -> tuple[str, ...]:
    """One sentence for each secret that is too short to be looked for in what cells print."""
    return tuple(
        f"The value of {name!r} is so short that it would not be masked where a cell prints it."
        for name in references
        if not list(secrets.long_enough(params[name]))
    )


def hidden(params: Mapping[str, Any], references: Mapping[str, str]) -> dict[str, Any]:
    """What may be written of each secret parameter: its reference, or the value masked."""
    given = {name: escape(value) for name, value in params.items()}
    masked = secrets.mask(given)
    return {n: masked[n] for n in given if masked[n] != given[n]} | dict(references)


def written(params: Mapping[str, Any], references: Mapping[str, str]) -> dict[str, Any]:
    """The parameters as they may be written, and be given again."""
    return {n: escape(value) for n, value in params.items()} | hidden(params, references)


def unescape(value: Any) -> Any:
    """A text without the colon that keeps it from being a reference."""
    return value.replace("::", ":", 1) if _escaped(value) else value


def escape(value: Any) -> Any:
    """A text as it has to be given so that it arrives as it is."""
    if secrets.is_reference(value) or _escaped(value):
        scheme, _, rest = value.partition(":")
        return f"{scheme}::{rest}"
    return value


def _escaped(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("env::", "file::"))


def _read(name: str, reference: str) -> str:
    scheme, _, place = reference.partition(":")
    value = _variable(name, place) if scheme == "env" else _file(name, place)
    if not value.strip():
        raise WrongUsage(f"The parameter {name!r} is {reference}, which is empty.")
    return value


def _variable(name: str, variable: str) -> str:
    if variable in os.environ:
        return os.environ[variable]
    raise WrongUsage(
        f"The parameter {name!r} is env:{variable}, and there is no such environment variable.",
        f"{_near(variable, os.environ)}Set it, or write env::{variable} for that text itself.",
    )


def _file(name: str, place: str) -> str:
    path = Path(place).expanduser()
    said = f"The parameter {name!r} is file:{place}, and"
    if not path.is_file():
        beside = [str(p) for p in path.parent.glob("*")] if path.parent.is_dir() else []
        raise WrongUsage(
            f"{said} there is no such file.",
            f"{_near(str(path), beside)}Write file::{place} for that text itself.",
        )
    if path.stat().st_size > LARGEST:
        raise WrongUsage(f"{said} a file of more than 1 MB is no secret.")
    try:
        # The line end that editors add is no part of it.
        return path.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise WrongUsage(f"{said} that file can't be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise WrongUsage(f"{said} that file holds no UTF-8 text.") from None


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=2, cutoff=0.6)
    return f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
