"""From values to places on an axis, with the ticks that people expect there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mlops_magics.doors.views.card import Axis

_STEPS = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True)
class Scale:
    """An axis laid over a length: `low` and `high` stand at its two ends.

    Attributes
    ----------
    ticks : sequence of (float, str)
        Value and label.
    """

    low: float
    high: float
    log: bool
    ticks: Sequence[tuple[float, str]]

    def __call__(self, value: float) -> float:
        """The share of the axis's length at which `value` stands."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def holds(self, value: float) -> bool:
        """Whether the axis has a place for the value."""
        return math.isfinite(value) and (value > 0 or not self.log)


def scale(axis: Axis, values: Iterable[float], count: int = 5) -> Scale:
    """The scale on which `values` are shown, with about `count` ticks.

    A logarithmic axis with values that have no logarithm becomes a linear one.
    """
    if axis.names:
        ticks = [(float(i), name) for i, name in enumerate(axis.names) if name]
        return Scale(-0.5, len(axis.names) - 0.5, False, ticks)
    given = [v for v in values if math.isfinite(v)] or [0.0, 1.0]
    low = min(given) if axis.low is None else axis.low
    high = max(given) if axis.high is None else axis.high
    if axis.log and low > 0 and high / low >= 10:
        return _logarithmic(low, high)
    if low == high:
        room = abs(low) * 0.1 or 1.0
        low, high = low - room, high + room
    step = _step(high - low, count)
    if axis.low is None:
        low = math.floor(low / step + 1e-9) * step
    if axis.high is None:
        high = math.ceil(high / step - 1e-9) * step
    first = math.ceil(low / step - 1e-9)
    places = [step * i for i in range(first, math.floor(high / step + 1e-9) + 1)]
    return Scale(low, high, False, [(p, label(p, step)) for p in places])


def _step(span: float, count: int) -> float:
    rough = span / count
    power = 10.0 ** math.floor(math.log10(rough))
    return power * min(_STEPS, key=lambda s: abs(math.log(s * power / rough)))


def _logarithmic(low: float, high: float) -> Scale:
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    every = max(1, math.ceil((last - first) / 5))
    ticks = [(10.0**p, label(10.0**p, 0)) for p in range(first, last + 1, every)]
    return Scale(10.0**first, 10.0**last, True, ticks)


def label(value: float, step: float) -> str:
    """A tick's text; `step` is the distance to the next, 0 on a logarithmic axis."""
    if value and (abs(value) >= 1e5 or abs(value) < 1e-3):
        return f"{value:.3g}".replace("e+0", "e").replace("e-0", "e-")
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) if step else 0
    text = f"{value:.{digits}f}" if step else f"{value:g}"
    return text.removeprefix("-") if float(text) == 0 else text
