"""Which runs are open, on this machine's disk: how the run of a killed kernel is found.

Each open run has one small file; a run that ends takes it away. A file whose process is gone is a
run that was killed. Knows no MLflow, so that looking costs nothing at ``%load_ext``.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from mlops_magics import records, settings


@dataclass(frozen=True)
class OpenRun:
    """A run and the process that it belongs to."""

    run_id: str
    verb: str
    name: str
    tracking_uri: str
    host: str
    pid: int
    process_started: float
    opened: str

    @property
    def abandoned(self) -> bool:
        """Whether its process is known to be gone (only its own host can know)."""
        if self.host != socket.gethostname():
            return False
        import psutil

        try:
            return abs(psutil.Process(self.pid).create_time() - self.process_started) > 1
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False


def _folder() -> Path:
    return settings.load().state / "open"


def opened(run_id: str, *, verb: str, name: str, tracking_uri: str) -> None:
    """Note that this process has opened a run."""
    import psutil

    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    entry = OpenRun(
        run_id=run_id,
        verb=verb,
        name=name,
        tracking_uri=tracking_uri,
        host=socket.gethostname(),
        pid=os.getpid(),
        process_started=psutil.Process().create_time(),
        opened=records.now(),
    )
    aside = folder / f".{run_id}.{os.getpid()}"
    aside.write_text(json.dumps(asdict(entry)), encoding="utf-8")
    aside.replace(folder / f"{run_id}.json")


def closed(run_id: str) -> None:
    """Note that a run has ended."""
    (_folder() / f"{run_id}.json").unlink(missing_ok=True)


def abandoned() -> Iterator[OpenRun]:
    """The runs whose process is gone."""
    folder = _folder()
    if not folder.is_dir():
        return
    for file in sorted(folder.glob("*.json")):
        try:
            entry = OpenRun(**json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            continue  # ended in between, or not ours to judge
        if entry.abandoned:
            yield entry
