"""What this process and those that it has started have used so far, as the system counts it."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Usage:
    """Totals since the process began.

    Attributes
    ----------
    cpu_s : float
        Seconds of CPU, of this process and of those that it started and saw end.
    running : mapping
        For each process that it started and that runs, by its id: its seconds of CPU, and whether
        it was started directly.
    memory_bytes : int
        Resident memory now.
    peak_memory_bytes : int
        Its high-water mark, since `reset_peak` where that works.
    threads : int
        How many there are now.
    children_memory_bytes : int
        Resident memory now of the processes that it started.
    read_bytes, written_bytes : int or None
        What went to and came from disks; ``None`` where the system does not say.
    """

    cpu_s: float
    running: Mapping[int, tuple[float, bool]]
    memory_bytes: int
    peak_memory_bytes: int
    threads: int
    children_memory_bytes: int
    read_bytes: int | None
    written_bytes: int | None

    def cpu_since(self, before: Usage) -> float:
        """Seconds of CPU between two readings, with those of processes in between."""
        used = self.cpu_s - before.cpu_s
        used += sum(cpu - before.running.get(i, (0.0,))[0] for i, (cpu, _) in self.running.items())
        # One that ended since is in our own total with all of its time, also that from before;
        # a descendant that was not ours to see end is nowhere.
        used -= sum(
            cpu for i, (cpu, direct) in before.running.items() if direct and i not in self.running
        )
        return max(used, 0.0)


def usage() -> Usage:
    """Read it; takes well below a millisecond, and a few where there are child processes."""
    own = os.times()
    cpu = own.user + own.system + own.children_user + own.children_system
    running, memory = {}, 0
    for child in _children():
        with suppress(psutil.Error):
            spent = child.cpu_times()
            total = spent.user + spent.system + spent.children_user + spent.children_system
            running[child.pid] = (total, child.ppid() == os.getpid())
            memory += child.memory_info().rss
    status = _fields("/proc/self/status")
    io = _fields("/proc/self/io")
    return Usage(
        cpu_s=cpu,
        running=running,
        memory_bytes=_bytes(status, "VmRSS") or psutil.Process().memory_info().rss,
        peak_memory_bytes=_bytes(status, "VmHWM") or _peak(),
        threads=int(status.get("Threads") or psutil.Process().num_threads()),
        children_memory_bytes=memory,
        read_bytes=int(io["read_bytes"]) if "read_bytes" in io else None,
        written_bytes=int(io["write_bytes"]) if "write_bytes" in io else None,
    )


def reset_peak() -> bool:
    """Let the high-water mark of memory begin anew (Linux); whether that was done."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return True
    return False


def _children() -> list[psutil.Process]:
    try:
        # Costs nothing; looking for children among all processes takes milliseconds.
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return []
    except (AttributeError, OSError):  # a system without it
        pass
    return psutil.Process().children(recursive=True)


def _fields(file: str) -> dict[str, str]:
    with suppress(OSError):
        lines = Path(file).read_text(encoding="ascii", errors="replace").splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return {}


def _bytes(fields: dict[str, str], name: str) -> int:
    return int(fields[name].split()[0]) * 1024 if name in fields else 0


def _peak() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
