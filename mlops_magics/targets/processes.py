"""Processes that outlive whoever started them, and proof that one is still the same."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

#: Seconds by which two readings of one process's start may differ.
SAME = 2.0

#: Children of this process, kept so that a dead one is reaped and not taken for alive.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Started:
    """A process and what proves that a number still means it.

    Attributes
    ----------
    created : float
        When it started, seconds since the epoch; another process of the same number started
        at another time.
    """

    pid: int
    created: float
    log: str

    def save(self, file: Path) -> None:
        """Write it down for whoever asks later."""
        file.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> Started | None:
        """What was written down; ``None`` if nothing was."""
        try:
            return cls(**json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def process(self) -> psutil.Process | None:
        """The process itself, if it is alive and is the one that was started."""
        if (child := _children.get(self.pid)) is not None:
            child.poll()
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < SAME
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None


def start(arguments: list[str], *, folder: Path, log: Path, descriptors: Sequence[int]) -> Started:
    """Start Python with `arguments`, detached: in its own session, without input.

    Parameters
    ----------
    folder : Path
        Where it runs, and where it finds its own copy of the project.
    log : Path
        The file that takes what it writes.
    descriptors : sequence of int
        Open sockets that it inherits.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
    # The package's own copy of the server is what was proven, not what is installed here.
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    environment["PYTHONUNBUFFERED"] = "1"
    with log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=tuple(descriptors),
            start_new_session=True,
        )
    _children[child.pid] = child
    try:
        created = psutil.Process(child.pid).create_time()
    except psutil.Error:  # dead already; whoever waits for it will see that
        created = 0.0
    return Started(child.pid, created, str(log))


def stop(started: Started, patience: float = 5.0) -> None:
    """SIGTERM, and SIGKILL if it is still there after `patience` seconds; only the same process."""
    process = started.process()
    if process is None:
        return
    try:
        process.terminate()
        if not ends(started, patience):
            process.kill()
            ends(started, patience)
    except psutil.NoSuchProcess:
        return


def outcome(started: Started) -> str:
    """How a child of this process ended, in words; empty while it runs."""
    child = _children.get(started.pid)
    code = child.poll() if child is not None else 0
    if code is None:
        return ""
    if code >= 0:
        return f"with exit code {code}"
    try:
        return f"by {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"


def last_words(started: Started | None) -> str:
    """The end of a server's log, as the rest of a sentence; empty if it says nothing."""
    lines = tail(Path(started.log), 20).splitlines() if started else []
    said = [line.strip() for line in lines if line.strip() and "INFO Serving" not in line]
    return f"; its log ends with: {said[-1][:300].rstrip('.')}" if said else ""


def ends(started: Started, patience: float) -> bool:
    """Whether the process is gone, or goes within `patience` seconds."""
    until = time.monotonic() + patience
    while started.process() is not None:
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    if (child := _children.get(started.pid)) is not None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(1)  # it may be dead and not yet reaped
    return True


def tail(file: Path, lines: int) -> str:
    """The last lines of a log; empty if there is none."""
    try:
        with file.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - 200 * lines - 2000))
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
