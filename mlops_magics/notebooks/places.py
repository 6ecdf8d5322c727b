"""Where an executed notebook goes if that is no file of this machine: anything fsspec can write."""

from __future__ import annotations

import contextlib
import posixpath
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_magics.errors import MlopsError, WrongUsage
from mlops_magics.notebooks.files import SUFFIX

#: File systems that show a file while it is written, and can rename it onto another. Stores of
#: objects show it once it is whole.
_RENAMING = {"sftp", "ssh", "ftp"}


@dataclass(frozen=True)
class Remote:
    """A file in a file system that fsspec knows.

    Attributes
    ----------
    uri : str
        For people and for the record; a password in it is not shown.
    path : str
        Within its file system.
    """

    uri: str
    path: str
    files: Any

    @property
    def name(self) -> str:
        """The file's own name."""
        return posixpath.basename(self.path)

    @property
    def folder(self) -> str:
        """The URI of the folder that it is in."""
        first, *rest = self.uri.split("::")
        return "::".join([first.removesuffix(self.name), *rest])

    def beside(self, suffix: str) -> Remote:
        """The file of the same name with another ending."""
        return self.sibling(self.name.removesuffix(SUFFIX) + suffix)

    def sibling(self, name: str) -> Remote:
        """The file of another name in the same folder."""
        first, *rest = self.uri.split("::")
        uri = "::".join([first.removesuffix(self.name) + name, *rest])
        return Remote(uri, self.path.removesuffix(self.name) + name, self.files)

    def write(self, content: bytes) -> None:
        """Write it whole: where the file system can, it appears only once it is all there.

        Raises
        ------
        MlopsError
            If it can't be written, in one sentence.
        """
        try:
            try:
                self._put(content)
            except FileNotFoundError:  # its folder, where there are any
                self.files.makedirs(posixpath.dirname(self.path), exist_ok=True)
                self._put(content)
        except Exception as error:  # each file system has exceptions of its own
            why = _why(error)
            if isinstance(error, NotImplementedError | ValueError):
                why = f"this file system takes no files ({why})"
            raise MlopsError(f"{self.uri} can't be written: {why}.") from error

    def _put(self, content: bytes) -> None:
        if not _RENAMING & {*_protocols(self.files)}:
            self.files.pipe_file(self.path, content)
            return
        aside = posixpath.join(posixpath.dirname(self.path), f".{self.name}.part")
        try:
            self.files.pipe_file(aside, content)
            self.files.mv(aside, self.path)
        except BaseException:
            with contextlib.suppress(Exception):
                self.files.rm_file(aside)
            raise


def find(output: str, name: str) -> Remote | Path:
    """The place that a path or a URI means.

    Parameters
    ----------
    name : str
        The file's name, if `output` is a folder.

    Raises
    ------
    WrongUsage
        If there is no such kind of file system, or the URI can't be read.
    MlopsError
        If what it needs is not installed.
    """
    scheme, separator, rest = output.partition("://")
    if not separator:
        return Path(output).expanduser()
    if scheme in ("file", "local"):
        return Path(rest) / name if rest.endswith("/") else Path(rest)
    first, *within = output.split("::")  # of a chain, the first is the file's own
    first = first + name if first.endswith("/") else first
    first = first if first.endswith(SUFFIX) else f"{first}{SUFFIX}"
    whole = "::".join([first, *within])
    import fsspec

    try:
        files, path = fsspec.core.url_to_fs(whole)
    except ImportError as error:  # fsspec says which package it needs
        raise MlopsError(f"{output} can't be written: {error}.") from error
    except ValueError as error:
        hint = "For example s3://bucket/folder/, sftp://host/folder/, or a path of this machine."
        raise WrongUsage(f"{output} names no place: {error}.", hint) from None
    except Exception as error:  # it connects, and each file system has exceptions of its own
        raise MlopsError(f"{shown(output)} can't be reached: {_why(error)}.") from error
    return Remote(shown(whole), path, files)


def _why(error: Exception) -> str:
    return " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__


def _protocols(files: Any) -> tuple[str, ...]:
    return (files.protocol,) if isinstance(files.protocol, str) else tuple(files.protocol)


def shown(uri: str) -> str:
    """A URI without the password that may stand in it."""
    scheme, separator, rest = uri.partition("://")
    host, slash, path = rest.partition("/")
    user, at, address = host.rpartition("@")
    with contextlib.suppress(ValueError):
        user, _ = user.split(":", 1)
    return f"{scheme}{separator}{user}{at}{address}{slash}{path}"
