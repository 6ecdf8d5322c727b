"""What a step used: wall time, CPU time and peak memory."""

from __future__ import annotations

import os
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any


class Meter:
    """Measures from its creation to `read`.

    Peak memory is the process's high-water mark since the start of the step where the system can
    reset it (Linux: ``/proc/self/clear_refs``); elsewhere it is the mark since the process began,
    and ``peak_memory_since`` says so.
    """

    def __init__(self) -> None:
        self._resettable = _reset_peak()
        self._wall = time.perf_counter()
        self._cpu = _cpu()

    def read(self) -> dict[str, Any]:
        """Seconds and bytes used so far."""
        return {
            "wall_s": round(time.perf_counter() - self._wall, 6),
            "cpu_s": round(_cpu() - self._cpu, 6),
            "peak_memory_bytes": _peak(),
            "peak_memory_since": "step start" if self._resettable else "process start",
        }


def _cpu() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _reset_peak() -> bool:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return True
    return False


def _peak() -> int:
    with suppress(OSError, StopIteration, ValueError):
        status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
