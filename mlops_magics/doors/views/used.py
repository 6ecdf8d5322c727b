"""What a step used, in one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops_magics.doors.views.card import seconds, show, size


def line(used: Mapping[str, Any]) -> str:
    """Time, processor, memory, GPU; energy with where the figure comes from; carbon, cost."""
    if "wall_s" not in used:
        return "not measured"
    parts = [
        seconds(used["wall_s"]),
        f"{seconds(used['cpu_s'])} of CPU",
        f"at most {size(used['peak_memory_bytes'])} of memory",
    ]
    if "gpus" in used:
        busy = f" {used['gpu_busy_percent']:.0f} % busy" if "gpu_busy_percent" in used else ""
        memory = used.get("gpu_peak_memory_bytes")
        parts.append(f"{used['gpu_name']}{busy}{f', {size(memory)}' if memory else ''}")
    if "energy_wh" in used:
        parts.append(f"{show(float(used['energy_wh']))} Wh {used['energy_source']}")
    if "co2_g" in used:
        parts.append(f"{show(float(used['co2_g']))} g CO2")
    if "cost" in used:
        parts.append(f"cost {show(float(used['cost']))} {used['currency']}".rstrip())
    return " · ".join(parts)
