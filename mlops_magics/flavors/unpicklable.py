"""Which part of a model it is that can't be saved."""

from __future__ import annotations

import io
from collections.abc import Iterator
from types import FunctionType
from typing import Any

#: So many parts are tried; a model may be large, and its owner waits.
_MOST = 500


def culprit(obj: Any, name: str = "model") -> str:
    """The innermost part that can't be pickled, as ``model.lock (a _thread.lock)``; else empty.

    Parameters
    ----------
    name : str
        What the whole is called: its variable.
    """
    if _pickles(obj):
        return ""
    seen = {id(obj)}
    where, guilty, left = name, obj, _MOST
    while True:
        for label, part in _parts(guilty):
            left -= 1
            if left < 0:
                break
            if id(part) not in seen and not _pickles(part):
                seen.add(id(part))
                where, guilty = f"{where}{label}", part
                break
        else:
            break
        if left < 0:
            break
    kind = type(guilty)
    shown = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    return f"{where} (a {shown})"


def _pickles(obj: Any) -> bool:
    import cloudpickle

    try:
        cloudpickle.dump(obj, _Nowhere())
    except Exception:  # whatever a reducer raises
        return False
    return True


class _Nowhere(io.RawIOBase):
    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return len(data)


def _parts(obj: Any) -> Iterator[tuple[str, Any]]:
    """What an object holds, and how it is reached from there."""
    if isinstance(obj, dict):
        yield from ((f"[{key!r}]", value) for key, value in obj.items())
    elif isinstance(obj, list | tuple):
        yield from ((f"[{at}]", value) for at, value in enumerate(obj))
    elif isinstance(obj, FunctionType):
        named = zip(obj.__code__.co_freevars, obj.__closure__ or (), strict=False)
        yield from ((f" → {name}", cell.cell_contents) for name, cell in named)
        known = (n for n in obj.__code__.co_names if n in obj.__globals__)
        yield from ((f" → {name}", obj.__globals__[name]) for name in known)
    elif hasattr(obj, "__dict__"):
        yield from ((f".{name}", value) for name, value in vars(obj).items())
