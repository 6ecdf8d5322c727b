"""What a goal's figure may be measured in."""

from __future__ import annotations

from typing import Literal

#: What kind of quantity a metric is; a goal's unit must be of the same kind.
Kind = Literal["", "ratio", "time", "bytes"]

#: Unit → its kind, and the factor to the base unit (1, seconds, bytes). KB, MB, GB are decimal.
UNITS: dict[str, tuple[Kind, float]] = {
    "": ("", 1.0),
    "%": ("ratio", 0.01),
    "us": ("time", 1e-6),
    "ms": ("time", 1e-3),
    "s": ("time", 1.0),
    "KB": ("bytes", 1e3),
    "MB": ("bytes", 1e6),
    "GB": ("bytes", 1e9),
}


def of_kind(kind: Kind) -> list[str]:
    """The units that a metric of that kind may be written in (without ``""``)."""
    return [unit for unit, (its, _) in UNITS.items() if unit and its == kind]


def to_base(value: float, unit: str) -> float:
    """A figure in its base unit: 20 ms is 0.02 (seconds)."""
    return value * UNITS[unit][1]


def from_base(value: float, unit: str) -> float:
    """A figure of the base unit in `unit`: 0.02 (seconds) is 20 ms."""
    return value / UNITS[unit][1]


def show(value: float, unit: str = "") -> str:
    """A base-unit figure for people, in `unit`, with as many digits as can be read."""
    shown = from_base(value, unit)
    digits = f"{shown:.0f}" if abs(shown) >= 10_000 else f"{shown:.4g}"
    return f"{digits} {unit}".rstrip()
