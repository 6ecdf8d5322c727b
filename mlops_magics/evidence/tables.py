"""Data as a DataFrame, from wherever it is: memory, a file, anything fsspec can open."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import IO, Any
from urllib.parse import urlsplit, urlunsplit

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa

from mlops_magics.errors import BadData, MlopsError, UnknownName, WrongUsage

#: How compressed text ends → fsspec's name for the compression.
_COMPRESSED = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz"}


def read(ref: Any) -> pd.DataFrame:
    """The data that `ref` names, with text as column names.

    Parameters
    ----------
    ref : DataFrame, Series, array, (X, y), or str or Path
        A path or URI ends in ``.csv``, ``.tsv``, ``.parquet``, ``.feather``, ``.jsonl`` or
        ``.json``; text may be compressed (``.csv.gz``). The columns of an array are named
        ``x0``, ``x1``, …; an unnamed ``y`` is named ``y``. Also taken: anything with
        ``to_pandas()`` (polars, Arrow), a mapping of columns, a list of rows.

    Raises
    ------
    UnknownName
        If the file does not exist; names the nearest in its folder.
    WrongUsage
        If the suffix, or the type of `ref`, is none of the above.
    BadData
        If the file can't be read or is empty, or there are no rows, no columns, or two columns
        of one name.
    """
    what = describe_source(ref)
    frame = _from_file(str(ref)) if isinstance(ref, str | PurePath) else _from_memory(ref)
    if not isinstance(frame.columns, pd.MultiIndex) and not all(
        isinstance(c, str) for c in frame.columns
    ):
        frame = frame.set_axis(frame.columns.map(str), axis=1)
    elif isinstance(frame.columns, pd.MultiIndex):
        frame = frame.set_axis([" ".join(map(str, c)).strip() for c in frame.columns], axis=1)
    if not len(frame.columns):
        raise BadData(f"{what} has no columns.", "Name data with at least one column.")
    _refuse_doubles(what, list(frame.columns))
    if not len(frame):
        raise BadData(
            f"{what} has no rows, only the columns {_listed(frame.columns)}.",
            "Look at how it was made: a filter may have left nothing.",
        )
    return frame


def nearby(folder: Path) -> list[str]:
    """The names of the files in a folder that could be read."""
    return [f.name for f in folder.iterdir() if f.is_file() and set(f.suffixes) & set(_READERS)]


def describe_source(ref: Any) -> str:
    """Where data comes from, for a record: a whole path, a URI without secrets, or its type."""
    if isinstance(ref, tuple) and len(ref) == 2:
        return f"({type(ref[0]).__name__}, {type(ref[1]).__name__}) in memory"
    if not isinstance(ref, str | PurePath):
        return f"{type(ref).__name__} in memory"
    text = str(ref)
    if "://" not in text:
        return Path(text).expanduser().absolute().as_posix()
    parts = urlsplit(text)
    # A password, or the signature of a signed link, has no place in a record.
    query = "" if parts.scheme in ("http", "https") else parts.query
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))


def _from_memory(ref: Any) -> pd.DataFrame:
    if isinstance(ref, pd.DataFrame):
        return ref
    if isinstance(ref, tuple):
        return _from_pair(ref)
    if isinstance(ref, pd.Series):
        return ref.to_frame(name="x0" if ref.name is None else ref.name)
    if hasattr(ref, "to_pandas"):
        found = ref.to_pandas()
        return found if isinstance(found, pd.DataFrame) else _from_memory(found)
    if isinstance(ref, dict | list):
        try:
            return pd.DataFrame(ref)
        except ValueError as error:
            raise BadData(f"The {type(ref).__name__} is no table: {error}.") from error
    if hasattr(ref, "__array__"):
        return _from_array(np.asarray(ref))
    if hasattr(ref, "toarray"):  # a sparse matrix
        return _from_array(ref.toarray())
    raise WrongUsage(
        f"An object of type {type(ref).__name__} is no data.",
        "Give a DataFrame, an array, (X, y), a path, a URI, or the name of a prepared dataset.",
    )


def _from_array(values: np.ndarray[Any, Any]) -> pd.DataFrame:
    if values.dtype.names:
        return pd.DataFrame(values)
    if values.ndim > 2:
        raise BadData(
            f"An array of {values.ndim} dimensions is no table: its shape is {values.shape}.",
            "Give two dimensions: rows and columns.",
        )
    table = values.reshape(len(values), -1) if values.ndim else values.reshape(1, 1)
    return pd.DataFrame(table, columns=[f"x{i}" for i in range(table.shape[1])])


def _from_pair(pair: tuple[Any, ...]) -> pd.DataFrame:
    if len(pair) != 2:
        raise WrongUsage(f"A tuple of {len(pair)} is no data.", "Give (X, y).")
    features, target = _from_memory(pair[0]), _from_memory(pair[1])
    if len(features) != len(target):
        raise BadData(f"X has {len(features):,} rows and y has {len(target):,}.")
    named = isinstance(pair[1], pd.DataFrame) or getattr(pair[1], "name", None) is not None
    if not named:
        target = target.set_axis(
            ["y"] if target.shape[1] == 1 else [f"y{i}" for i in range(target.shape[1])], axis=1
        )
    # By position: y often comes without X's index.
    return pd.concat([features, target.set_axis(features.index)], axis=1)


def _from_file(ref: str) -> pd.DataFrame:
    suffixes = [s.lower() for s in PurePath(urlsplit(ref).path if "://" in ref else ref).suffixes]
    compression = _COMPRESSED.get(suffixes[-1]) if suffixes else None
    suffix = (suffixes[:-1] if compression else suffixes)[-1:]
    files, path = _locate(ref)
    reader = _READERS.get(suffix[0]) if suffix else None
    if reader is None:
        raise WrongUsage(
            f"{ref} ends in no suffix that is known here.",
            f"Known: {', '.join(_READERS)}; the text formats also as .gz, .bz2 or .xz.",
        )
    try:
        with files.open(path, "rb", compression=compression) as file:
            return reader(file)
    except pd.errors.EmptyDataError as error:
        raise BadData(f"{ref} is empty.") from error
    except UnicodeDecodeError as error:
        raise BadData(f"{ref} is not UTF-8 text: {error.reason}.", "Save it as UTF-8.") from error
    except (ValueError, EOFError, OSError, pd.errors.ParserError, pa.ArrowException) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise BadData(f"{ref} can't be read as {suffix[0]}: {reason}.") from error


def _locate(ref: str) -> tuple[Any, str]:
    """The file system and the path of something that is there."""
    try:
        files, path = fsspec.core.url_to_fs(ref)
        there = files.exists(path)
    except ImportError as error:  # fsspec says which package a protocol needs
        raise MlopsError(f"{describe_source(ref)} can't be opened: {error}.") from error
    except ValueError as error:
        raise WrongUsage(f"{describe_source(ref)} can't be opened: {error}.") from error
    if not there:
        raise _missing(files, path)
    if files.isdir(path):
        raise WrongUsage(f"{ref} is a folder.", f"Files in it: {_listed(_names(files, path))}.")
    return files, path


def _missing(files: Any, path: str) -> UnknownName:
    """The first part of the path that does not exist, and the nearest that do beside it."""
    missing, folder = PurePath(path), PurePath(path).parent
    while folder != folder.parent and not files.exists(str(folder)):
        missing, folder = folder, folder.parent
    kind = "file" if missing == PurePath(path) else "folder"
    return UnknownName(kind, missing.name, _names(files, str(folder)), f"Looked in {folder}.")


def _names(files: Any, folder: str) -> list[str]:
    try:
        return sorted(PurePath(p).name for p in files.ls(folder, detail=False))
    except (OSError, NotImplementedError):
        return []


def _csv(separator: str) -> Callable[[IO[bytes]], pd.DataFrame]:
    def read_csv(file: IO[bytes]) -> pd.DataFrame:
        head = file.readline().decode("utf-8-sig")
        # pandas renames the second of two equal names without a word.
        names = next(csv.reader(io.StringIO(head), delimiter=separator), [])
        _refuse_doubles("The file", [n for n in names if n])
        file.seek(0)
        # Whole columns are looked at for their type, not one stretch of rows after the other.
        return pd.read_csv(file, sep=separator, low_memory=False)

    return read_csv


def _json(file: IO[bytes]) -> pd.DataFrame:
    start = file.read(1024).lstrip()
    if not start:
        raise pd.errors.EmptyDataError
    file.seek(0)
    # Text stays text: pandas would otherwise turn whatever looks like a date into one.
    return pd.read_json(
        file, lines=start[:1] != b"[", convert_dates=False, dtype=None, precise_float=True
    )


def _columnar(load: Callable[[IO[bytes]], pd.DataFrame]) -> Callable[[IO[bytes]], pd.DataFrame]:
    def read_columnar(file: IO[bytes]) -> pd.DataFrame:
        if not file.read(1):
            raise pd.errors.EmptyDataError
        file.seek(0)
        return load(file)

    return read_columnar


_READERS: dict[str, Callable[[IO[bytes]], pd.DataFrame]] = {
    ".csv": _csv(","),
    ".tsv": _csv("\t"),
    ".parquet": _columnar(pd.read_parquet),
    ".pq": _columnar(pd.read_parquet),
    ".feather": _columnar(pd.read_feather),
    ".arrow": _columnar(pd.read_feather),
    ".jsonl": _json,
    ".ndjson": _json,
    ".json": _json,
}


def _refuse_doubles(what: str, names: list[str]) -> None:
    double = sorted(name for name, count in Counter(names).items() if count > 1)
    if double:
        raise BadData(
            f"{what} has more than one column named {_listed(double)}.",
            "Give each column a name of its own.",
        )


def _listed(names: Any) -> str:
    shown = [repr(str(n)) for n in names]
    return ", ".join(shown[:12]) + (f" … ({len(shown)} in all)" if len(shown) > 12 else "")
