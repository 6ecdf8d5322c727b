"""Writing the state: the notebook's names in one piece, so that what is shared stays shared."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import pickle
import re
import sys
import time
import types
from collections.abc import Mapping
from typing import Any

from . import common, libraries
from .common import NotKeptError, first

#: IPython's own names, and Python's.
_SHELLS = re.compile(r"_+|_i+|_\d+|_i\d+|_[ido]h|_exit_code|In|Out|__\w+__")
#: The results that `_`, `__` and `___` stand for.
LAST = ("_", "__", "___")
#: How much more time than expected is wanted, because what is broken off was in vain.
MARGIN = 1.2
_CHUNK = 1 << 24

#: The variable that could not be kept last time, and its identity.
_stuck: tuple[str, int] = ("", 0)


class OutOfBoundsError(NotKeptError):
    """Keeping the state takes too long or too much room."""


class _File:
    """Takes the pickled bytes: hashes them, looks for secrets, minds time and size."""

    def __init__(self, asked: Mapping[str, Any], file: Any = None) -> None:
        self.file, self.hash, self.size = file, hashlib.sha256(), 0
        self.end = time.monotonic() + asked["seconds"]
        self.most = asked["most"]
        forms = ("utf-8", "utf-32-le")  # text, and text in arrays
        self.secrets = {v.encode(f): label for label, v in first["secrets"].items() for f in forms}
        self.overlap = max(map(len, self.secrets), default=1) - 1
        self.tail = b""
        #: Bytes of the array of numbers that comes next, in which there is no text to look for.
        self.numbers = -1

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        numbers = len(view) == self.numbers
        self.numbers = -1 if numbers else self.numbers
        for at in range(0, len(view), _CHUNK):
            part = view[at : at + _CHUNK]
            self.size += len(part)
            if time.monotonic() > self.end:
                raise OutOfBoundsError("writing it takes longer than it may by then")
            if self.size > self.most:
                raise OutOfBoundsError(f"it takes more than {self.most / 1e6:,.0f} MB")
            if not numbers:
                self._look(part)
            if self.file is not None:
                self.hash.update(part)
                self.file.write(part)
        return len(view)

    def _look(self, part: memoryview) -> None:
        if not self.secrets:
            return
        text = self.tail + part
        for secret, label in self.secrets.items():
            if secret in text:
                raise NotKeptError(f"the secret {label} is part of it")
        self.tail = text[-self.overlap :] if self.overlap else b""


def _pickler(file: _File) -> Any:
    """Cloudpickle's, by which functions of the notebook keep looking into its names."""
    import cloudpickle

    space = common.names()
    array = getattr(sys.modules.get("numpy"), "ndarray", None)

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # untyped
        def _dynamic_function_reduce(self, func: Any) -> Any:
            self.globals_ref.setdefault(id(space), common.Namespace())
            reduced = super()._dynamic_function_reduce(func)
            if func.__globals__ is space:
                reduced[2][1]["__globals__"] = {}  # they come back with the names themselves
            return reduced

        def reducer_override(self, obj: Any) -> Any:
            for stream in ("stdout", "stderr"):
                if obj is getattr(sys, stream):
                    return getattr, (sys, stream)
            if type(obj) is array and obj.dtype.kind in "fc" and obj.nbytes > _CHUNK:
                file.numbers = obj.nbytes
            if isinstance(obj, io.IOBase) and not isinstance(obj, (io.BytesIO, io.StringIO)):
                raise NotKeptError("an open file can't be kept")
            if type(obj).__module__.partition(".")[0] in ("ipywidgets", "comm"):
                raise NotKeptError("a widget can't be kept")
            if isinstance(obj, types.ModuleType) and obj is first["shell"].user_module:
                return __import__, ("__main__",)
            return super().reducer_override(obj)

    return Pickler(file, protocol=5)


