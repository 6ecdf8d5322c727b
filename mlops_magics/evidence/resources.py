"""What a step used: time, CPU, memory, GPU; and what follows of it: energy, carbon, cost."""

from __future__ import annotations

import time
from typing import Any

from mlops_magics import settings
from mlops_magics.evidence import energy, processes
from mlops_magics.evidence.gpu import Gpus


class Meter:
    """Measures from its creation to `read`; making and reading it takes under 2 ms in all.

    Peak memory is the process's high-water mark since the start of the step where the system can
    reset it (Linux: ``/proc/self/clear_refs``); elsewhere it is the mark since the process began,
    and ``peak_memory_since`` says so.
    """

    def __init__(self) -> None:
        self._resettable = processes.reset_peak()
        self._counters = energy.Counters()
        self._gpus = Gpus()
        self._began = processes.usage()
        self._wall = time.perf_counter()
        self._children_peak = 0

    def sample(self) -> processes.Usage:
        """What is used now; calling it now and then sees peaks that `read` alone would miss."""
        now = processes.usage()
        self._children_peak = max(self._children_peak, now.children_memory_bytes)
        self._gpus.sample()
        return now

    def elapsed(self) -> float:
        """Seconds since its creation."""
        return time.perf_counter() - self._wall

    def cpu(self, now: processes.Usage) -> float:
        """Seconds of CPU since its creation, as of `now`."""
        return now.cpu_since(self._began)

    def read(self) -> dict[str, Any]:
        """What was used so far.

        Returns
        -------
        dict
            ``wall_s``, ``cpu_s``, ``peak_memory_bytes``, ``peak_memory_since``, ``threads``,
            ``energy_wh`` with ``energy_source``; where there are any, ``children`` (processes) with
            ``children_peak_memory_bytes`` as far as it was sampled, ``read_bytes`` and
            ``written_bytes`` of disks, and GPU figures (`gpu.Gpus.read`); where the settings give
            prices, ``co2_g``, ``cost`` and ``currency``.
        """
        wall = self.elapsed()
        now = self.sample()
        used: dict[str, Any] = {
            "wall_s": round(wall, 6),
            "cpu_s": round(self.cpu(now), 6),
            "peak_memory_bytes": now.peak_memory_bytes,
            "peak_memory_since": "step start" if self._resettable else "process start",
            "threads": now.threads,
        }
        if self._children_peak:
            used["children"] = len(now.running)
            used["children_peak_memory_bytes"] = self._children_peak
        for name in ("read_bytes", "written_bytes"):
            before, after = getattr(self._began, name), getattr(now, name)
            if before is not None and after is not None:
                used[name] = after - before
        used |= self._gpus.read()
        return used | self._priced(used)

    def _priced(self, used: dict[str, Any]) -> dict[str, Any]:
        """Energy, carbon and cost of what was used."""
        options = settings.load()
        memory = used["peak_memory_bytes"] + used.get("children_peak_memory_bytes", 0)
        found = self._counters.read() or energy.estimate(
            used["cpu_s"], used["wall_s"], memory, options.watts_per_core
        )
        wh, source = found.wh, found.source
        if "gpu_energy_wh" in used:
            wh += used["gpu_energy_wh"]
            source += "; GPU measured (NVML, the whole device)"
        elif "gpus" in used:
            source += "; GPU not counted"
        priced: dict[str, Any] = {"energy_wh": wh, "energy_source": source}
        if options.grid_g_per_kwh:
            priced["co2_g"] = wh / 1000 * options.grid_g_per_kwh
        if options.cost_per_hour:
            priced["cost"] = used["wall_s"] / 3600 * options.cost_per_hour
            priced["currency"] = options.currency
        return priced
