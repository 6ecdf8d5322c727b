"""What the kernel was like before its first cell, and what is never written."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

#: The shell, and what it was like before the first cell.
first: dict[str, Any] = {}


class NotKeptError(Exception):
    """The state can't be kept; the message is for people."""


class Namespace(dict):  # type: ignore[type-arg]
    """Stands for the notebook's own names, into which its functions go on looking."""

    def __reduce__(self) -> Any:
        return (names, ())


def names() -> Any:
    """The notebook's names; called where a function of the notebook is read back."""
    return first["shell"].user_global_ns


def begin(shell: Any, told: str) -> str:
    """Note what the kernel is like before its first cell.

    Parameters
    ----------
    told : str
        JSON. ``secrets``: what each known secret is called → its value, which is never written;
        ``given``: the parameters that are secrets; ``naming``: the pattern of names that are a
        secret's.
    """
    first.update(
        json.loads(told),
        shell=shell,
        environment=dict(os.environ),
        bound={name: id(value) for name, value in shell.user_ns.items()},
        extensions=set(shell.extension_manager.loaded),
    )
    from importlib.util import find_spec

    return json.dumps({"python": sys.version, "able": find_spec("cloudpickle") is not None})


def called() -> dict[str, str]:
    """The value of each known secret → what it is called."""
    return {value: label for label, value in first["secrets"].items()}


def environment() -> dict[str, Any]:
    """How the cells changed the environment; a secret only by what it is called.

    Raises
    ------
    NotKeptError
        If a cell has set a variable that is named like a secret, to a value known nowhere else.
    """
    before, known = first["environment"], called()
    changed = {n: v for n, v in os.environ.items() if before.get(n) != v}
    plain = {n: v for n, v in changed.items() if v not in known}
    for name in plain:
        if re.search(first["naming"], name, re.IGNORECASE):
            raise NotKeptError(f"a cell has set {name} in the environment, which is named a secret")
    return {
        "set": plain,
        "secrets": {n: known[v] for n, v in changed.items() if v in known},
        "removed": [name for name in before if name not in os.environ],
    }


#: Folders of installed packages, whose versions the executor compares.
_SITES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_OURS = (__name__.partition(".")[0], "mlops_magics", "__main__")
_digests: dict[str, tuple[tuple[int, int], str]] = {}


def own_files() -> Iterator[tuple[str, str]]:
    """The modules that belong to no installed package, and the digests of their files."""
    import hashlib

    for name, module in list(sys.modules.items()):
        file = getattr(module, "__dict__", {}).get("__file__")
        if not isinstance(file, str) or name.partition(".")[0] in _OURS:
            continue
        if file.startswith((os.path.dirname(os.__file__), sys.prefix)):
            continue
        if any(site in file for site in _SITES):
            continue
        try:
            stat = os.stat(file)
            known = _digests.get(file)
            if known is None or known[0] != (stat.st_mtime_ns, stat.st_size):
                with open(file, "rb") as opened:
                    digest = hashlib.sha256(opened.read()).hexdigest()
                _digests[file] = known = ((stat.st_mtime_ns, stat.st_size), digest)
        except OSError:
            continue
        yield os.path.abspath(file), known[1]