def keep(request: str) -> str:
    """Write the state into a file; the answer says what is in it, or why there is none.

    Parameters
    ----------
    request : str
        JSON: ``path``, ``seconds`` and ``most`` bytes that it may take, ``rate`` (bytes a second
        that were written before), ``results`` (whether `Out` is part of it).
    """
    asked, begun = json.loads(request), time.monotonic()
    try:
        found = _keep(asked)
    except BaseException as error:  # whatever a variable's own code raises
        with contextlib.suppress(OSError):
            os.unlink(asked["path"])
        found = {"kept": False, "why": _said(error)}
    return json.dumps({**found, "seconds": time.monotonic() - begun})


def _said(error: BaseException) -> str:
    if isinstance(error, NotKeptError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return "it was interrupted"
    if isinstance(error, OSError) and error.strerror:
        return f"it can't be written: {error.strerror}"
    return f"{type(error).__name__}: {error}"


def _keep(asked: Mapping[str, Any]) -> dict[str, Any]:
    global _stuck
    shell = first["shell"]
    kept, secret = _names(shell.user_ns)
    if _stuck[0] in kept and id(kept[_stuck[0]]) == _stuck[1]:
        _try(_stuck[0], kept[_stuck[0]], asked)
    if MARGIN * sum(map(_bytes, kept.values())) / asked["rate"] > asked["seconds"]:
        raise OutOfBoundsError("writing it takes longer than it may by then")
    header = {
        "path": list(sys.path),
        "folder": os.getcwd(),
        "environment": common.environment(),
        "extensions": sorted(set(shell.extension_manager.loaded) - first["extensions"]),
        "secrets": secret,
        "count": shell.execution_count,
    }
    body = {"names": kept, "libraries": libraries.take(), "session": _session()}
    if asked["results"]:
        own = shell.user_ns
        body["results"] = {"out": dict(own.get("Out", {})), "last": [own.get(n) for n in LAST]}
    descriptor = os.open(asked["path"], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        out = _File(asked, file)
        pickle.Pickler(out, protocol=5).dump(header)
        try:
            _pickler(out).dump(body)
        except (KeyboardInterrupt, OutOfBoundsError, OSError):
            raise
        except BaseException:
            for name, value in kept.items():
                _try(name, value, asked)
            raise
    _stuck = ("", 0)
    return {
        "kept": True,
        "digest": f"sha256:{out.hash.hexdigest()}",
        "size": out.size,
        "count": shell.execution_count,
        "modules": sorted({name.partition(".")[0] for name in list(sys.modules)}),
        "files": dict(common.own_files()),
    }


def _names(bound: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """What is kept, and the variables that are a secret themselves, which are given anew."""
    hidden, given, known = first["shell"].user_ns_hidden, first["given"], common.called()
    kept, secret = {}, {}
    for name, value in bound.items():
        if _SHELLS.fullmatch(name) or (name in hidden and hidden[name] is value):
            continue
        if first["bound"].get(name) == id(value):
            continue
        if name in given and type(value) is type(given[name]) and value == given[name]:
            secret[name] = name
        elif type(value) is str and value in known:
            secret[name] = known[value]
        else:
            kept[name] = value
    return kept, secret


def _session() -> Any:
    """What mlops_magics knows of this notebook, where its extension is loaded."""
    if not getattr(first["shell"], "_mlops_magics", None):
        return None
    return sys.modules["mlops_magics.verbs.session"].kept()


def _bytes(value: Any) -> int:
    """At least how large a value is; tells what obviously takes too long."""
    try:
        if hasattr(value, "memory_usage"):
            used = value.memory_usage(index=False)
            return int(getattr(used, "sum", lambda: used)())
        size = getattr(value, "nbytes", 0)
        return size if isinstance(size, int) else 0
    except Exception:  # a stranger's attribute of that name
        return 0


def _try(name: str, value: Any, asked: Mapping[str, Any]) -> None:
    """Raise if a variable by itself can't be kept, with its name and type."""
    global _stuck
    try:
        _pickler(_File(asked)).dump(value)
    except (KeyboardInterrupt, OutOfBoundsError):
        raise
    except BaseException as error:
        made = f"{type(value).__module__}.{type(value).__qualname__}".replace("builtins.", "")
        _stuck = (name, id(value))
        raise NotKeptError(f"`{name}` ({made}): {_said(error)}") from None
