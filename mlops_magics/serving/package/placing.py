"""A package's folder takes its place whole, or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlops_magics.errors import WrongUsage
from mlops_magics.serving import manifest


@contextmanager
def aside(target: Path) -> Iterator[Path]:
    """A folder beside `target` that takes its place when all went well.

    Raises
    ------
    WrongUsage
        If something that is no package is in the way.
    """
    if target.exists() and not (target / manifest.FILE).is_file():
        raise WrongUsage(
            f"{target} exists and is no package, so it is not replaced.", "Choose another --output."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        folder.chmod(0o755)
        yield folder
        old = folder.with_name(f"{folder.name}-old")
        if target.exists():
            # A server that runs from it keeps its files: they are moved, then removed.
            target.rename(old)
        os.replace(folder, target)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def readable(folder: Path) -> None:
    """Let whoever runs it in a container read it."""
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
