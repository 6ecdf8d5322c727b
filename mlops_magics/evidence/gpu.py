"""What the NVIDIA GPUs of this machine do, by NVML; nothing is imported where there is none."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

DRIVER = Path("/proc/driver/nvidia/version")


class Gpus:
    """The GPUs from here on: `sample` now and then, `read` at the end."""

    def __init__(self, library: Any = None) -> None:
        self._nvml = library or _library()
        self._devices: list[Any] = []
        if self._nvml is not None:
            count = self._nvml.nvmlDeviceGetCount()
            self._devices = [self._nvml.nvmlDeviceGetHandleByIndex(i) for i in range(count)]
        self._began = [self._millijoules(d) for d in self._devices]
        self._busy: list[float] = []
        self._peak = 0

    def sample(self) -> None:
        """Note how busy they are, in % over all, and this process's memory on them."""
        if not self._devices:
            return
        with suppress(Exception):  # NVML's errors; a figure that is not given is left out
            rates = [self._nvml.nvmlDeviceGetUtilizationRates(d).gpu for d in self._devices]
            self._busy.append(sum(rates) / len(rates))
        with suppress(Exception):
            self._peak = max(self._peak, sum(map(self._memory, self._devices)))

    def read(self) -> dict[str, Any]:
        """Each figure that the devices give; empty without a GPU.

        Returns
        -------
        dict
            ``gpus``, ``gpu_name``, ``gpu_busy_percent``, ``gpu_peak_memory_bytes`` of this
            process, ``gpu_energy_wh``.
        """
        if not self._devices:
            return {}
        self.sample()
        name = self._nvml.nvmlDeviceGetName(self._devices[0])
        found: dict[str, Any] = {
            "gpus": len(self._devices),
            "gpu_name": name.decode() if isinstance(name, bytes) else str(name),
        }
        if self._busy:
            found["gpu_busy_percent"] = round(sum(self._busy) / len(self._busy), 1)
        if self._peak:
            found["gpu_peak_memory_bytes"] = self._peak
        used = [
            after - before
            for before, after in zip(
                self._began, [self._millijoules(d) for d in self._devices], strict=True
            )
            if before is not None and after is not None
        ]
        if used:
            found["gpu_energy_wh"] = sum(used) / 3.6e6
        return found

    def _memory(self, device: Any) -> int:
        running = self._nvml.nvmlDeviceGetComputeRunningProcesses(device)
        return sum(p.usedGpuMemory or 0 for p in running if p.pid == os.getpid())

    def _millijoules(self, device: Any) -> int | None:
        with suppress(Exception):  # devices before Volta do not count
            return int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(device))
        return None


def _library() -> Any:
    """NVML, opened; ``None`` without a driver or without the package ``nvidia-ml-py``."""
    if not DRIVER.exists():
        return None
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # not installed, or the driver does not answer: there is no figure to give
        return None
    return pynvml
