"""Electrical energy: measured where the hardware counts it, else estimated, and which it was.

The estimate is that of Green Algorithms (Lannelongue, Grealey & Inouye 2021,
doi:10.1002/advs.202100707) for one computer: processor cores in use × their power × time, plus
memory × 0.3725 W/GB × time. Its factor for the data centre around the computer (PUE) is left out:
what is given here is what the computer itself takes.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: Power of memory, W per GB.
WATTS_PER_GB = 0.3725

POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Energy:
    """Energy in Wh, and in words where the figure comes from."""

    wh: float
    source: str


class Counters:
    """The processor's own counters (RAPL) from here on; they count the whole machine."""

    def __init__(self, folder: Path = POWERCAP) -> None:
        self._zones = [z for z in sorted(folder.glob("intel-rapl:*")) if _counts(z)]
        self._began = [_microjoules(z) for z in self._zones]

    def read(self) -> Energy | None:
        """The energy since then; ``None`` where there are no counters or they can't be read."""
        now = [_microjoules(z) for z in self._zones]
        total = 0
        for zone, before, after in zip(self._zones, self._began, now, strict=True):
            if before is None or after is None:
                return None
            # The counter begins again at its range.
            total += after - before if after >= before else after - before + _range(zone)
        if not self._zones:
            return None
        return Energy(total / 3.6e9, "measured (RAPL, the whole machine)")


def _counts(zone: Path) -> bool:
    """A processor package, or memory; the other zones are parts or sums of these."""
    with suppress(OSError):
        name = (zone / "name").read_text(encoding="ascii").strip()
        return (name.startswith("package") or name == "dram") and _microjoules(zone) is not None
    return False


def _microjoules(zone: Path) -> int | None:
    # Reading it is root's privilege on most systems.
    with suppress(OSError, ValueError):
        return int((zone / "energy_uj").read_text(encoding="ascii"))
    return None


def _range(zone: Path) -> int:
    return int((zone / "max_energy_range_uj").read_text(encoding="ascii"))


def estimate(cpu_s: float, wall_s: float, memory_bytes: float, watts_per_core: float) -> Energy:
    """Energy of a process by the model above.

    Parameters
    ----------
    cpu_s, wall_s : float
        Seconds of CPU over all cores, and of wall time.
    memory_bytes : float
        Memory that was held for that time; its peak gives an upper bound.
    watts_per_core : float
        Power of one core in full use, W; that model takes 12 for a processor that is not known.
    """
    joules = cpu_s * watts_per_core + wall_s * WATTS_PER_GB * memory_bytes / 1e9
    return Energy(
        joules / 3600,
        f"estimated ({watts_per_core:g} W a core, {WATTS_PER_GB} W/GB; doi:10.1002/advs.202100707)",
    )
