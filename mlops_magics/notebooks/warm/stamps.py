"""Whether what was imported is still what an import would find: packages may be upgraded."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any


class Stamps:
    """When the folders of packages, and the files of modules, were last changed.

    The folders are looked at before anything is imported: an installer that is at work meanwhile
    changes them, at the latest when it is done.
    """

    def __init__(self) -> None:
        folders = [p for p in sys.path if p.endswith(("site-packages", "dist-packages"))]
        self._seen = {folder: _stamp(folder) for folder in folders}

    def take(self, modules: Iterable[Any]) -> None:
        """Look at the files of modules too."""
        files = (getattr(module, "__dict__", {}).get("__file__") for module in modules)
        self._seen |= {file: _stamp(file) for file in files if isinstance(file, str)}

    def changed(self) -> str:
        """What was changed since, in words; empty: nothing was."""
        for path, stamp in self._seen.items():
            if _stamp(path) != stamp:
                return f"{path} was changed since it was imported"
        return ""


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
